//! Secrets are masked in everything that is printed or stored about tasks, keys and reports. Masking changes
//! no result.

use std::path::PathBuf;

use crate::project::{CommandOutput, Project};

const VALUE: &str = "s3cr3t-t0ken-value";

/// Runs tasks with all kinds of output, in files beside the repository, and checks that no secret is in them.
fn run(project: &Project, names: &[&str], args: &[&str], vars: &[(&str, &str)]) -> CommandOutput {
    let outputs = ["--junit=../reports/j.xml", "--summary=../reports/s.md", "--manifest=../reports/m.json"];
    let last_args = if args.is_empty() { &[][..] } else { &["--"][..] };
    let all = [&["run"], names, &outputs, last_args, args].concat();
    let json = [&["run", "--format", "json", "--force"], names, last_args, args].concat();
    let ran = project.xtask_env(&all, vars);
    let events = project.xtask_env(&json, vars);
    assert!(!events.out.contains(VALUE) && !events.err.contains(VALUE), "{}{}", events.out, events.err);
    assert_no_secret(project, &ran);
    ran
}

/// Checks that the secret is neither in the output nor in a file that the program has written.
fn assert_no_secret(project: &Project, ran: &CommandOutput) {
    assert!(!ran.out.contains(VALUE) && !ran.err.contains(VALUE), "{}{}", ran.out, ran.err);
    let mut files: Vec<PathBuf> = vec![project.state(), project.path("../reports")];
    let mut seen = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.exists() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains(VALUE), "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 4, "only {seen} files were searched");
}

/// Creates a project with a task that writes the report `report` of this kind, and a gate with `rule`.
fn project_with_report(kind: &str, report: &str, rule: &str) -> Project {
    let project = Project::new(&format!(
        r#"
        [tasks.u]
        run = '''mkdir -p out; {report}'''
        secret-env = ["A", "B"]
        reports = {{ {kind} = "out/r" }}
        [gates.q]
        {rule}
        "#
    ));
    std::fs::create_dir(project.path("../reports")).unwrap();
    project
}

#[test]
fn errors_about_a_report_are_masked() {
    let cases = [
        ("lcov", r#"echo "$A: bad" > out/r"#, "coverage = { min = 1 }"),
        ("facts", r#"echo "{\"facts\":1,\"examined\":1,\"$A\":1}" > out/r"#, "tests = { failed = 0 }"),
        (
            "junit",
            r#"echo "<testsuites><testsuite name=\"$A\" tests=\"3\"/></testsuites>" > out/r"#,
            "tests = { failed = 0 }",
        ),
        ("sonar", r#"echo "{\"errors\":[{\"msg\":\"no $A\"}]}" > out/r"#, "sonar = \"ok\""),
        (
            "sarif",
            r#"echo "{\"version\":\"2.1.0\",\"runs\":[{\"tool\":{\"driver\":{\"name\":\"t\"}},\"invocations\":[{\"executionSuccessful\":false,\"exitCodeDescription\":\"$A\"}],\"results\":[]}]}" > out/r"#,
            "findings = { high = 0 }",
        ),
    ];
    for (kind, report, rule) in cases {
        let project = project_with_report(kind, report, rule);
        run(&project, &["q"], &[], &[("A", VALUE)]).ends(1).says("report out/r: ").says("***");
        // The task also fails when it runs without the gate.
        let project = project_with_report(kind, report, rule);
        project.write("tasks.toml", project.read("tasks.toml").replace("$A", "x$A"));
        run(&project, &["u"], &[], &[("A", VALUE)]).ends(1).says("***");
    }
}

#[test]
fn verdict_of_a_server_is_masked() {
    let condition = r#"{\"status\":\"ERROR\",\"metricKey\":\"m-$A\",\"comparator\":\"GT\",\"errorThreshold\":\"0\",\"actualValue\":\"$A\"}"#;
    let report = format!(
        "echo \"{{\\\"projectStatus\\\":{{\\\"status\\\":\\\"ERROR\\\",\\\"conditions\\\":[{condition}]}}}}\" > out/r"
    );
    let project = project_with_report("sonar", &report, "sonar = \"ok\"");
    run(&project, &["q"], &[], &[("A", VALUE)]).ends(1).says("m-*** is ***, greater than 0");
    // The text is shortened, so it contains only a part of the secret, which must be masked too.
    let long = format!("{VALUE}{}", "0123456789".repeat(6));
    let ran = project.xtask_env(&["q", "--force"], &[("A", &long)]).ends(1).says("m-*** is ***…");
    assert_no_secret(&project, &ran);
}

#[test]
fn masked_file_names_stay_distinct() {
    let report = r#"printf "SF:src/$A.py\nDA:1,1\nDA:2,1\nend_of_record\nSF:src/$B.py\nDA:1,0\nDA:2,0\nend_of_record\n" > out/r"#;
    let project = project_with_report("lcov", report, "coverage = { min = 60 }");
    let ran = project.xtask_env(&["q"], &[("A", "shop"), ("B", "store")]).ends(1);
    let ran = ran.says("50").says("src/***(2).py");
    assert!(!ran.err.contains("store.py") && !ran.err.contains("100 %"), "{}", ran.err);
    // Two measures whose names contain different secrets are not joined either.
    let report =
        r#"echo "{\"facts\":1,\"examined\":1,\"measures\":{\"$A.p\":\"1 ms\",\"$B.p\":\"9 ms\"}}" > out/r"#;
    let project = project_with_report("facts", report, "performance = { \"***(2).p\" = \"<= 5 ms\" }");
    project.xtask_env(&["q"], &[("A", "shop"), ("B", "store")]).ends(1).says("9 ms");
}

const PUBLISH: &str = r#"
    [tasks.publish]
    run = "echo publishing"
    inputs = []
    secret-env = ["TOKEN"]
    pass-env = ["OTHER"]
    env = { NAME = "fixed" }
    [tasks.bad]
    run = "echo publishing; false"
    inputs = []
    secret-env = ["TOKEN"]
    "#;

fn project_with_publish() -> Project {
    let project = Project::new(PUBLISH);
    std::fs::create_dir(project.path("../reports")).unwrap();
    project
}

#[test]
fn arguments_with_a_secret_are_masked() {
    let project = project_with_publish();
    let secret = [("TOKEN", VALUE)];
    run(&project, &["publish"], &[], &secret).ends(0);
    let token = format!("--token={VALUE}");
    for (args, vars) in
        [(&["plan", "publish", "--", &token][..], &secret), (&["why", "publish", "--", &token], &secret)]
    {
        for json in [&[][..], &["--json"]] {
            let args = [&args[..2], json, &args[2..]].concat();
            assert_no_secret(&project, &project.xtask_env(&args, vars).ends(0));
        }
    }
    run(&project, &["publish"], &[&token], &secret).ends(0).says(r#"args: [] → ["--token=***"]"#);
    run(&project, &["bad"], &[&token], &secret).ends(1).says("$ echo publishing; false '--token=***'");
    // The secret contains quotes, which each kind of output escapes in a different way.
    let value = "it's \"a\" \\ $ecret";
    let ran = project.xtask_env(&["bad", "--", "--t", value], &[("TOKEN", value)]).ends(1);
    assert!(ran.err.contains("false --t '***'") && !ran.err.contains("ecret"), "{}", ran.err);
    let ran = project.xtask_env(&["publish", "--", "--t", value], &[("TOKEN", value)]).ends(0);
    assert!(ran.err.contains(r#""--t","***"]"#) && !ran.err.contains("ecret"), "{}", ran.err);
}

#[test]
fn variable_with_a_secret_is_masked_and_not_a_change() {
    let project = project_with_publish();
    let plain = [("TOKEN", VALUE), ("OTHER", "plain")];
    let url = format!("https://v:{VALUE}@h");
    let other = [("TOKEN", VALUE), ("OTHER", &*url)];
    run(&project, &["publish"], &[], &plain).ends(0);
    run(&project, &["publish"], &[], &other).ends(0).says("https://v:***@h");
    // The second run is stored, so this is a hit without differences.
    let why = project.xtask_env(&["why", "publish"], &other).ends(0).prints("publish: hit");
    assert_no_secret(
        &project,
        &why.prints("nothing differs from the nearest entry").prints("https://v:***@h"),
    );
    // Only the variable that has changed is named.
    project.write("tasks.toml", PUBLISH.replace("fixed", "changed"));
    let plan = project.xtask_env(&["plan", "publish"], &other).ends(0).prints("NAME: ");
    assert!(!plan.out.contains("OTHER"), "{}", plan.out);
    // If the secret has changed, only the secret is named, not the variable that contains it.
    let url = "https://v:another-s3cr3t@h";
    let ran = project.xtask_env(&["plan", "publish"], &[("TOKEN", "another-s3cr3t"), ("OTHER", url)]).ends(0);
    let ran = ran.prints("TOKEN has another value");
    assert!(!ran.out.contains("OTHER") && !ran.out.contains("another-s3cr3t"), "{}", ran.out);
}

#[test]
fn value_stored_before_it_was_a_secret_is_masked() {
    let project = project_with_publish();
    let url = format!("https://v:{VALUE}@h");
    project.xtask_env(&["publish"], &[("OTHER", &*url)]).ends(0);
    let now = [("TOKEN", VALUE), ("OTHER", &*url)];
    let ran = project.xtask_env(&["publish"], &now).ends(0).says("TOKEN has another value");
    assert!(!ran.err.contains(VALUE) && !ran.err.contains("OTHER"), "{}", ran.err);
    let changed = [("TOKEN", VALUE), ("OTHER", "plain")];
    let plan = project.xtask_env(&["plan", "publish"], &changed).ends(0);
    assert!(!plan.out.contains(VALUE), "{}", plan.out);
}

#[test]
fn secret_of_a_task_that_is_not_run_is_masked() {
    let project = project_with_publish();
    project.write(
        "tasks.toml",
        format!("{PUBLISH}[tasks.a]\nrun = \"true\"\ninputs = []\npass-env = [\"OTHER\"]\n"),
    );
    let url = format!("https://v:{VALUE}@h");
    let vars = [("TOKEN", VALUE), ("OTHER", &*url)];
    project.xtask_env(&["a", "publish"], &vars).ends(0);
    let why =
        project.xtask_env(&["why", "a"], &vars).ends(0).prints("nothing differs from the nearest entry");
    assert!(!why.out.contains(VALUE), "{}", why.out);
}
