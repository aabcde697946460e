//! Tests of `[artifacts]`, `[deploy]` and `[environments]`.

use std::collections::BTreeMap;

use super::*;
use crate::config::deploy::{
    Analysis, AnalysisSource, ArtifactContent, CheckFrom, Connection, DeployWindow, HealthCheck, HealthProbe,
    Host, Inconclusive, JournalLocation, OnLost, Ports, ReleaseSelector, Role, Router, RunOn, Runs,
    SshDestination, StoreLocation,
};

/// The example of the design, with the tasks and the service that it names.
pub(in crate::config) const EXAMPLE: &str = r#"
    [tasks.build-api]
    run = "make api"
    outputs = ["out/api"]

    [tasks.image-web]
    run = "make push"

    [tasks.unit]
    run = "make test"

    [tasks.ci]
    needs = ["unit"]

    [tasks.smoke]
    run = "curl --fail $URL"

    [services.scratch-db]
    run = "postgres -p {{ services.scratch-db.port }}"
    port = "auto"

    [artifacts.api]
    task = "build-api"
    [artifacts.web]
    task = "image-web"
    image = "registry.example.org/shop/web"
    [artifacts.api-image]
    task = "image-web"
    image = "shop/api"

    [deploy]
    store = "ssh://deploy@files.example.org:2222/srv/artifacts"
    journal = "origin"
    policy-branch = "main"

    [environments.staging]
    driver = "compose"
    file = "compose.staging.yml"
    services = ["api", "web"]
    artifacts = { api = "api-image", web = "web" }
    gate = ["ci"]
    branches = ["main"]
    tags = ["v*"]
    url = "http://localhost:8080"
    health-check = { http = "{{ url }}/health", release = "/release" }
    smoke = ["smoke"]

    [environments.production]
    driver = "hosts"
    path = "/srv/shop"
    promote-from = "staging"
    deploy-windows = [{ days = "Mon-Thu", from = "09:00", to = "16:00", zone = "Europe/Berlin" }]
    approval = { signers = "ops/allowed_signers", count = 1, expires = "24h" }
    env = { LOG_LEVEL = "info" }
    env-file = ["production.env", "?local.env"]
    secret-env = ["DATABASE_URL"]
    keep = 5
    timeout = "10m"

    [environments.production.roles.web]
    artifact = "api"
    hosts = [
        { ssh = "deploy@web1.example.org" },
        { ssh = "deploy@web2.example.org:2222", name = "web2", env = { REGION = "b" } },
    ]
    start = "systemctl start shop@{{ slot }}"
    ports = { blue = 8001, green = 8002 }
    health-check = { http = "http://{{ host }}:{{ port }}/health", release = "header:X-Release", from = "host" }
    traffic = ["10%", "50%", "100%"]
    every = "2m"
    bake = "15m"
    router = { haproxy = "/run/haproxy/admin.sock", backend = "shop", on = { ssh = "deploy@lb.example.org" } }
    drain = "20s"
    on-lost = "revert"
    standby = "30m"

    [environments.production.roles.web.analysis]
    error-rate = "1.5%"
    p95 = "500ms"
    min-requests = 50
    inconclusive = "continue"

    [environments.production.roles.web.analysis.source]
    prometheus = "http://localhost:9090"
    requests = "sum(increase(requests{slot='{{ slot }}'}[{{ window }}]))"
    errors = "sum(increase(errors{release='{{ release }}'}[{{ window }}]))"
    p95 = "quantile"

    [environments.production.roles.worker]
    artifact = "api"
    hosts = [{ ssh = "deploy@work1.example.org" }]
    start = "systemctl start shop-worker@{{ slot }}"

    [environments.production.migrations]
    run-on = "first-host"
    pending = "bin/migrate --list"
    expand = "bin/migrate expand"
    contract = "bin/migrate contract"
    revert = "bin/migrate revert"
    rehearse = { service = "scratch-db", schema = "pg_dump | psql -p {{ services.scratch-db.port }}", start = "bin/api --check" }

    [environments.cloud]
    driver = "command"
    artifact = ["web"]
    observe = "cloud observe"
    stage = "cloud stage"
    check = "cloud check"
    shift = "cloud shift"
    traffic = ["50%", "100%"]
    every = "1m"
"#;

fn ssh(host: &str, port: Option<u16>) -> Connection {
    Connection::Ssh(SshDestination { host: host.to_owned(), port })
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn example_of_the_design_is_read() {
    let config = parse_ok(EXAMPLE);
    let id = |name: &str| config.named(name)[0];
    assert_eq!(config.artifact("api").unwrap().task, id("build-api"));
    assert_eq!(config.artifact("api").unwrap().content, ArtifactContent::Outputs);
    let image = ArtifactContent::Image("registry.example.org/shop/web".to_owned());
    assert_eq!(config.artifact("web").unwrap().content, image);
    assert_eq!(config.artifact("web").unwrap().location.line, 24);

    let destination = SshDestination { host: "deploy@files.example.org".to_owned(), port: Some(2222) };
    assert_eq!(config.deploy.store, StoreLocation::Ssh { destination, path: "/srv/artifacts".to_owned() });
    assert_eq!(config.deploy.journal, JournalLocation::Remote("origin".to_owned()));
    assert_eq!(config.deploy.policy_branch.as_deref(), Some("main"));

    let staging = config.environment("staging").unwrap();
    assert_eq!((&staging.gate, &staging.smoke), (&strings(&["ci"]), &vec![id("smoke")]));
    assert_eq!(staging.policy.branches, ["main"]);
    assert_eq!(staging.policy.tags, ["v*"]);
    assert_eq!(staging.path, "");
    let Role { name, artifacts, hosts, runs, traffic, health_check, .. } = &staging.roles[0];
    assert_eq!((&**name, artifacts), ("app", &strings(&["api-image", "web"])));
    assert_eq!(hosts[0].name, "localhost");
    assert_eq!(hosts[0].connection, Connection::Local);
    let images = BTreeMap::from([("api", "api-image"), ("web", "web")]);
    let images = images.into_iter().map(|(service, name)| (service.to_owned(), name.to_owned())).collect();
    let file = "compose.staging.yml".to_owned();
    assert_eq!(*runs, Runs::Compose { file, services: strings(&["api", "web"]), images });
    assert_eq!(*traffic, None);
    let probe = HealthProbe::Http("{{ url }}/health".to_owned());
    let pointer = Some(ReleaseSelector::Pointer("/release".to_owned()));
    let check = health_check.as_ref().unwrap();
    assert_eq!((&check.probe, &check.release, check.from), (&probe, &pointer, CheckFrom::Here));

    let production = config.environment("production").unwrap();
    assert_eq!(production.path, "/srv/shop");
    assert_eq!(production.policy.promote_from.as_deref(), Some("staging"));
    let days = [true, true, true, true, false, false, false];
    let zone = "Europe/Berlin".to_owned();
    assert_eq!(production.policy.windows, [DeployWindow { days, from: 540, to: 960, zone }]);
    let approval = production.policy.approval.as_ref().unwrap();
    assert_eq!((approval.signers.to_string(), approval.count.get()), ("ops/allowed_signers".to_owned(), 1));
    assert_eq!(approval.expires, Duration::from_secs(24 * 3600));
    assert_eq!(production.variables.env["LOG_LEVEL"], "info");
    assert_eq!(production.variables.env_files, ["production.env", "?local.env"]);
    assert_eq!(production.variables.secret_env, ["DATABASE_URL"]);
    assert_eq!((production.keep.get(), production.timeout), (5, Duration::from_secs(600)));
    let names: Vec<&str> = production.roles.iter().map(|role| &*role.name).collect();
    assert_eq!(names, ["web", "worker"]);

    let web = &production.roles[0];
    let second = Host {
        name: "web2".to_owned(),
        connection: ssh("deploy@web2.example.org", Some(2222)),
        env: BTreeMap::from([("REGION".to_owned(), "b".to_owned())]),
    };
    assert_eq!((&*web.hosts[0].name, &web.hosts[1]), ("web1.example.org", &second));
    assert_eq!(web.ports, Some(Ports { blue: 8001, green: 8002 }));
    let HealthCheck { release, from, .. } = web.health_check.as_ref().unwrap();
    assert_eq!((release, *from), (&Some(ReleaseSelector::Header("X-Release".to_owned())), CheckFrom::Host));
    assert_eq!(web.standby, Duration::from_secs(1800));
    let traffic = web.traffic.as_ref().unwrap();
    assert_eq!(traffic.steps, [10, 50, 100]);
    assert_eq!((traffic.every, traffic.bake), (Duration::from_secs(120), Duration::from_secs(900)));
    assert_eq!((traffic.drain, traffic.on_lost), (Duration::from_secs(20), OnLost::Revert));
    assert_eq!(traffic.on, ssh("deploy@lb.example.org", None));
    let router = Router::Haproxy {
        socket: "/run/haproxy/admin.sock".to_owned(),
        backend: "shop".to_owned(),
        server: "web-{{ host }}-{{ slot }}".to_owned(),
    };
    assert_eq!(traffic.router, router);
    let Analysis { error_rate, p95, min_requests, source, inconclusive, .. } =
        traffic.analysis.as_ref().unwrap();
    assert_eq!((*error_rate, *p95, *min_requests), (Some(1.5), Some(Duration::from_millis(500)), 50));
    assert_eq!(*inconclusive, Inconclusive::Continue);
    assert!(matches!(source, AnalysisSource::Prometheus { url, .. } if url == "http://localhost:9090"));
    assert_eq!(production.roles[1].traffic, None);
    assert_eq!(production.roles[1].standby, Duration::ZERO);

    let migrations = production.migrations.as_ref().unwrap();
    assert_eq!((migrations.run_on, migrations.irreversible), (RunOn::FirstHost, false));
    assert_eq!(migrations.rehearsal.as_ref().unwrap().service, "scratch-db");

    let cloud = &config.environment("cloud").unwrap().roles[0];
    let traffic = cloud.traffic.as_ref().unwrap();
    assert_eq!((&*traffic.steps, &traffic.router), (&[50, 100][..], &Router::Driver));
    assert!(matches!(&cloud.runs, Runs::External { shift, cleanup: None, .. } if shift == "cloud shift"));
}
