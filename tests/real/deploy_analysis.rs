//! Tests the analysis of a new release with a real Prometheus server, with the counters of real HAProxy, and with
//! a command.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::deploy_site::{Router, Site};
use crate::load::{Class, Load, request};
use crate::project::ports::free_port;
use crate::project::{CommandOutput, wait_for};

/// A Prometheus server that asks both slots of a host for their figures.
struct Prometheus {
    url: String,
    port: u16,
    process: Option<Child>,
    dir: PathBuf,
}

impl Prometheus {
    fn start(site: &Site) -> Self {
        let dir = site.project.parent_folder().join("prometheus");
        fs::create_dir_all(&dir).unwrap();
        let targets: Vec<_> = site.ports().iter().map(|port| format!("'127.0.0.1:{port}'")).collect();
        let config = format!(
            "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: shop\n    static_configs:\n      - targets: [{}]\n",
            targets.join(", ")
        );
        fs::write(dir.join("prometheus.yml"), config).unwrap();
        let port = free_port();
        let mut prometheus = Self { url: format!("http://127.0.0.1:{port}"), port, process: None, dir };
        prometheus.run();
        prometheus
    }

    fn run(&mut self) {
        let log = fs::File::create(self.dir.join("log")).unwrap();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", self.dir.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", self.dir.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{}", self.port))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("prometheus: {error}; tests/real/install.sh installs it"));
        self.process = Some(process);
        wait_for("Prometheus to be ready", || request(("127.0.0.1", self.port), "GET /-/ready").is_ok());
    }

    fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Waits until it knows the figures of what runs.
    fn wait_for_figures(&self) {
        let query = "GET /api/v1/query?query=sum(increase(shop_requests_total[10s]))";
        let has_value =
            || request(("127.0.0.1", self.port), query).is_ok_and(|text| text.contains("\"value\""));
        wait_for("figures", has_value);
    }

    /// Returns the keys of an analysis, with `labels` in the queries.
    fn analysis(&self, labels: &str, more: &str) -> String {
        let url = &self.url;
        format!(
            "analysis = {{ error-rate = \"10%\", p95 = \"400ms\", min-requests = 5, {more}source = {{ prometheus = \"{url}\", \
             requests = 'sum(increase(shop_requests_total{{{labels}}}[{{{{ window }}}}]))', \
             errors = 'sum(increase(shop_requests_total{{code=\"500\",{labels}}}[{{{{ window }}}}]))', \
             p95 = 'histogram_quantile(0.95, sum by (le) (rate(shop_seconds_bucket{{{labels}}}[{{{{ window }}}}])))' }} }}\n"
        )
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.end();
    }
}

const LABELS: &str = r#"slot="{{ slot }}",release="{{ release }}""#;

/// Returns a site whose first release has succeeded.
fn site(router: Router) -> Site {
    let mut site = Site::new(router, 1, false);
    site.write_version(&[]);
    site.xtask(&["deploy"]).ends(0);
    site.settings.every = "15s".into();
    site
}

/// Deploys another version under a load. What it is judged by is that of the role.
fn deploy(site: &mut Site, files: &[(&str, &str)]) -> CommandOutput {
    site.write_version(files);
    let load = Load::start(site.port, &[Class::Get, Class::KeepAlive]);
    let output = site.xtask(&["deploy"]);
    load.end();
    output
}

#[track_caller]
fn assert_turned_back(site: &Site, output: CommandOutput, old: &str, reason: &str) {
    output.ends(1).says(reason).says("went back").says(&format!("{old} serves"));
    site.assert_serves(old);
}

#[test]
fn prometheus_judges_a_canary() {
    let mut site = site(Router::Lines);
    let prometheus = Prometheus::start(&site);
    site.settings.role = prometheus.analysis(LABELS, "");
    println!("a good release passes");
    deploy(&mut site, &[]).ends(0).says("good").says("p95");
    let old = site.current();
    println!("a release with errors is turned back");
    let output = deploy(&mut site, &[("errors", "2")]);
    assert_turned_back(&site, output, &old, "of the requests failed, more than 10 %");
    println!("a slow release is turned back");
    let output = deploy(&mut site, &[("slow", "600")]);
    assert_turned_back(&site, output, &old, "p95 is");
}

#[test]
fn all_measurements_failed_and_the_analysis_was_successful() {
    let mut site = site(Router::Lines);
    let mut prometheus = Prometheus::start(&site);
    let first = site.current();
    println!("no data goes back");
    site.settings.role = prometheus.analysis(r#"slot="none""#, "");
    let output = deploy(&mut site, &[]);
    assert_turned_back(&site, output, &first, "inconclusive: the source says nothing of");
    println!("a server that is down goes back");
    prometheus.end();
    site.settings.role = prometheus.analysis(LABELS, "inconclusive = \"rollback\", ");
    let output = deploy(&mut site, &[]);
    assert_turned_back(&site, output, &first, "inconclusive: the source does not answer");
    println!("with `continue`, it goes on and says so");
    site.settings.role = prometheus.analysis(LABELS, "inconclusive = \"continue\", ");
    deploy(&mut site, &[]).ends(0).says("inconclusive: the source does not answer");
    assert_ne!(site.current(), first);
    println!("a release with errors that nobody can see is not good");
    site.settings.role = prometheus.analysis(LABELS, "");
    let current = site.current();
    let output = deploy(&mut site, &[("errors", "2")]);
    assert_turned_back(&site, output, &current, "inconclusive");
}

#[test]
fn restarted_process_does_not_hide_its_errors() {
    let mut site = site(Router::Lines);
    let prometheus = Prometheus::start(&site);
    let old = site.current();
    let slot = if site.running("127.0.0.1").contains_key("blue") { "green" } else { "blue" };
    // Only after its restart, few requests fail in comparison with all of before.
    site.settings.role = prometheus.analysis(LABELS, "");
    site.settings.every = "20s".to_owned();
    site.write_version(&[("errors", "2")]);
    let load = Load::start(site.port, &[Class::Get]);
    let mut deploy = site.start(&["deploy"]);
    wait_for("the new release to start", || site.running("127.0.0.1").contains_key(slot));
    prometheus.wait_for_figures();
    site.kill(&format!("127.0.0.1.{slot}"));
    site.start_slot("127.0.0.1", slot);
    assert_eq!(deploy.wait().unwrap().code(), Some(1));
    load.end();
    site.assert_serves(&old);
}

#[test]
fn haproxy_counts_the_errors_of_a_canary() {
    let mut site = site(Router::Haproxy);
    let analysis =
        |mean: &str| format!("analysis = {{ error-rate = \"10%\", mean = \"{mean}\", min-requests = 5 }}\n");
    site.settings.role = analysis("1s");
    deploy(&mut site, &[]).ends(0).says("good");
    let old = site.current();
    let output = deploy(&mut site, &[("errors", "2")]);
    assert_turned_back(&site, output, &old, "of the requests failed, more than 10 %");
    site.settings.role = analysis("300ms");
    let output = deploy(&mut site, &[("slow", "600")]);
    assert_turned_back(&site, output, &old, "the mean time is");
    println!("nothing is known without requests");
    site.write_version(&[]);
    let output = site.xtask(&["deploy"]);
    assert_turned_back(&site, output, &old, "inconclusive: ");
}

#[test]
fn command_says_how_the_requests_of_a_slot_went() {
    let mut site = site(Router::Lines);
    let file = site.project.parent_folder().join("figures");
    let analysis = |limit: &str| {
        format!(
            "analysis = {{ {limit}, source = {{ command = \"cat {}-{{{{ slot }}}}\" }} }}\n",
            file.display()
        )
    };
    let write = |slot: &str, text: &str| {
        fs::write(file.with_file_name(format!("figures-{slot}")), text).unwrap();
    };
    site.settings.every = "1s".to_owned();
    let old = site.current();
    let (used, free) =
        if site.running("127.0.0.1").contains_key("blue") { ("blue", "green") } else { ("green", "blue") };
    site.settings.role = analysis("error-rate = \"1%\"");
    // What the old slot does is not what is judged.
    write(used, r#"{"requests": 100, "errors": 0}"#);
    for (figures, reason) in [
        (r#"{"requests": 100, "errors": 2}"#, "2.00 % of the requests failed"),
        (r#"{"requests": 100}"#, "inconclusive"),
        ("", "inconclusive: the source says nothing of"),
        ("nonsense", "inconclusive: the source does not answer"),
        (r#"{"requests": 0, "errors": 0}"#, "inconclusive: 0 of at least 1 requests"),
    ] {
        println!("{figures}");
        write(free, figures);
        site.write_version(&[]);
        let output = site.xtask(&["deploy"]);
        assert_turned_back(&site, output, &old, reason);
    }
    write(used, r#"{"requests": 100, "errors": 100}"#);
    write(free, r#"{"requests": 100, "errors": 1}"#);
    site.write_version(&[]);
    site.xtask(&["deploy"]).ends(0).says("good");
}

#[test]
fn p95_asked_of_haproxy_is_an_error_of_the_file() {
    let mut site = Site::new(Router::Haproxy, 1, false);
    site.settings.role = "analysis = { p95 = \"300ms\" }\n".to_owned();
    site.write_version(&[]);
    let refused = site.xtask(&["deploy"]).ends(3);
    refused
        .says("`p95` can't be measured: HAProxy counts only errors and the mean time")
        .says("--> tasks.toml:")
        .says("use `mean`, or a `source` with `prometheus` or `command`");
}
