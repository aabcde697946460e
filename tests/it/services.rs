//! Services: they are started when needed, shared, ready before they are used, and stopped with the run.

use std::net::TcpListener;

use crate::project::ports::free_port;
use crate::project::server::{ask, server};
use crate::project::{Project, processes, wait_for};

/// Creates a project with a service `web` on a free port. `more` is appended to its keys, `rest` to the file.
fn with_web(more: &str, rest: &str) -> Project {
    let run = format!("{} {{{{ services.web.port }}}} 100", server().display());
    Project::new(&format!(
        "[services.web]\nrun = 'echo start >> ran; exec {run}'\nport = 'auto'\ninputs = []\n{more}\n{rest}"
    ))
}

/// Returns a task that sends a request to the service.
fn task_with_request(name: &str) -> String {
    let ask = ask();
    format!(
        "[tasks.{name}]\nrun = '{} {{{{ services.web.port }}}} / && echo {name} $XTASK_SERVICE_WEB_PORT >> ran'\nservices = ['web']\ninputs = ['?src/**']\n",
        ask.display()
    )
}

/// Returns how often the service was started, and checks that none of its processes is left.
fn count_starts(project: &Project) -> usize {
    assert_eq!(
        processes(&project.parent_folder().display().to_string()),
        Vec::<i32>::new(),
        "processes are left"
    );
    project.lines("ran").iter().filter(|line| *line == "start").count()
}

#[test]
fn service_starts_once_for_all_tasks_and_never_for_hits() {
    let tasks = [
        task_with_request("a"),
        task_with_request("b"),
        task_with_request("c"),
        "[tasks.none]\nrun = 'true'\n".to_owned(),
    ]
    .join("");
    let project = with_web("", &tasks);
    project.xtask(&["none"]).ends(0);
    assert_eq!(count_starts(&project), 0);
    let ran = project.xtask(&["run", "a", "b", "c", "--jobs", "3"]).ends(0);
    assert_eq!(ran.err.matches("service is ready").count(), 1);
    assert_eq!(count_starts(&project), 1);
    project.xtask(&["run", "a", "b", "c"]).ends(0);
    assert_eq!(count_starts(&project), 1);
    project.write("src/x", "new");
    project.xtask(&["a"]).ends(0);
    assert_eq!(count_starts(&project), 2);
    assert_screens!();
}

#[test]
fn service_definition_is_in_the_key_and_its_port_is_not() {
    let project = with_web("", &task_with_request("a"));
    project.xtask(&["a"]).ends(0);
    project.xtask(&["a"]).ends(0);
    let tasks = project.read("tasks.toml");
    project.write("tasks.toml", tasks.replace(" 100'", " 50'"));
    project.xtask(&["a"]).ends(0);
    project.write("tasks.toml", tasks.replace("inputs = []", "inputs = ['web.conf']"));
    project.xtask(&["a"]).ends(0);
    project.write("web.conf", "x");
    project.xtask(&["a"]).ends(0);
    project.write("tasks.toml", tasks.replace("inputs = []", ""));
    project.write("README", "x");
    project.xtask(&["a"]).ends(0);
    assert_screens!();
}

#[test]
fn more_services_than_jobs_start_in_their_order() {
    let server = server();
    let service = |name: &str, more: &str| {
        format!(
            r"
            [services.{name}]
            run = 'echo {name} >> ran; exec {} {{{{ services.{name}.port }}}}'
            port = 'auto'
            inputs = []
            {more}
            ",
            server.display()
        )
    };
    let text = [
        service("a", "services = ['b', 'c']"),
        service("b", "services = ['d']\nneeds = ['build']"),
        service("c", "services = ['d']"),
        service("d", ""),
        "[tasks.build]\nrun = 'echo build >> ran'\n".to_owned(),
        "[tasks.t]\nrun = 'echo t >> ran'\nservices = ['a', 'd']\n".to_owned(),
        "[tasks.u]\nrun = 'echo u >> ran'\nservices = ['c']\n".to_owned(),
    ];
    let project = Project::new(&text.join(""));
    project.xtask(&["run", "t", "u", "--jobs", "1"]).ends(0);
    let ran = project.lines("ran");
    let place =
        |what: &str| ran.iter().position(|line| line == what).unwrap_or_else(|| panic!("{what}: {ran:?}"));
    for (first, then) in
        [("build", "b"), ("d", "b"), ("d", "c"), ("b", "a"), ("c", "a"), ("a", "t"), ("c", "u")]
    {
        assert!(place(first) < place(then), "{first} before {then}: {ran:?}");
    }
    assert_eq!(count_starts(&project), 0);
}

#[test]
fn service_that_exits_fails_its_task() {
    let die = format!(
        r"
        [tasks.die]
        run = '{} {{{{ services.web.port }}}} /die; sleep 100'
        services = ['web']
        ",
        ask().display()
    );
    let project = with_web("", &(die + &task_with_request("a") + "locks = ['one']\nneeds = []\n"));
    project.xtask(&["die"]).ends(1);
    assert_eq!(count_starts(&project), 1);
    // The service is started again for the next task that uses it.
    project.xtask(&["run", "die", "a", "--keep-going", "--jobs", "1"]).ends(1);
    assert!(project.lines("ran").iter().any(|line| line.starts_with("a ")));
    project.xtask(&["log", "--last", "--service", "web"]).ends(0);
    assert_eq!(count_starts(&project), 3);
    assert_screens!();
}

#[test]
fn service_that_is_never_ready_fails_with_its_last_lines() {
    let project = Project::new(
        r"
        [services.slow]
        run = 'echo I try; exec sleep 1000'
        ready = { log = '^never$', timeout = '3s' }

        [services.dead]
        run = 'echo I can not >&2; exit 3'
        ready = { tcp = '127.0.0.1:1' }

        [services.odd]
        run = 'exec sleep 1000'
        ready = { command = 'echo not yet; exit 7', timeout = '3s' }

        [tasks.slow]
        run = 'echo ran >> ran'
        services = ['slow']
        [tasks.dead]
        run = 'echo ran >> ran'
        services = ['dead']
        [tasks.odd]
        run = 'echo ran >> ran'
        services = ['odd']
        ",
    );
    project.xtask(&["slow"]).ends(1);
    project.xtask(&["dead", "--junit", "junit.xml"]).ends(1);
    assert!(
        project.read("junit.xml").contains("── service dead ──\nI can not"),
        "the report has the service's error"
    );
    project.xtask(&["odd"]).ends(1);
    assert_eq!(count_starts(&project), 0);
    assert!(project.lines("ran").is_empty());
    assert_screens!();
}

#[test]
fn taken_port_is_reported_before_anything_starts() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let project = Project::new(&format!(
        r"
        [services.a]
        run = 'echo start >> ran; sleep 1000'
        port = {port}
        [services.b]
        run = 'echo start >> ran; sleep 1000'
        ready = {{ tcp = '127.0.0.1:{port}' }}
        [tasks.a]
        run = 'true'
        services = ['a']
        [tasks.b]
        run = 'true'
        services = ['b']
        "
    ));
    project
        .xtask(&["a"])
        .ends(1)
        .says(&format!("port {port} is already in use: another program listens on it (tasks.toml:1)"));
    project.xtask(&["b"]).ends(1).says(&format!("127.0.0.1:{port} is already in use"));
    assert_eq!(count_starts(&project), 0);
}

#[test]
fn service_is_stopped_with_its_signal_and_then_killed() {
    let deaf = format!("exec {} {{{{ services.deaf.port }}}} 0 --deaf", server().display());
    let project = with_web(
        "stop = { signal = 'SIGINT', grace = '60s' }",
        &format!(
            "[services.deaf]\nrun = '{deaf}'\nport = 'auto'\nstop = {{ grace = '200ms' }}\n[tasks.a]\nrun = 'true'\nservices = ['web', 'deaf']\n"
        ),
    );
    project.xtask(&["a"]).ends(0);
    project.xtask(&["log", "--last", "--service", "web"]).ends(0);
    assert_eq!(count_starts(&project), 1);
    assert_screens!();
}

#[test]
fn invalid_port_and_background_service_are_errors() {
    let project = Project::new(
        r"
        [services.s]
        run = 'true'
        ready = { log = 'x' }
        [tasks.t]
        run = 'true'
        services = ['s']
        [tasks.u]
        run = 'echo {{ services.s.prt }} {{ other.x }}'
        ",
    );
    project.xtask(&["t"]).ends(3);
    project.write("tasks.toml", project.read("tasks.toml").replace("{{ services.s.prt }}", ""));
    project.xtask(&["t"]).ends(1);
    assert_screens!();
}

#[test]
fn killed_run_leaves_no_service_folder() {
    let project = with_web("", "[tasks.a]\nrun = 'touch running; sleep 1000'\nservices = ['web']\n");
    let temp = project.parent_folder().join("temp");
    std::fs::create_dir(&temp).unwrap();
    let mut run = project.xtask_command(&["a"]).env("TMPDIR", &temp).spawn().unwrap();
    wait_for("the task runs", || project.path("running").exists());
    assert_eq!(std::fs::read_dir(&temp).unwrap().count(), 1);
    run.kill().unwrap();
    run.wait().unwrap();
    wait_for("the folder is removed", || std::fs::read_dir(&temp).unwrap().count() == 0);
}

#[test]
fn two_runs_at_once_have_separate_services() {
    let wait = r#"
        [tasks.a]
        run = 'echo {{ services.web.port }} >> ran; until [ $(grep -c "^[0-9]" ran) = 2 ]; do sleep 0.01; done'
        services = ['web']
        cache = false
        "#;
    let project = with_web("", wait);
    let mut one = project.start(&["a"]);
    project.xtask(&["a"]).ends(0);
    assert!(one.wait().unwrap().success());
    let ports: Vec<String> = project.lines("ran").into_iter().filter(|line| line != "start").collect();
    assert_ne!(ports[0], ports[1]);
    assert_eq!(count_starts(&project), 2);
}

#[test]
fn interrupted_or_killed_run_leaves_no_service() {
    let text = r"
        [tasks.a]
        run = 'touch running; sleep 1000'
        finally = 'echo {{ services.web.port }} > port'
        services = ['web']
        ";
    for (signal, status) in [("INT", Some(130)), ("KILL", None)] {
        let project = with_web("", text);
        let mut run = project.start(&["a"]);
        wait_for("the task runs", || project.path("running").exists());
        crate::project::signal(signal, i32::try_from(run.id()).unwrap());
        assert_eq!(run.wait().unwrap().code(), status);
        wait_for("no process is left", || {
            processes(&project.parent_folder().display().to_string()).is_empty()
        });
        let server = server().display().to_string();
        wait_for("no server is left", || {
            processes(&server).iter().all(|pid| {
                let env = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                !String::from_utf8_lossy(&env).contains(&project.parent_folder().display().to_string())
            })
        });
        if signal == "INT" {
            assert!(!project.read("port").contains('{'), "`finally` gets the port");
        }
    }
}

#[test]
fn invalid_services_are_reported_with_their_place() {
    let project = Project::new(
        r#"
        [services.db]
        port = "any"
        ready = { tcp = "here", log = "(" }
        stop = { signal = "SIGNAL" }
        image = "postgres"

        [services.a]
        run = "x"
        services = ["b"]

        [services.b]
        run = "x {{ services.a.port }} {{ services.b.port }}"
        services = ["a"]

        [tasks.t]
        run = "echo {{ services.db.port }} {{ services.a.port }}"
        services = ["bd", "a"]
        "#,
    );
    let ran = project.xtask(&["t"]).ends(3);
    insta::assert_snapshot!("wrong_services", ran.err);
    project.write(
        "tasks.toml",
        r"
        [services.db]
        run = 'x'
        needs = ['migrate']
        [tasks.migrate]
        run = 'x'
        services = ['db']
        ",
    );
    let ran = project.xtask(&["migrate"]).ends(3);
    insta::assert_snapshot!(ran.err, @r#"
    error: tasks need each other in a cycle: migrate → migrate
     --> tasks.toml:4:8
      |
    4 | [tasks.migrate]
      |        ^^^^^^^ `migrate` needs `migrate` for a service that it uses
      |
      = help: remove one of these needs
    "#);
}

#[test]
fn invalid_address_is_reported_before_anything_runs() {
    for (address, says) in [
        ("localhost", "an address without a port"),
        (":5432", "an address without a host"),
        ("localhost:", "an address whose port is not a number from 1 to 65535"),
        ("localhost:postgres", "an address whose port is not a number from 1 to 65535"),
        ("127.0.0.1:65536", "an address whose port is not a number from 1 to 65535"),
        ("127.0.0.1:0", "an address whose port is not a number from 1 to 65535"),
    ] {
        let project = Project::new(&format!(
            r"
            [services.db]
            run = 'touch ran'
            ready = {{ tcp = '{address}' }}
            [tasks.t]
            run = 'touch ran'
            services = ['db']
            "
        ));
        project.xtask(&["t"]).ends(3).says(says);
        assert!(!project.path("ran").exists());
    }
    assert_screens!();
}

#[test]
fn passed_ports_are_part_of_the_key() {
    let text = |named: &str| {
        format!(
            r#"
            [services.db]
            run = 'sleep 1000'
            port = 'auto'
            ready = {{ command = 'true' }}
            inputs = []
            [services.app]
            run = 'sleep 1000'
            services = ['db']
            inputs = []
            [tasks.t]
            run = 'test -n "$XTASK_SERVICE_DB_PORT"'
            services = [{named}]
            inputs = []
            "#
        )
    };
    let project = Project::new(&text("'app', 'db'"));
    project.xtask(&["t"]).ends(0);
    // The same services are running, but the task no longer gets the port of `db`.
    project.write("tasks.toml", text("'app'"));
    project.xtask(&["t"]).ends(1);
    assert_screens!();
}

#[test]
fn aggregate_takes_no_services_from_the_defaults() {
    let project = Project::new(
        r"
        [defaults]
        services = ['db']
        [services.db]
        run = 'exec sleep 1000'
        needs = ['build']
        [tasks.build]
        run = 'echo build >> ran'
        services = []
        [tasks.plain]
        run = 'true'
        services = []
        [tasks.all]
        needs = ['plain']
        ",
    );
    project.xtask(&["all"]).ends(0);
    assert!(project.lines("ran").is_empty());
    assert_screens!();
}

#[test]
fn finally_without_its_port_is_not_run() {
    let project = Project::new(
        r"
        [services.web]
        run = 'exit 3'
        port = 'auto'
        [tasks.a]
        run = 'true'
        finally = 'echo {{ services.web.port }} > port'
        services = ['web']
        ",
    );
    project.xtask(&["a"]).ends(1);
    assert!(!project.path("port").exists());
    assert_screens!();
}

#[test]
fn coloured_line_is_matched_as_displayed() {
    let project = Project::new(
        r"
        [services.web]
        run = '''printf '\033[1;32mready\033[0m to go\n'; exec sleep 1000'''
        ready = { log = '^ready to go$', timeout = '60s' }
        [tasks.a]
        run = 'true'
        services = ['web']
        ",
    );
    project.xtask(&["a"]).ends(0);
}

#[test]
fn service_restarts_with_the_one_that_it_uses() {
    let server = server();
    let project = Project::new(&format!(
        r"
        [services.db]
        run = 'exec {server} {{{{ services.db.port }}}}'
        port = 'auto'
        [services.app]
        run = 'echo $XTASK_SERVICE_DB_PORT > app; exec {server} {{{{ services.app.port }}}}'
        port = 'auto'
        services = ['db']
        [tasks.t]
        run = '''test $(cat app) = $XTASK_SERVICE_DB_PORT; test -e again && exit
        touch again; {ask} $XTASK_SERVICE_DB_PORT /die; sleep 100'''
        services = ['app', 'db']
        retries = 1
        ",
        server = server.display(),
        ask = ask().display()
    ));
    project.xtask(&["t"]).ends(0);
    assert_screens!();
}

#[test]
fn tasks_that_wait_for_a_failed_service_fail() {
    let task = |name: &str| format!("[tasks.{name}]\nrun = 'true'\nservices = ['slow']\n");
    let project = Project::new(&format!(
        "[services.slow]\nrun = 'echo start >> ran; exec sleep 1000'\nready = {{ log = 'never', timeout = '6s' }}\n{}{}{}",
        task("a"),
        task("b"),
        task("c")
    ));
    project.xtask(&["run", "a", "b", "c", "--jobs", "3", "--keep-going"]).ends(1);
    assert_eq!(count_starts(&project), 1);
    assert_screens!();
}

#[test]
fn unanswered_probe_does_not_block_an_interrupted_run() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let project = Project::new(&format!(
        r"
        [services.web]
        run = 'exec sleep 1000'
        ready = {{ http = 'http://127.0.0.1:{port}/' }}
        [tasks.a]
        run = 'true'
        services = ['web']
        "
    ));
    let mut run = project.start(&["a"]);
    let asked = silent.accept().unwrap();
    let clock = std::time::Instant::now();
    crate::project::signal("INT", i32::try_from(run.id()).unwrap());
    assert_eq!(run.wait().unwrap().code(), Some(130));
    assert!(clock.elapsed().as_secs() < 4, "the run waited for the answer");
    drop(asked);
}

#[test]
fn command_probe_can_take_the_whole_timeout() {
    let project = Project::new(
        r"
        [services.a]
        run = 'exec sleep 1000'
        ready = { command = 'sleep 6', timeout = '60s' }
        [services.b]
        run = 'sleep 0.2; exit 3'
        ready = { command = 'sleep 1000', timeout = '900s' }
        [tasks.a]
        run = 'true'
        services = ['a']
        [tasks.b]
        run = 'true'
        services = ['b']
        ",
    );
    project.xtask(&["a"]).ends(0);
    project.xtask(&["b"]).ends(1);
    assert_eq!(count_starts(&project), 0);
    assert_screens!();
}

#[test]
fn http_probe_ignores_the_callers_proxy() {
    let project = with_web(
        "ready = { http = 'http://127.0.0.1:{{ services.web.port }}/', timeout = '60s' }",
        &task_with_request("a"),
    );
    let proxy = "http://127.0.0.1:9";
    project.xtask_env(&["a"], &[("http_proxy", proxy), ("HTTP_PROXY", proxy), ("ALL_PROXY", proxy)]).ends(0);
}

#[test]
#[cfg(target_os = "linux")]
fn port_is_free_after_a_service_exited_with_leftover_processes() {
    let port = free_port();
    let project = Project::new(&format!(
        r"
        [services.s]
        run = 'echo $$ > pid; (setsid {server} {port} &); exec sleep 1000'
        port = {port}
        [tasks.t]
        run = 'test -e again && exit; touch again; kill -9 $(cat pid); sleep 100'
        services = ['s']
        retries = 1
        ",
        server = server().display()
    ));
    project.xtask(&["t"]).ends(0);
    assert_eq!(count_starts(&project), 0);
    assert_screens!();
}

#[test]
fn two_services_of_one_run_never_share_a_port() {
    let port = free_port();
    for (key, named) in [
        (format!("port = {port}"), format!("port {port}")),
        (format!("ready = {{ tcp = 'localhost:{port}' }}"), format!("port {port}")),
        (format!("ready = {{ http = 'http://127.0.0.1:{port}/' }}"), format!("port {port}")),
    ] {
        let project = Project::new("include = ['api/tasks.toml', 'web/tasks.toml']\n");
        for (folder, wait) in [("api", 200), ("web", 1000)] {
            let run = format!("exec {} {port} {wait}", server().display());
            let text = format!(
                r"
                [services.db]
                run = '{run}'
                {key}
                inputs = []
                [tasks.test]
                run = 'true'
                services = ['db']
                inputs = []
                "
            );
            project.write(&format!("{folder}/tasks.toml"), text);
        }
        for jobs in ["2", "1"] {
            let ran = project.xtask(&["run", ":test", "--jobs", jobs, "--keep-going", "--force"]).ends(1);
            let refusal = |holder: &str| format!("{named} is already used by service {holder}");
            let refused = ["api:db", "web:db"].iter().filter(|holder| ran.err.contains(&refusal(holder)));
            assert_eq!(refused.count(), 1, "{}", ran.err);
            assert_eq!(ran.err.matches("service is ready").count(), 1, "{}", ran.err);
        }
        // In separate runs, each service can use the port.
        project.xtask(&["run", "api:test", "--force"]).ends(0);
        project.xtask(&["run", "web:test", "--force"]).ends(0);
    }
}
