//! Tests of migrations: pending, rehearsed, expanded, contracted and reverted. The database is a folder in which
//! each applied migration is a file, and the scratch database is a folder of a service.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use crate::project::{CommandOutput, Project, processes, signal, wait_for};

/// Applies and reverts migrations. Each is a file of the artifact: its text is run with `DB`, then the file is
/// copied there. Those that a
/// release has applied are in the file `.batch-RELEASE` of the database.
const MIGRATE: &str = r#"
set -e
: "${DB:?is not set}"
case $1 in
pending)
    for file in out/migrations/*; do test ! -e "$file" || test -e "$DB/${file##*/}" || echo "${file##*/}"; done ;;
expand)
    for file in out/migrations/*; do
        name=${file##*/}
        test ! -e "$DB/$name" || continue
        echo "$name" >>"$DB/.batch-$RELEASE"
        echo "applying $name to $DB"
        . "./$file"
        cp "$file" "$DB/$name"
    done
    while test -e ../../wait-expand; do sleep 0.05; done ;;
revert)
    test ! -e out/stuck || { echo "can't revert" >&2; exit 4; }
    while read -r name; do rm -f "$DB/$name"; done <"$DB/.batch-$RELEASE"
    rm -f "$DB/.batch-$RELEASE" ;;
contract)
    echo "contracted by $RELEASE" >"$DB/contracted" ;;
esac
"#;

/// Refuses a database with a migration that `out/refuses` names. Else it says which release it is.
const START: &str = r#"
test ! -e out/broken || { echo "it is broken" >&2; exit 1; }
for name in $(cat out/refuses 2>/dev/null); do
    test ! -e "$DB/$name" || { echo "the schema has $name, which is newer than this release" >&2; exit 1; }
done
echo "release=$RELEASE" >../../run-$SLOT
"#;

const REHEARSE: &str = "rehearse = { service = \"scratch\", schema = \"cp -R \\\"$DB/.\\\" {{ services.scratch.dir }}/db\", start = \"sh out/start\" }\n";

/// A project whose environment has migrations; `more` is added to them.
fn project(more: &str) -> Project {
    project_with("", more)
}

fn project_with(environment: &str, more: &str) -> Project {
    let project = Project::new("");
    let srv = srv(&project);
    let srv = srv.display();
    let text = format!(
        r#"[tasks.build]
run = "rm -rf out && mkdir out && cp -R app/* out/"
inputs = ["app/**"]
outputs = ["out/**"]

[artifacts.app]
task = "build"

[services.scratch]
run = "mkdir $DB; echo ready; exec sleep 1000"
env = {{ DB = "{{{{ services.scratch.dir }}}}/db" }}
ready = {{ log = "ready" }}

[environments.dev]
driver = "hosts"
path = "{srv}"
artifact = "app"
hosts = [{{ local = true }}]
start = "sh out/start"
stop = "rm -f ../../run-$SLOT"
status = "test -e ../../run-$SLOT"
health-check = {{ command = "cat ../../run-$SLOT", release = 'pattern:release=(\S+)', timeout = "20s", interval = "50ms" }}
env-file = ["secrets"]
lease = "3s"
keep = 2
{environment}
[environments.dev.migrations]
pending = "sh out/migrate pending"
expand = "sh out/migrate expand"
{more}"#
    );
    project.write("tasks.toml", text).write(".gitignore", "out\nsecrets\n");
    project.write("app/migrate", MIGRATE).write("app/start", START).write("app/migrations/1-table", "true\n");
    fs::create_dir(db(&project)).unwrap();
    project.write("secrets", format!("DB={}\n", db(&project).display()));
    version(&project, 1);
    project
}

const WITH_REVERT: &str = "revert = \"sh out/migrate revert\"\n";

/// A project with a rehearsal, whose first release is deployed.
fn deployed() -> Project {
    let project = project(&format!("{WITH_REVERT}{REHEARSE}contract = \"sh out/migrate contract\"\n"));
    deploy(&project).ends(0).does_not_say("unused");
    assert_eq!(applied(&project), ["1-table"]);
    project
}

fn srv(project: &Project) -> PathBuf {
    project.parent_folder().join("srv")
}

fn db(project: &Project) -> PathBuf {
    project.parent_folder().join("real-database")
}

fn version(project: &Project, number: u32) {
    project.write("app/version", format!("{number}\n")).commit(&format!("version {number}"));
}

/// Commits a version with a new migration.
fn with_migration(project: &Project, name: &str, text: &str) {
    project.write(&format!("app/migrations/{name}"), text).commit(&format!("migration {name}"));
}

fn deploy(project: &Project) -> CommandOutput {
    project.xtask(&["deploy", "--env", "dev"])
}

/// Returns the names of the files of the database, without hidden ones.
fn applied(project: &Project) -> Vec<String> {
    let names = fs::read_dir(db(project)).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

/// Returns everything that is in the database, with the times of the last changes.
fn state_of_database(project: &Project) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
    let entries = fs::read_dir(db(project)).unwrap().map(|entry| entry.unwrap().path());
    let mut state: BTreeMap<_, _> = entries
        .map(|path| {
            let changed = path.metadata().unwrap().modified().unwrap();
            let content = fs::read(&path).unwrap();
            (path, (content, changed))
        })
        .collect();
    let changed = db(project).metadata().unwrap().modified().unwrap();
    state.insert(db(project), (Vec::new(), changed));
    state
}

/// Checks that the release with this number is the only one that runs.
#[track_caller]
fn assert_serves(project: &Project, number: u32) {
    let files = ["blue", "green"].map(|slot| srv(project).join(format!("run-{slot}")));
    let texts: Vec<_> = files.iter().filter_map(|file| fs::read_to_string(file).ok()).collect();
    assert!(texts.len() == 1 && texts[0].starts_with(&format!("release={number}-")), "{texts:?}");
}

/// Checks that nothing of a rehearsal is left.
#[track_caller]
fn assert_nothing_left(project: &Project) {
    assert_eq!(processes(&project.parent_folder().display().to_string()), Vec::<i32>::new());
}

#[test]
fn migrations_are_rehearsed_and_expanded_before_the_release_starts() {
    let project = deployed();
    with_migration(&project, "2-column", "echo a notice\n");
    let second = deploy(&project).ends(0);
    let order = [
        "service scratch: ready after ",
        "migrations: rehearse: expand: applying 2-column",
        "migrations: rehearse: expand: a notice",
        "migrations: rehearse: expand: done after ",
        "migrations: rehearse: revert: done after ",
        "migrations: rehearse: expand again: done after ",
        " works with the expanded schema, after ",
        "migrations: expand: applying 2-column to ***",
        "app on localhost: put 2-",
    ];
    let mut rest = &*second.err;
    for text in order {
        let at = rest.find(text).unwrap_or_else(|| panic!("{text} is missing or too early:\n{}", second.err));
        rest = &rest[at..];
    }
    assert_eq!(applied(&project), ["1-table", "2-column"]);
    assert_serves(&project, 2);
    assert_nothing_left(&project);
    // Nothing is pending any more.
    version(&project, 3);
    deploy(&project).ends(0).does_not_say("rehearse");
}

#[test]
fn dry_run_migrated_the_database() {
    let project = project(&format!("{WITH_REVERT}{REHEARSE}"));
    let before = state_of_database(&project);
    // Without the artifact, nobody knows what is pending.
    let first = project.xtask(&["deploy", "--env", "dev", "--plan"]).ends(0);
    first.prints("which migrations are pending is not known before the artifacts are built");
    assert_eq!(state_of_database(&project), before);
    deploy(&project).ends(0);
    with_migration(&project, "2-column", "true\n");
    let before = state_of_database(&project);
    let prepared = project.xtask(&["deploy", "--env", "dev", "--prepare"]).ends(0);
    let planned = project.xtask(&["deploy", "--env", "dev", "--plan"]).ends(0);
    let planned = planned.prints("migrations: rehearse  1 migration is pending").prints("migrations: expand");
    assert_eq!(state_of_database(&project), before);
    // The pending migrations are a part of the plan that is approved.
    let id = |output: &CommandOutput| output.out.lines().last().unwrap().to_owned();
    assert_eq!(id(&prepared), id(&planned));
    fs::write(db(&project).join("2-column"), "by hand").unwrap();
    let without = project.xtask(&["deploy", "--env", "dev", "--plan"]).ends(0);
    assert!(!without.out.contains("expand"), "{}", without.out);
    assert_ne!(id(&planned), id(&without));
}

#[test]
fn old_binary_refuses_the_newer_schema_so_the_rollback_crash_loops() {
    let project = project(&format!("{WITH_REVERT}{REHEARSE}"));
    project.write("app/refuses", "2-column\n").commit("a strict release");
    deploy(&project).ends(0);
    fs::remove_file(project.path("app/refuses")).unwrap();
    with_migration(&project, "2-column", "true\n");
    let before = state_of_database(&project);
    let failed = deploy(&project).ends(1).says("nothing was changed");
    let reason = "migrations: rehearse: failed: the old release 1-";
    failed.says(reason).says("exit status 1: the schema has 2-column, which is newer than this release");
    assert_eq!(state_of_database(&project), before);
    assert_serves(&project, 1);
    assert_nothing_left(&project);
}

#[test]
fn rehearsal_names_the_part_that_failed_and_changes_nothing() {
    let failing_once = "test ! -e \"$DB/1-table\" || { echo no such column >&2; exit 5; }\n";
    let cases = [
        ("migrations/2-column", failing_once, "expand: exit status 5: applying 2-column to "),
        ("stuck", "", "revert: exit status 4: can't revert"),
        // It is not undone completely, so the second time fails.
        (
            "migrations/2-column",
            "test ! -e \"$DB/.column\" || { echo column exists; exit 6; }; touch \"$DB/.column\"\n",
            "expand again: exit status 6: ",
        ),
    ];
    let project = deployed();
    let before = state_of_database(&project);
    for (file, text, reason) in cases {
        project.write("app/migrations/2-column", "true\n");
        project.write(&format!("app/{file}"), text).commit("failing");
        let failed = deploy(&project).ends(1).says("nothing was changed");
        failed.says(&format!("migrations: rehearse: failed: {reason}"));
        assert_eq!(state_of_database(&project), before);
        assert_serves(&project, 1);
        assert_nothing_left(&project);
        fs::remove_file(project.path(&format!("app/{file}"))).unwrap();
    }
    let text = project.read("tasks.toml");
    for (old, new, reason) in [
        (
            "echo ready; exec sleep 1000",
            "echo no disk; exit 3",
            "service scratch: exit status 3 before it was ready",
        ),
        ("cp -R \\\"$DB/.\\\"", "cp -R /no/such/folder", "schema: localhost: "),
    ] {
        with_migration(&project, "2-column", "true\n");
        project.write("tasks.toml", text.replace(old, new)).commit("failing");
        deploy(&project).ends(1).says(&format!("migrations: rehearse: failed: {reason}"));
        assert_eq!(state_of_database(&project), before);
    }
    assert_nothing_left(&project);
}

#[test]
fn rehearsed_lines_have_no_variables_of_the_target() {
    let project = deployed();
    let secrets = project.read("secrets");
    project.write("secrets", format!("{secrets}TOKEN=open-sesame\n"));
    // Without a value of the service, the line has none at all, rather than that of the real database.
    let text = project.read("tasks.toml");
    let text = text.replace("env = { DB =", "env = { OTHER =").replace("mkdir $DB;", "mkdir $OTHER;");
    project.write("tasks.toml", text);
    with_migration(&project, "2-column", "echo \"${TOKEN-no token}\"\n");
    let before = state_of_database(&project);
    deploy(&project).ends(1).says("rehearse: failed: expand: exit status").does_not_say("open-sesame");
    assert_eq!(state_of_database(&project), before);
}

#[test]
fn schema_is_printed_where_migrations_run_and_loaded_here() {
    let rehearse = "rehearse = { service = \"scratch\", schema = \"cd $DB && ls\", load = \"while read -r name; do echo >$DB/$name; done\", start = \"sh out/start\" }\n";
    let project = project(&format!("{WITH_REVERT}{rehearse}"));
    deploy(&project).ends(0);
    with_migration(&project, "2-column", "test -e \"$DB/1-table\"\n");
    deploy(&project).ends(0).says("migrations: rehearse: load: done after");
    assert_eq!(applied(&project), ["1-table", "2-column"]);
    // What does not check itself can't be resumed half.
    assert_serves(&project, 2);
}

#[test]
fn unchecked_migration_needs_an_override() {
    let no_start = REHEARSE.replace(", start = \"sh out/start\"", "");
    for (more, why) in [("", "there is no `rehearse`"), (&*no_start, "`rehearse` has no `start`")] {
        let project = project(&format!("{WITH_REVERT}{more}"));
        // Without an old release, none can be broken.
        deploy(&project).ends(0);
        with_migration(&project, "2-column", "true\n");
        project.xtask(&["deploy", "--env", "dev", "--prepare"]).ends(0);
        let planned = project.xtask(&["deploy", "--env", "dev", "--plan"]).ends(0);
        planned.prints(&format!("works with the expanded schema is not checked: {why}")).prints("forbidden:");
        deploy(&project).ends(6).says("is not checked").says("--override");
        assert_eq!(applied(&project), ["1-table"]);
        project.xtask(&["deploy", "--env", "dev", "--override", "we know"]).ends(0);
        assert_eq!(applied(&project), ["1-table", "2-column"]);
    }
}

#[test]
fn irreversible_migration_needs_an_approval() {
    let project = project(&format!("irreversible = true\n{REHEARSE}"));
    deploy(&project).ends(6).says("migrations are pending that can't be reverted");
    assert_eq!(applied(&project), Vec::<String>::new());
    project.xtask(&["deploy", "--env", "dev", "--override", "first"]).ends(0);
    project.write("app/broken", "");
    with_migration(&project, "2-column", "true\n");
    let failed = project.xtask(&["deploy", "--env", "dev", "--override", "we know"]).ends(1);
    failed.says("the database schema stays expanded: the migrations are irreversible");
    assert_eq!(applied(&project), ["1-table", "2-column"]);
    assert_serves(&project, 1);
}

#[test]
fn failing_expand_is_reverted_and_the_old_release_serves() {
    let project = deployed();
    // It fails on the real database only.
    let text = format!("test \"$DB\" != '{}' || {{ echo lock timeout; exit 8; }}\n", db(&project).display());
    with_migration(&project, "2-column", "touch \"$DB/half\"; rm \"$DB/half\"\n");
    with_migration(&project, "3-index", &text);
    let failed = deploy(&project).ends(1).says("the database schema was reverted");
    failed.says("migrations: expand: failed: ").says("exit status 8: ").says("lock timeout");
    assert_eq!(applied(&project), ["1-table"]);
    assert_serves(&project, 1);
}

#[test]
fn deploy_that_fails_after_expand_reverts_it() {
    let project = deployed();
    project.write("app/broken", "");
    with_migration(&project, "2-column", "true\n");
    deploy(&project).ends(1).says("it is broken").says("the database schema was reverted");
    assert_eq!(applied(&project), ["1-table"]);
    assert_serves(&project, 1);
    // If that fails too, somebody must look.
    fs::remove_file(project.path("app/migrations/2-column")).unwrap();
    let stuck = format!("test \"$DB\" != '{}' || touch out/stuck\n", db(&project).display());
    with_migration(&project, "4-odd", &stuck);
    let failed = deploy(&project).ends(7).says("can't revert");
    failed.says("the database schema may still be expanded");
    assert_serves(&project, 1);
}

#[test]
fn contract_waits_until_no_kept_release_needs_the_old_schema() {
    let project = deployed();
    with_migration(&project, "2-column", "true\n");
    deploy(&project).ends(0).does_not_say("contract");
    assert_eq!(applied(&project), ["1-table", "2-column"]);
    project.xtask(&["rollback", "--env", "dev"]).ends(0);
    project.xtask(&["rollback", "--env", "dev", "--to", "2"]).ends(0);
    version(&project, 3);
    deploy(&project).ends(0).says("migrations: contract");
    assert_eq!(applied(&project), ["1-table", "2-column", "contracted"]);
    // The release of the migrations does not need it.
    project.xtask(&["rollback", "--env", "dev"]).ends(0);
    assert_serves(&project, 2);
    project.xtask(&["rollback", "--env", "dev", "--to", "3"]).ends(0);
    assert_serves(&project, 3);
    project.xtask(&["rollback", "--env", "dev", "--to", "1"]).ends(6);
    // It is removed once.
    let before = state_of_database(&project);
    version(&project, 4);
    deploy(&project).ends(0).does_not_say("contract");
    assert_eq!(state_of_database(&project), before);
    project.xtask(&["rollback", "--env", "dev"]).ends(0);
    assert_serves(&project, 3);
}

/// Kills a deploy of a migration while it expands the schema.
fn killed_in_expand() -> Project {
    let project = deployed();
    with_migration(&project, "2-column", "true\n");
    // The folder of the artifact is below that of the releases.
    fs::write(srv(&project).join("wait-expand"), "").unwrap();
    let mut deploy = project.start(&["deploy", "--env", "dev"]);
    wait_for("the schema to be expanded", || applied(&project).len() == 2);
    signal("KILL", i32::try_from(deploy.id()).unwrap());
    deploy.wait().unwrap();
    fs::remove_file(srv(&project).join("wait-expand")).unwrap();
    project
}

#[test]
fn deploy_that_was_killed_while_it_expands_is_resumed() {
    let project = killed_in_expand();
    assert_serves(&project, 1);
    project.xtask(&["deploy", "--env", "dev", "--resume", "--wait"]).ends(0);
    assert_eq!(applied(&project), ["1-table", "2-column"]);
    assert_serves(&project, 2);
}

#[test]
fn deploy_that_was_killed_while_it_expands_is_aborted() {
    let project = killed_in_expand();
    let aborted = project.xtask(&["deploy", "--env", "dev", "--abort", "--wait"]).ends(0);
    aborted.says("the database schema was reverted");
    assert_eq!(applied(&project), ["1-table"]);
    assert_serves(&project, 1);
    deploy(&project).ends(0);
    assert_eq!(applied(&project), ["1-table", "2-column"]);
}

/// Begins a deploy whose rehearsal waits until it is stopped.
fn waiting_rehearsal(project: &Project) -> std::process::Child {
    let text = format!("test \"$DB\" = '{}' || sleep 1000\n", db(project).display());
    with_migration(project, "2-column", &text);
    let deploy = project.start(&["deploy", "--env", "dev"]);
    let err = project.parent_folder().join("err");
    wait_for("the rehearsal to wait", || {
        fs::read_to_string(&err).unwrap_or_default().contains("rehearse: expand: applying 2-column")
    });
    deploy
}

#[test]
fn signal_ends_the_rehearsal_and_nothing_is_left() {
    let project = deployed();
    let before = state_of_database(&project);
    let mut deploy = waiting_rehearsal(&project);
    signal("INT", i32::try_from(deploy.id()).unwrap());
    assert_eq!(deploy.wait().unwrap().code(), Some(1));
    assert_eq!(state_of_database(&project), before);
    assert_serves(&project, 1);
    assert_nothing_left(&project);
}

#[test]
fn killed_rehearsal_leaves_nothing_and_can_be_aborted() {
    let project = deployed();
    let before = state_of_database(&project);
    let mut deploy = waiting_rehearsal(&project);
    signal("KILL", i32::try_from(deploy.id()).unwrap());
    deploy.wait().unwrap();
    let mark = project.parent_folder().display().to_string();
    wait_for("the guard to end what is left", || processes(&mark).is_empty());
    project.xtask(&["deploy", "--env", "dev", "--abort", "--wait"]).ends(0);
    assert_eq!(state_of_database(&project), before);
    assert_serves(&project, 1);
}

#[test]
fn lines_here_run_in_the_artifact_too() {
    let project = project(&format!("run-on = \"here\"\n{WITH_REVERT}{REHEARSE}"));
    // What is not committed must not run.
    project.write("app/migrate", "exit 9");
    deploy(&project).ends(0);
    project.write("app/migrate", MIGRATE);
    with_migration(&project, "2-column", "true\n");
    deploy(&project).ends(0);
    assert_eq!(applied(&project), ["1-table", "2-column"]);
    assert_serves(&project, 2);
}

#[test]
fn rollback_uses_the_current_secret_and_not_the_one_of_then() {
    let project = project_with("", WITH_REVERT);
    let start = format!("{START}echo \"$PASSWORD\" >../../password-$SLOT\n");
    project.write("app/start", start).commit("password");
    let rotate = |password: &str| {
        project.write("secrets", format!("DB={}\nPASSWORD={password}\n", db(&project).display()));
    };
    rotate("first-password");
    deploy(&project).ends(0);
    version(&project, 2);
    deploy(&project).ends(0);
    rotate("second-password");
    project.xtask(&["rollback", "--env", "dev"]).ends(0);
    assert_serves(&project, 1);
    let used = |slot: &str| fs::read_to_string(srv(&project).join(format!("password-{slot}"))).unwrap();
    assert_eq!(used("blue"), "second-password\n");
    // A deploy that fails starts the old release again, with what is valid now.
    rotate("third-password");
    project.write("app/broken", "").commit("broken");
    deploy(&project).ends(1).says("it is broken");
    assert_serves(&project, 1);
    assert_eq!(used("blue"), "third-password\n");
}
