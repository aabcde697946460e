//! Tests migrations with real `PostgreSQL`: the schema of the target is copied into a scratch cluster, where the
//! migrations are tried and the old release runs its queries.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::project::ports::free_port;
use crate::project::{Project, wait_for};

const PASSWORD: &str = "open-sesame-4711";

/// Sets `url` and `PGPASSWORD` from `DATABASE_URL`, so that the password is in no list of arguments.
const DB: &str = r#"
PATH=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1):$PATH
rest=${DATABASE_URL#*://}
user=${rest%%@*}
export PGPASSWORD=${user#*:} PGOPTIONS='-c client_min_messages=warning'
url=postgres://${user%%:*}@${rest#*@}
sql() { psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 "$url" "$@"; }
"#;

const MIGRATE: &str = r#"
set -e
. out/db
pending() {
    applied=$(sql -c "SELECT name FROM migrations" 2>/dev/null || true)
    for file in out/migrations/*.expand; do
        name=${file##*/}
        printf '%s\n' "$applied" | grep -qxF "${name%.expand}" || echo "${name%.expand}"
    done
}
case $1 in
pending) pending ;;
expand)
    sql -c "CREATE TABLE IF NOT EXISTS migrations (name text, release text)"
    for name in $(pending); do
        echo "applying $name"
        sql --single-transaction -f "out/migrations/$name.expand" -c "INSERT INTO migrations VALUES ('$name', '$RELEASE')"
    done ;;
revert)
    for name in $(sql -c "SELECT name FROM migrations WHERE release = '$RELEASE'"); do
        sql --single-transaction -f "out/migrations/$name.revert" -c "DELETE FROM migrations WHERE name = '$name'"
    done ;;
esac
"#;

/// A scratch cluster in the folder of the service.
const SCRATCH: &str = r#"
PATH=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1):$PATH
cd "$XTASK_SERVICE_DIR"
as=
if [ "$(id -u)" = 0 ]; then
    chown postgres: .
    as='setpriv --reuid=postgres --regid=postgres --init-groups --'
fi
$as initdb --pgdata=data --username=shop --auth=trust --encoding=UTF8 --no-locale --no-sync >/dev/null
exec $as postgres -D data -p "$1" -k "$PWD/data" -c listen_addresses=127.0.0.1 -c fsync=off
"#;

/// Answers if the query of this release works.
const HEALTH: &str = r#"
test -e ../../run-$SLOT || exit 1
. out/db
sql -c "SELECT count($(cat out/column)) FROM orders" >/dev/null && echo "release=$RELEASE"
"#;

/// A cluster that plays the database of the target.
struct Cluster {
    dir: PathBuf,
    port: u16,
}

fn sh(script: &str) -> String {
    let path = "PATH=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1):$PATH\n\
                as=; [ \"$(id -u)\" != 0 ] || as='setpriv --reuid=postgres --regid=postgres --init-groups --'\n";
    let output = Command::new("sh").args(["-ec", &format!("{path}{script}")]).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{script}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

impl Cluster {
    fn start() -> Self {
        let is_there = fs::read_dir("/usr/lib/postgresql").is_ok_and(|mut all| all.next().is_some());
        assert!(is_there, "PostgreSQL is missing; tests/real/install.sh installs it");
        let port = free_port();
        let dir = PathBuf::from(sh("mktemp -d /tmp/xt-postgres-XXXXXX").trim());
        let shown = dir.display();
        sh(&format!(
            "cd {shown}; echo {PASSWORD} >password; [ -z \"$as\" ] || chown -R postgres: .\n\
             $as initdb --pgdata=data --username=shop --pwfile=password --auth=scram-sha-256 --encoding=UTF8 \
             --no-locale --no-sync >/dev/null\n\
             $as pg_ctl start --silent --wait --pgdata=data --log=log \
             --options='-p {port} -k {shown} -c listen_addresses=127.0.0.1 -c fsync=off' </dev/null >/dev/null 2>&1"
        ));
        Self { dir, port }
    }

    fn url(&self) -> String {
        format!("postgres://shop:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    fn sql(&self, text: &str) -> String {
        let output = Command::new("psql")
            .args(["--no-psqlrc", "--tuples-only", "--no-align", "-h", "127.0.0.1", "-U", "shop", "-p"])
            .args([&self.port.to_string(), "-d", "postgres", "-c", text])
            .env("PGPASSWORD", PASSWORD)
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "{text}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Returns the columns of all tables.
    fn schema(&self) -> String {
        self.sql("SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let dir = self.dir.display();
        sh(&format!(
            "cd {dir}; $as pg_ctl stop --silent --mode=immediate --pgdata=data || true; cd /; rm -rf {dir}"
        ));
    }
}

fn project(cluster: &Cluster) -> Project {
    let project = Project::new("");
    let srv = project.parent_folder().join("srv");
    let text = format!(
        r#"[tasks.build]
run = "rm -rf out && mkdir out && cp -R app/* out/"
inputs = ["app/**"]
outputs = ["out/**"]

[artifacts.app]
task = "build"

[services.scratch]
run = "exec sh app/scratch {{{{ services.scratch.port }}}}"
port = "auto"
env = {{ DATABASE_URL = "postgres://shop:none@127.0.0.1:{{{{ services.scratch.port }}}}/postgres" }}
ready = {{ log = "ready to accept connections", timeout = "5m" }}

[environments.dev]
driver = "hosts"
path = "{}"
artifact = "app"
hosts = [{{ local = true }}]
start = "touch ../../run-$SLOT"
stop = "rm -f ../../run-$SLOT"
status = "test -e ../../run-$SLOT"
health-check = {{ command = "sh out/health", release = 'pattern:release=(\S+)', timeout = "15s", interval = "10s" }}
secret-env = ["DATABASE_URL"]

[environments.dev.migrations]
pending = "sh out/migrate pending"
expand = "sh out/migrate expand"
revert = "sh out/migrate revert"

[environments.dev.migrations.rehearse]
service = "scratch"
schema = """. out/db && pg_dump --schema-only --no-owner --dbname "$url" &&
    {{ pg_dump --data-only --table migrations --dbname "$url" 2>/dev/null || true; }}"""
load = ". out/db && sql >/dev/null"
start = "touch ../../run-$SLOT"
"#,
        srv.display()
    );
    // The check says by its variable that it is about one slot.
    let text = text.replace("\"sh out/health\"", "\"SLOT=$SLOT sh out/health\"");
    project.write("tasks.toml", text).write(".gitignore", "out\n");
    for (name, content) in [("db", DB), ("migrate", MIGRATE), ("scratch", SCRATCH), ("health", HEALTH)] {
        project.write(&format!("app/{name}"), content);
    }
    migration(&project, "1-orders", "CREATE TABLE orders (customer text);", "DROP TABLE orders;");
    project.write("app/column", "customer").commit("orders");
    assert!(cluster.schema().is_empty());
    project
}

fn migration(project: &Project, name: &str, expand: &str, revert: &str) {
    project.write(&format!("app/migrations/{name}.expand"), expand);
    project.write(&format!("app/migrations/{name}.revert"), revert);
}

fn deploy(project: &Project, cluster: &Cluster, more: &[&str]) -> crate::project::CommandOutput {
    let args: Vec<_> = ["deploy", "--env", "dev"].iter().chain(more).copied().collect();
    let output = project.xtask_env(&args, &[("DATABASE_URL", &cluster.url())]);
    assert!(!output.out.contains(PASSWORD) && !output.err.contains(PASSWORD), "{}{}", output.out, output.err);
    output
}

/// Checks that no file contains the password but those of variables, which only their owner can read.
fn assert_secret(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            assert_secret(&path);
        } else if path.extension().is_none_or(|ending| ending != "env") {
            let content = fs::read(&path).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&content).contains(PASSWORD), "{}", path.display());
        }
    }
}

#[test]
fn migrations_are_rehearsed_with_the_schema_of_postgresql() {
    let cluster = Cluster::start();
    let project = project(&cluster);
    deploy(&project, &cluster, &[]).ends(0).says("rehearse: expand again: done after");
    cluster.sql("INSERT INTO orders VALUES ('ann')");
    let before = cluster.schema();

    // The rows are not copied, and the column is there only in the end.
    let expand = "ALTER TABLE orders ADD COLUMN note text; SELECT 'rows: ' || count(*) FROM orders;";
    migration(&project, "2-note", expand, "ALTER TABLE orders DROP COLUMN note;");
    project.commit("a column");
    deploy(&project, &cluster, &["--prepare"]).ends(0);
    deploy(&project, &cluster, &["--plan"]).ends(0).prints("migrations: rehearse  1 migration is pending");
    assert_eq!(cluster.schema(), before);
    let second = deploy(&project, &cluster, &[]).ends(0);
    let second = second.says("rehearse: expand: rows: 0").says("rehearse: revert: done after");
    let second = second.says("works with the expanded schema").says("migrations: expand: rows: 1");
    assert!(second.err.contains("rehearse: load: done after"), "{}", second.err);
    assert!(cluster.schema().contains("orders|note"));
    let before = cluster.schema();

    // The release that serves reads the column, so it could not go on, nor be gone back to.
    migration(
        &project,
        "3-buyer",
        "ALTER TABLE orders RENAME COLUMN customer TO buyer;",
        "ALTER TABLE orders RENAME COLUMN buyer TO customer;",
    );
    project.write("app/column", "buyer").commit("a renamed column");
    let failed = deploy(&project, &cluster, &["--json"]).ends(1);
    let end = failed.events().pop().unwrap();
    let reason = end["reason"].as_str().unwrap();
    assert!(reason.starts_with("migrations: rehearse: failed: the old release 2-"), "{reason}");
    assert!(reason.contains("column \"customer\" does not exist"), "{reason}");
    assert_eq!((cluster.schema(), &end["ending"]), (before.clone(), &"unchanged".into()));

    // What PostgreSQL refuses is shown as it says it.
    project.write("app/column", "customer");
    migration(&project, "3-buyer", "ALTER TABLE no_such_table ADD COLUMN x text;", "SELECT 1;");
    project.commit("a wrong table");
    let failed =
        deploy(&project, &cluster, &[]).ends(1).says("migrations: rehearse: failed: expand: exit status");
    failed.says("relation \"no_such_table\" does not exist");
    assert_eq!(cluster.schema(), before);
    assert_secret(&project.parent_folder());
    wait_for("the scratch clusters to end", || {
        crate::project::processes(&project.parent_folder().display().to_string()).is_empty()
    });
}
