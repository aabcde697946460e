//! When a service counts as ready: the address at which it listens, and the lines that it prints.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use crate::project::Project;
use crate::project::ports::free_port_on;
use crate::project::server::server;

/// Creates a project with a service `web` whose server listens at `place`, with these additional keys, and a
/// task that uses it.
fn project_listening_at(place: &str, keys: &str) -> Project {
    Project::new(&format!(
        r"
        [services.web]
        run = 'exec {} {place} 100'
        inputs = []
        {keys}
        [tasks.a]
        run = 'echo ran >> ran'
        services = ['web']
        ",
        server().display()
    ))
}

/// Listens at a free port of `::1`. On a machine without IPv6, prints that and returns `None`.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn ipv6() -> Option<TcpListener> {
    // Without IPv6, no port is free there.
    TcpListener::bind("[::1]:0")
        .inspect_err(|error| eprintln!("not tested: this machine has no IPv6 ({error})"))
        .ok()?;
    let listener = TcpListener::bind(("::1", free_port_on(&["127.0.0.1", "::1"])));
    Some(listener.unwrap())
}

fn port_of(listener: &TcpListener) -> u16 {
    listener.local_addr().unwrap().port()
}

#[test]
fn service_that_listens_on_ipv6_only_is_ready() {
    let Some(listener) = ipv6() else { return };
    let port = port_of(&listener);
    drop(listener);
    for (place, keys) in [
        ("[::1]:{{ services.web.port }}", "port = 'auto'".to_owned()),
        ("[::1]:{{ services.web.port }}", format!("port = {port}")),
        (
            "[::1]:{{ services.web.port }}",
            "port = 'auto'\nready = { http = 'http://localhost:{{ services.web.port }}/x' }".to_owned(),
        ),
        (
            "[::1]:{{ services.web.port }}",
            "port = 'auto'\nready = { http = 'http://[::1]:{{ services.web.port }}/' }".to_owned(),
        ),
        (&format!("[::1]:{port}"), format!("ready = {{ tcp = 'localhost:{port}' }}")),
        (&format!("[::1]:{port}"), format!("ready = {{ tcp = '[::1]:{port}' }}")),
    ] {
        project_listening_at(place, &keys).xtask(&["a"]).ends(0);
    }
    // A service that listens at all addresses is ready too.
    project_listening_at("*:{{ services.web.port }}", "port = 'auto'").xtask(&["a"]).ends(0);
    assert_screens!();
}

#[test]
fn service_with_a_self_signed_certificate_is_ready() {
    let project = Project::new(
        r"
        [services.web]
        run = 'exec openssl s_server -accept {{ services.web.port }} -key key.pem -cert cert.pem -www'
        port = 'auto'
        ready = { http = 'https://localhost:{{ services.web.port }}/', timeout = '60s' }
        [tasks.a]
        run = 'true'
        services = ['web']
        ",
    );
    let args = "req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key.pem -out cert.pem";
    let made = project.command("openssl").args(args.split(' ')).output();
    if !made.as_ref().is_ok_and(|made| made.status.success()) {
        eprintln!("not tested: openssl can't create a certificate: {made:?}");
        return;
    }
    project.xtask(&["a"]).ends(0);
    assert_screens!();
}

#[test]
fn service_at_another_address_fails_and_the_error_names_it() {
    let Some(listener) = ipv6() else { return };
    let port = port_of(&listener);
    drop(listener);
    for asked in [format!("tcp = '127.0.0.1:{port}'"), format!("http = 'http://127.0.0.1:{port}/'")] {
        let keys = format!("ready = {{ {asked}, timeout = '6s' }}");
        project_listening_at(&format!("[::1]:{port}"), &keys)
            .xtask(&["a"])
            .ends(1)
            .says(&format!("something listens at [::1]:{port}: localhost:{port} probes both"));
    }
}

#[test]
fn port_taken_on_ipv6_only_is_taken() {
    let Some(listener) = ipv6() else { return };
    let port = port_of(&listener);
    let project = project_listening_at(&port.to_string(), &format!("port = {port}"));
    project.xtask(&["a"]).ends(1).says(&format!(
        "port {port} is already in use: another program listens on [::1]:{port} (tasks.toml:1)"
    ));
    let project = project_listening_at(&port.to_string(), &format!("ready = {{ tcp = 'localhost:{port}' }}"));
    project.xtask(&["a"]).ends(1).says(&format!("localhost:{port} is already in use"));
    assert!(project.lines("ran").is_empty());
}

#[test]
fn service_that_listens_on_a_unix_socket_is_ready() {
    for (place, ready) in [
        ("$XTASK_SERVICE_DIR/web.sock", "{{ services.web.dir }}/web.sock"),
        ("sub/web.sock", "sub/web.sock"),
        (
            "{{ services.web.dir }}/s.{{ services.web.port }}",
            "{{ services.web.dir }}/s.{{ services.web.port }}",
        ),
    ] {
        let keys = format!("port = 'auto'\nready = {{ unix = '{ready}', timeout = '60s' }}");
        let project = project_listening_at(place, &keys);
        project.write("sub/file", "");
        project.xtask(&["a"]).ends(0);
        assert_eq!(project.lines("ran"), ["ran"]);
    }
    assert_screens!();
}

#[test]
fn task_finds_the_socket_in_the_folder_of_its_service() {
    let text = format!(
        r"
        [services.db]
        run = ['{}', '{{{{ services.db.dir }}}}/s']
        inputs = []
        ready = {{ unix = '{{{{ services.db.dir }}}}/s' }}
        [tasks.a]
        run = 'test -S {{{{ services.db.dir }}}}/s && test -S $HOST/s && echo yes > ran'
        env = {{ HOST = '{{{{ services.db.dir }}}}' }}
        finally = 'test -S {{{{ services.db.dir }}}}/s && echo yes >> ran'
        services = ['db']
        inputs = []
        ",
        server().display()
    );
    let project = Project::new(&text);
    project.xtask(&["a"]).ends(0);
    assert_eq!(project.lines("ran"), ["yes", "yes"]);
    // The folder is different in each run, but is not part of the key.
    project.xtask(&["a"]).ends(0);
    project.write("tasks.toml", text.replace("services = ['db']", ""));
    project.xtask(&["a"]).ends(3);
    assert_screens!();
}

#[test]
fn unused_socket_is_not_ready_and_a_used_one_is_taken() {
    let project = Project::new(
        r"
        [services.web]
        run = 'touch started; exec sleep 1000'
        inputs = []
        ready = { unix = 'web.sock', timeout = '2s' }
        [tasks.a]
        run = 'echo ran >> ran'
        services = ['web']
        ",
    );
    project.xtask(&["a"]).ends(1);
    let listener = UnixListener::bind(project.path("web.sock")).unwrap();
    std::fs::remove_file(project.path("started")).unwrap();
    project.xtask(&["a"]).ends(1);
    assert!(!project.path("started").exists(), "no service is started");
    drop(listener);
    project.xtask(&["a"]).ends(1);
    std::fs::remove_file(project.path("web.sock")).unwrap();
    project.write("web.sock", "");
    project.xtask(&["a"]).ends(1);
    assert!(project.lines("ran").is_empty());
    assert_screens!();
}

#[test]
fn socket_with_a_too_long_path_is_found() {
    let folder = "a folder with a long name ".repeat(6);
    let folder = folder.trim_end();
    let project = Project::new(&format!(
        r"
        [services.web]
        run = ['{}', './s']
        cwd = '{folder}'
        inputs = []
        ready = {{ unix = 's' }}
        [tasks.a]
        run = 'true'
        services = ['web']
        ",
        server().display()
    ));
    project.write(&format!("{folder}/file"), "");
    if cfg!(target_os = "linux") {
        project.xtask(&["a"]).ends(0);
    }
    assert_screens!();
}

#[test]
fn two_services_of_one_run_never_share_a_socket() {
    let service = |name: &str| {
        format!(
            r"
            [services.{name}]
            run = 'exec {} ./s'
            inputs = []
            ready = {{ unix = 's' }}
            [tasks.{name}]
            run = 'true'
            services = ['{name}']
            ",
            server().display()
        )
    };
    let project = Project::new(&(service("one") + &service("two")));
    project.xtask(&["run", "one", "two", "--jobs", "1", "--keep-going"]).ends(1);
    assert_screens!();
}

#[test]
fn socket_path_that_needs_a_shell_is_refused() {
    for (path, says) in [
        ("$XTASK_SERVICE_DIR/s", "write {{ services.NAME.dir }}/s with the service's name"),
        ("~/s", "no shell reads this path, so `~/` stands for itself"),
        ("", "not the path of a socket"),
        ("folder/", "not the path of a socket"),
        ("{{ services.db.socket }}", "`{{ services.db.socket }}` is not a placeholder"),
    ] {
        let project = Project::new(&format!(
            r"
            [services.db]
            run = 'touch ran'
            ready = {{ unix = '{path}' }}
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
fn unfinished_line_is_matched() {
    for (printed, pattern) in [
        ("Listening on 3000", "Listening on 3000"),
        ("one\\nListening on 3000", "^Listening on [0-9]+$"),
        (">>> ", "^>>> $"),
        ("10 %%\\r100 %%\\rready", "^ready$"),
        ("\\033[1;32mready\\033(B\\033[m", "^ready$"),
        ("\\377\\376 ready", "ready$"),
    ] {
        let project = Project::new(&format!(
            r"
            [services.web]
            run = '''printf '{printed}'; exec sleep 1000'''
            ready = {{ log = '{pattern}', timeout = '60s' }}
            [tasks.a]
            run = 'true'
            services = ['web']
            "
        ));
        project.xtask(&["a"]).ends(0);
    }
    assert_screens!();
}

#[test]
fn unfinished_line_of_continuous_output_is_matched_and_stored_unchanged() {
    let project = Project::new(
        r"
        [services.web]
        run = '''printf 'up '; while :; do printf .; echo >> ../dots; sleep 0.02; done'''
        ready = { log = '^up [.]', timeout = '60s' }
        [tasks.a]
        run = 'until [ $(wc -l < ../dots) -gt 3 ]; do sleep 0.02; done'
        services = ['web']
        ",
    );
    project.xtask(&["a"]).ends(0);
    project.xtask(&["log", "--last", "--service", "web"]).ends(0).prints("up ...");
}

#[test]
fn unfinished_line_is_matched_even_if_a_secret_may_begin_at_its_end() {
    let project = Project::new(
        r#"
        [services.web]
        run = 'printf "on 3000"; exec sleep 1000'
        secret-env = ['TOKEN']
        ready = { log = 'on 3000', timeout = '60s' }
        [tasks.a]
        run = 'true'
        services = ['web']
        "#,
    );
    project.xtask_env(&["a"], &[("TOKEN", "000-not-to-be-seen")]).ends(0);
    assert_screens!();
}
