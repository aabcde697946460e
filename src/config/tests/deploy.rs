//! Tests of `[artifacts]`, `[deploy]` and `[environments]`.

use std::collections::BTreeMap;
use std::path::Path;

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
        state_file: None,
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

/// A file with what the environments of these tests need. `environment` is the table of one, without its name.
fn deployed(environment: &str) -> String {
    format!(
        "[tasks.build]\nrun = 'make'\noutputs = ['out']\n[tasks.push]\nrun = 'make push'\n\
         [services.scratch]\nrun = 'postgres'\n[artifacts.api]\ntask = 'build'\n\
         [artifacts.image]\ntask = 'push'\nimage = 'shop/api'\n[environments.e]\n{environment}"
    )
}

/// The keys of a role on one host, in an environment.
const HOSTS: &str = "driver = 'hosts'\npath = '/srv'\nartifact = 'api'\nhosts = [{ ssh = 'web1' }]\nstart = 'systemctl start a'\n";
/// The keys of a role whose requests a router moves.
const ROUTED: &str =
    "ports = { blue = 1, green = 2 }\ntraffic = ['100%']\nrouter = { haproxy = '/s', backend = 'b' }\n";

#[test]
fn deploy_errors_are_reported_at_once_with_place_and_hint() {
    insta::assert_snapshot!(parse_errors(
        r#"
[tasks.build]
run = "make"
outputs = ["out"]

[artifacts.api]
task = "biuld"

[deploy]
jurnal = "origin"

[environments.production]
driver = "hosts"
file = "compose.yml"
keep = 1
start = "bin/start {{ slott }} {{ .Names }}"
artifact = "apo"
"#
    ), @r#"
    error: artifact `api` names `biuld`, which is neither a task nor a group
     --> tasks.toml:7:8
      |
    7 | task = "biuld"
      |        ^^^^^^^ unknown task
      |
      = help: did you mean `build`?

    error: `[deploy]` has no key `jurnal`
      --> tasks.toml:10:1
       |
    10 | jurnal = "origin"
       | ^^^^^^ not a key here
       |
       = help: did you mean `journal`?

    error: environment `production` has no `hosts`
      --> tasks.toml:12:15
       |
    12 | [environments.production]
       |               ^^^^^^^^^^ no `hosts`
       |
       = help: add hosts = [{ ssh = "user@host" }], or [{ local = true }]

    error: environment `production` has no `path`
      --> tasks.toml:12:15
       |
    12 | [environments.production]
       |               ^^^^^^^^^^ no `path`
       |
       = help: add `path` with a folder that belongs to taskgate, such as path = "/srv/shop"

    error: `file` belongs to the driver `compose`
      --> tasks.toml:14:1
       |
    14 | file = "compose.yml"
       | ^^^^ not with `hosts`
       |
       = help: remove it, or use another driver

    error: `keep` can't be 1
      --> tasks.toml:15:8
       |
    15 | keep = 1
       |        ^ out of range
       |
       = help: write a number from 2

    error: `{{ slott }}` is not a placeholder here
      --> tasks.toml:16:9
       |
    16 | start = "bin/start {{ slott }} {{ .Names }}"
       |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ can't be filled in
       |
       = help: did you mean `slot`?

    error: nothing says how its processes are stopped
      --> tasks.toml:16:9
       |
    16 | start = "bin/start {{ slott }} {{ .Names }}"
       |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ not a `systemctl start`
       |
       = help: add `stop` with a shell line that ends them

    error: there is no artifact `apo`
      --> tasks.toml:17:12
       |
    17 | artifact = "apo"
       |            ^^^^^ unknown artifact
       |
       = help: did you mean `api`?
    "#);
}

#[test]
fn mistakes_of_a_role_are_reported() {
    for (keys, expected) in [
        (
            "every = '1m'\nbake = '1m'",
            &["`every` has no effect without `traffic`", "`bake` has no effect without `traffic`"][..],
        ),
        (
            "traffic = ['100%']",
            &["environment `e` has no `router`", "`traffic` needs `ports`: both slots run at once"],
        ),
        // Without `traffic`, only one slot runs at a time.
        ("ports = { blue = 1, green = 1 }", &[]),
        (
            "ports = { blue = 1, green = 1 }\ntraffic = ['100%']\nrouter = { haproxy = '/s', backend = 'b' }",
            &["both slots have the port 1"],
        ),
        (
            "health-check = { http = 'http://{{ host }}:{{ port }}/' }",
            &["`{{ port }}` has no value: there are no `ports`"],
        ),
        (
            "health-check = { http = '{{ url }}/' }",
            &["`{{ url }}` has no value: the environment has no `url`"],
        ),
        ("health-check = { http = 'localhost' }", &["`localhost` is not an `http://` or `https://` address"]),
        (
            "health-check = { command = 'x', release = 'body' }",
            &["`body` does not say where the id of the release is"],
        ),
        (
            "health-check = { command = 'x', release = 'pattern:a+' }",
            &["the pattern has no group for the id of the release"],
        ),
        (
            "health-check = { command = 'x', http = 'http://a' }",
            &["`health-check` has both `command` and `http`"],
        ),
        ("status = 'is-up {{ role }}'", &["`{{ role }}` is not a placeholder here"]),
        (
            "env = { SLOT = 'x', 'a.b' = 'y' }",
            &[
                "variable `SLOT` is set by taskgate for each process",
                "`a.b` can't be a variable of a process on a host",
            ],
        ),
        ("env = { A = 'x' }\nsecret-env = ['A']", &["variable `A` is both in `env` and in `secret-env`"]),
        ("env-file = '../secrets.env'", &["`../secrets.env` is not a file of the repository"]),
        ("services = ['a']", &["`services` belongs to the driver `compose`"]),
        ("url = 'http://{{ host }}'", &["`{{ host }}` is not a placeholder here"]),
    ] {
        let text = deployed(&format!("{HOSTS}{keys}\n"));
        assert_eq!(messages(&text), expected, "{keys}");
    }
}

#[test]
fn traffic_steps_rise_to_all_requests() {
    for (steps, expected) in [
        ("['10%', '50%', '100%']", &[][..]),
        ("['100%']", &[]),
        ("['50%', '10%', '100%']", &["10 % comes after 50 %"]),
        ("['50%', '50%', '100%']", &["50 % comes after 50 %"]),
        ("['10%', '50%']", &["the last step is 50 %, so the old release would never be replaced"]),
        ("[]", &["`traffic` is empty"]),
        ("['0%', '100%']", &["`0%` is not a share of the requests"]),
        ("['1.5%', '100%']", &["`1.5%` is not a share of the requests"]),
        ("['101%']", &["`101%` is not a share of the requests"]),
    ] {
        let routed = ROUTED.replace("['100%']", steps);
        assert_eq!(messages(&deployed(&format!("{HOSTS}{routed}"))), expected, "{steps}");
    }
}

#[test]
fn figures_that_a_source_does_not_have_are_refused() {
    let nginx = "router = { nginx = '/n', upstream = 'u' }";
    for (router, analysis, expected) in [
        ("", "{ error-rate = '1%', mean = '1s' }", &[][..]),
        (
            "",
            "{ error-rate = '1%', p95 = '1s' }",
            &["`p95` can't be measured: HAProxy counts only errors and the mean time"],
        ),
        (nginx, "{ error-rate = '1%' }", &["`error-rate` can't be measured: nginx counts no requests"]),
        (nginx, "{ error-rate = '1%', p95 = '1s', mean = '1s', source = { command = 'x' } }", &[]),
        (
            "",
            "{ p95 = '1s', source = { prometheus = 'http://a', requests = 'q' } }",
            &["`p95` can't be measured: `source` has no query for it"],
        ),
        (
            "",
            "{ p95 = '1s', source = { prometheus = 'http://a', requests = '{{ port }}', p95 = 'q' } }",
            &["`{{ port }}` is not a placeholder here"],
        ),
        ("", "{ min-requests = 5 }", &["`analysis` has no `error-rate` or `p95` or `mean`"]),
        ("", "{ error-rate = '101%' }", &["`101%` is not a percentage"]),
    ] {
        let routed = if router.is_empty() {
            ROUTED.to_owned()
        } else {
            ROUTED.replace("router = { haproxy = '/s', backend = 'b' }", router)
        };
        let text = deployed(&format!("{HOSTS}{routed}analysis = {analysis}\n"));
        assert_eq!(messages(&text), expected, "{analysis}");
    }
}

#[test]
fn hosts_have_different_names_and_routers_a_machine() {
    let two = "[{ ssh = 'a@web1' }, { ssh = 'b@web1:22' }]";
    let named = "[{ ssh = 'a@web1' }, { ssh = 'b@web1:22', name = 'web2' }]";
    let text =
        |hosts: &str, more: &str| deployed(&format!("{}{more}", HOSTS.replace("[{ ssh = 'web1' }]", hosts)));
    assert_eq!(messages(&text(two, "")), ["two hosts are named `web1`"]);
    assert!(messages(&text(named, "")).is_empty());
    assert_eq!(messages(&text("[]", "")), ["`hosts` is empty"]);
    assert_eq!(
        messages(&text("[{ ssh = '-oProxyCommand=x' }]", "")),
        ["`-oProxyCommand=x` is not a destination of ssh"]
    );
    assert_eq!(messages(&text("[{ local = false }]", "")), ["`local = false` names no machine"]);
    assert_eq!(messages(&text(named, ROUTED)), ["`router` has no `on`"]);
    let config = parse_ok(&text("[{ ssh = 'deploy@[::1]:2201' }]", ROUTED));
    let role = &config.environments[0].roles[0];
    assert_eq!((&*role.hosts[0].name, &role.hosts[0].connection), ("::1", &ssh("deploy@::1", Some(2201))));
    assert_eq!(role.traffic.as_ref().unwrap().on, ssh("deploy@::1", Some(2201)));
}

#[test]
fn keys_of_a_role_are_beside_roles_or_in_them() {
    let role = "[environments.e.roles.web]\nartifact = 'api'\nhosts = [{ local = true }]\nstart = 'systemctl start a'\n";
    let text =
        deployed(&format!("driver = 'hosts'\npath = '/srv'\nports = {{ blue = 1, green = 2 }}\n{role}"));
    assert_eq!(messages(&text), ["`ports` belongs in a role of environment `e`"]);
    let text = deployed("driver = 'hosts'\npath = '/srv'\n");
    assert_eq!(messages(&text), ["environment `e` has no `roles` or `hosts`"]);
    let text = deployed("driver = 'hosts'\npath = '/srv'\n[environments.e.roles.web]\nrun = 'x'\n");
    assert_eq!(
        messages(&text),
        ["role `web` has no `hosts`", "role `web` has no `artifact`", "role `web` has no key `run`",]
    );
}

#[test]
fn mistakes_of_a_compose_environment_are_reported() {
    let compose = "driver = 'compose'\nfile = 'c.yml'\nservices = ['web']\n";
    for (keys, expected) in [
        ("", &[][..]),
        ("traffic = ['100%']\nrouter = { haproxy = '/s', backend = 'b' }", &[]),
        ("artifacts = { web = 'image' }\nhost = { local = true }", &[]),
        ("artifacts = { web = 'api' }", &["artifact `api` is not an image"]),
        ("artifacts = { db = 'image' }", &["`db` is not one of the `services`"]),
        ("services = ['a b']", &["`a b` can't be the name of a compose service"]),
        ("artifacts = { web = 'other' }", &["there is no artifact `other`"]),
        ("host = { ssh = 'h' }", &["environment `e` has no `path`"]),
        ("hosts = [{ ssh = 'h' }]", &["`hosts` belongs to the driver `hosts`"]),
        ("artifact = 'image'", &["`artifact` belongs to the driver `hosts` or `command`"]),
    ] {
        let base = if keys.starts_with("services") {
            compose.replace("services = ['web']\n", "")
        } else {
            compose.to_owned()
        };
        assert_eq!(messages(&deployed(&format!("{base}{keys}\n"))), expected, "{keys}");
    }
    assert_eq!(
        messages(&deployed("driver = 'compose'\n")),
        ["environment `e` has no `file`", "environment `e` has no `services`"]
    );
}

#[test]
fn mistakes_of_a_command_environment_are_reported() {
    assert_eq!(
        messages(&deployed("driver = 'command'\nobserve = 'x'\nhealth-check = { http = 'http://a' }\n")),
        [
            "environment `e` has no `stage`",
            "environment `e` has no `check`",
            "environment `e` has no `shift`",
            "environment `e` has no `artifact`",
            "`health-check` belongs to the driver `hosts` or `compose`",
        ]
    );
    let text = deployed(
        "driver = 'command'\nartifact = 'api'\nobserve = 'x'\nstage = 'x'\ncheck = 'x'\nshift = 'x'\n",
    );
    let traffic = parse_ok(&text).environments[0].roles[0].traffic.clone().unwrap();
    assert_eq!((&*traffic.steps, traffic.router), (&[100][..], Router::Driver));
}

#[test]
fn promotion_has_a_source_and_no_cycle() {
    let environments = |pairs: &[(&str, &str)]| {
        let mut text =
            "[tasks.build]\nrun = 'x'\noutputs = ['o']\n[artifacts.api]\ntask = 'build'\n".to_owned();
        for (name, from) in pairs {
            let from = if from.is_empty() { String::new() } else { format!("promote-from = '{from}'\n") };
            text.push_str(&format!("[environments.{name}]\n{HOSTS}{from}"));
        }
        text
    };
    for (pairs, expected) in [
        (&[("a", ""), ("b", "a"), ("c", "b")][..], &[][..]),
        (&[("a", "a")], &["environment `a` promotes from itself"]),
        (&[("a", "x")], &["there is no environment `x`"]),
        (&[("a", "b"), ("b", "a")], &["environments promote from each other in a cycle: a → b → a"]),
        (
            &[("c", "a"), ("a", "b"), ("b", "a")],
            &["environments promote from each other in a cycle: a → b → a"],
        ),
    ] {
        assert_eq!(messages(&environments(pairs)), expected, "{pairs:?}");
    }
}

#[test]
fn deploy_windows_are_days_times_and_a_zone() {
    for (window, expected) in [
        ("days = 'Mon-Thu'", &[][..]),
        ("days = 'mon, Wed ,Sat-Sun', from = '22:00', to = '02:00'", &[]),
        ("days = 'Sat-Mon', zone = 'America/New_York'", &[]),
        ("days = 'Montag'", &["`Montag` names no days"]),
        ("days = 'Mon-'", &["`Mon-` names no days"]),
        ("from = '24:00'", &["`24:00` is not a time of the day"]),
        ("to = '24:00'", &[]),
        ("to = '09:60'", &["`09:60` is not a time of the day"]),
        ("zone = 'Europe/Berln'", &["`Europe/Berln` is not a time zone"]),
        ("zone = 'Mars'", &["`Mars` is not a time zone"]),
    ] {
        let text = deployed(&format!("{HOSTS}deploy-windows = [{{ {window} }}]\n"));
        assert_eq!(messages(&text), expected, "{window}");
    }
    let windows = |window: &str| {
        let text = deployed(&format!("{HOSTS}deploy-windows = [{{ {window} }}]\n"));
        parse_ok(&text).environments[0].policy.windows.clone()
    };
    let days = [true, false, false, false, false, true, true];
    let zone = "UTC".to_owned();
    assert_eq!(windows("days = 'Sat-Mon'"), [DeployWindow { days, from: 0, to: 1440, zone }]);
    assert_eq!(windows("zone = 'europe/berlin'")[0].zone, "Europe/Berlin");
    let text = deployed(&format!("{HOSTS}deploy-windows = []\n"));
    assert_eq!(messages(&text), ["`deploy-windows` is empty, so nobody could deploy"]);
}

#[test]
fn names_of_tasks_and_patterns_of_branches_are_checked() {
    for (keys, expected) in [
        ("gate = ['bild']", "`gate` of environment `e` names `bild`, which is neither a task nor a group"),
        (
            "smoke = ['smoke']",
            "`smoke` of environment `e` names `smoke`, which is neither a task nor a group",
        ),
        ("branches = ['a b']", "`a b` is not a pattern of branches"),
        ("tags = ['[']", "`[` is not a pattern of tags"),
        ("approval = { count = 2 }", "`approval` has no `signers`"),
        ("approval = { signers = '/etc/signers' }", "`/etc/signers` is not a file of the repository"),
        ("path = '/srv/../etc'", "`/srv/../etc` is not an absolute path"),
    ] {
        let base =
            if keys.starts_with("path") { HOSTS.replace("path = '/srv'\n", "") } else { HOSTS.to_owned() };
        assert_eq!(messages(&deployed(&format!("{base}{keys}\n"))), [expected], "{keys}");
    }
    for name in ["a..b", "a.lock", "a."] {
        let text = deployed(HOSTS).replace("[environments.e]", &format!("[environments.'{name}']"));
        assert_eq!(messages(&text), [format!("`{name}` can't be the name of an environment")]);
    }
}

#[test]
fn paths_of_this_machine_may_be_relative() {
    let router = "ports = { blue = 1, green = 2 }\ntraffic = ['100%']\nhealth-check = { http = 'http://a', release = '/r' }\n";
    let local = format!(
        "{}{router}",
        HOSTS.replace("'/srv'", "'.run/{{ host }}'").replace("ssh = 'web1'", "local = true")
    );
    let text = deployed(&format!("{local}router = {{ haproxy = './run/admin.sock', backend = 'b' }}\n"));
    let mut environment = parse_ok(&text).environments.remove(0);
    assert_eq!(environment.path, ".run/{{ host }}");
    environment.make_absolute(Path::new("/home/me/shop"));
    assert_eq!(environment.path, "/home/me/shop/.run/{{ host }}");
    let Router::Haproxy { socket, .. } = &environment.roles[0].traffic.as_ref().unwrap().router else {
        panic!("another router");
    };
    assert_eq!(socket, "/home/me/shop/run/admin.sock");
    // On another machine there is no repository.
    let on = "on = { ssh = 'lb' }";
    let text = deployed(&format!("{local}router = {{ haproxy = 'admin.sock', backend = 'b', {on} }}\n"));
    assert_eq!(messages(&text), ["`admin.sock` is not an absolute path"]);
    let text = deployed(&format!("{local}router = {{ haproxy = '/admin.sock', backend = 'b', {on} }}\n"));
    assert_eq!(messages(&text), ["`.run/{{ host }}` is not an absolute path"]);
    for path in ["../shop", "~/shop"] {
        let text = deployed(&HOSTS.replace("'/srv'", &format!("'{path}'")));
        assert_eq!(messages(&text), [format!("`{path}` is not an absolute path")]);
    }
}

#[test]
fn migrations_say_whether_there_is_a_way_back() {
    let migrations = |keys: &str| {
        let text = deployed(&format!("{HOSTS}migrations = {{ pending = 'p', expand = 'e', {keys} }}\n"));
        messages(&text)
    };
    assert!(migrations("revert = 'r'").is_empty());
    assert!(migrations("irreversible = true").is_empty());
    assert_eq!(migrations("contract = 'c'"), ["`migrations` has no `revert` or `irreversible`"]);
    assert_eq!(migrations("irreversible = false"), ["nothing says how `expand` is undone"]);
    let both = "revert = 'r', irreversible = true";
    assert_eq!(migrations(both), ["`migrations` has both `revert` and `irreversible`"]);
    let rehearse = "revert = 'r', rehearse = { service = 'scrach', schema = 's' }";
    assert_eq!(migrations(rehearse), ["there is no service `scrach`"]);
    let port = "revert = 'r', rehearse = { service = 'scratch', schema = 's {{ services.scratch.port }}' }";
    assert!(migrations(port).is_empty());
}

#[test]
fn stores_and_journals_are_places() {
    let settings = |keys: &str| parse_ok(&format!("[deploy]\n{keys}\n")).deploy;
    let ssh = |host: &str, path: &str| StoreLocation::Ssh {
        destination: SshDestination { host: host.to_owned(), port: None },
        path: path.to_owned(),
    };
    assert_eq!(settings("").store, StoreLocation::StateDir);
    assert_eq!(settings("store = 'artifacts'").store, StoreLocation::Folder("artifacts".to_owned()));
    assert_eq!(settings("store = 'ssh://h/srv/a/'").store, ssh("h", "/srv/a"));
    let oci = StoreLocation::Oci { registry: "h:5000".to_owned(), repository: "shop/artifacts".to_owned() };
    assert_eq!(settings("store = 'oci://h:5000/shop/artifacts'").store, oci);
    assert_eq!(settings("").journal, JournalLocation::Remote("origin".to_owned()));
    assert_eq!(settings("journal = 'local'").journal, JournalLocation::Local);
    let url = "git@example.org:journal.git".to_owned();
    assert_eq!(settings("journal = 'git@example.org:journal.git'").journal, JournalLocation::Url(url));
    for store in ["ssh://h", "ssh://h:0/a", "oci://h", "oci://h/Shop", "s3://bucket/a"] {
        let text = format!("[deploy]\nstore = '{store}'\n");
        assert_eq!(messages(&text), [format!("`{store}` is not a place for artifacts")]);
    }
}

#[test]
fn artifact_is_of_one_task_that_has_outputs_or_an_image() {
    let artifact = |keys: &str| {
        let tasks = "[tasks.a]\nrun = 'x'\ngroup = 'g'\n[tasks.b]\nrun = 'x'\ngroup = 'g'\noutputs = ['o']\n";
        messages(&format!("{tasks}[artifacts.x]\n{keys}\n"))
    };
    assert!(artifact("task = 'b'").is_empty());
    assert!(artifact("task = 'a'\nimage = 'localhost:5000/a/b'").is_empty());
    assert_eq!(artifact("task = 'a'"), ["task `a` has no outputs that could be artifact `x`"]);
    assert_eq!(artifact("task = 'g'"), ["artifact `x` is of one task, and `g` names 2"]);
    assert_eq!(artifact("image = 'a'"), ["artifact `x` has no `task`"]);
    assert_eq!(
        artifact("task = 'a'\nimage = 'a/b:latest'"),
        ["`a/b:latest` is not the name of an image without tag and digest"]
    );
}

#[test]
fn other_text_in_double_braces_stays() {
    let start = "systemctl start a && docker ps --format '{{ .Names }}' '{{json .}}' {{ slot }}";
    let text = deployed(&HOSTS.replace("'systemctl start a'", &format!("\"{start}\"")));
    let runs = &parse_ok(&text).environments[0].roles[0].runs;
    assert!(matches!(runs, Runs::Lines { start: read, .. } if read == start));
}

#[test]
fn included_file_has_no_tables_about_deploying() {
    let text = "[artifacts]\n[deploy]\n[environments]\n";
    let included = SourceText { name: "api/tasks.toml", text, base: path("api"), project: "api" };
    let diagnostics = parse(&included).unwrap_err();
    let found: Vec<&str> = diagnostics.list().map(|diagnostic| &*diagnostic.message).collect();
    let expected = ["artifacts", "deploy", "environments"]
        .map(|table| format!("`[{table}]` belongs in the outermost tasks.toml"));
    assert_eq!(found, expected);
}
