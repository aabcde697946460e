//! The keys of `[artifacts]`, `[deploy]` and `[environments]`, in the same form as those in `all_keys.rs`. To add
//! one, add a line here and read it in `config/sections/deploy/`.

use crate::config::schema::table_type::{EMPTY, Key, Required, Table, key};
use crate::config::schema::value_type::ValueType;

/// The drivers of an environment.
pub(crate) const DRIVERS: [&str; 3] = ["hosts", "compose", "command"];

// Keys of roles, which an environment with one unnamed role has itself.
const ENV: Key = key("env", ValueType::Variables, "Environment variables, such as { LOG_LEVEL = \"info\" }.");
const ENV_FILE: Key = key("env-file", ValueType::OneOrMore, "Files of environment variables on the machine that deploys, one `NAME=value` a line. Their values are secret.");
const SECRET_ENV: Key = key("secret-env", ValueType::VariableNames, "Environment variables that are taken from the process that deploys. Their values are secret.");
const ARTIFACT: Key = key("artifact", ValueType::OneOrSome, "The artifact of `[artifacts]` that it runs, or several of them.");
const HOSTS: Key = key("hosts", ValueType::Several("host"), "Its machines, in the order in which they are deployed.");
const START: Key = key("start", ValueType::ShellLine, "A shell line that starts the processes of a slot on a host and returns, such as \"systemctl start shop@{{ slot }}\". It may contain {{ slot }}, {{ host }}, {{ port }}, {{ release }}, {{ url }} and {{ path }}, the folder of the environment on the host.");
const STOP: Key = key("stop", ValueType::ShellLine, "A shell line that stops them and returns when they have ended. The default is derived from `start` if that is a `systemctl start`.");
const STATUS: Key = key("status", ValueType::ShellLine, "A shell line that exits with 0 if they run. The default is derived from `start` if that is a `systemctl start`.");
const PORTS: Key = key("ports", ValueType::Table("ports"), "");
const HEALTH_CHECK: Key = key("health-check", ValueType::Table("health-check"), "");
const TRAFFIC: Key = key("traffic", ValueType::Shares, "The shares of requests that the new slot gets, one step after the other, such as [\"10%\", \"50%\", \"100%\"]. [\"100%\"] is blue-green. If it is left out, the old processes stop before the new ones start, host by host.");
const EVERY: Key = key("every", ValueType::Duration, "How long each step but the last takes. The default is \"5m\".");
const BAKE: Key = key("bake", ValueType::Duration, "How long the new slot has all requests before the deploy has succeeded. The default is no time.");
const ROUTER: Key = key("router", ValueType::Table("router"), "");
const DRAIN: Key = key("drain", ValueType::Duration, "How long requests of the old slot may take to end before it is stopped. The default is \"30s\".");
const ANALYSIS: Key = key("analysis", ValueType::Table("analysis"), "");
const ON_LOST: Key = key("on-lost", ValueType::Choice(&["revert", "hold"]), "What the router does if the machine that deploys disappears: \"revert\" restores the shares of before the deploy, \"hold\", the default, keeps them.");
const STANDBY: Key = key("standby", ValueType::Duration, "How long the old slot runs on after a successful deploy, for a rollback without a start. The default is no time.");

pub(crate) static ARTIFACT_TABLE: Table = Table {
    name: "artifact",
    heading: "`[artifacts.NAME]`",
    doc: "What a deploy takes from a task: its packed outputs, or an OCI image that it pushed. Only the outermost file has artifacts.",
    keys: &[
        key("task", ValueType::NonBlank, "The task whose `outputs` are packed, or which pushes the image."),
        key("image", ValueType::NonBlank, "The name of the image without tag and digest, such as \"registry.example.org/shop/web\". The task says the digest."),
    ],
    required: Required::Key("task"),
    elsewhere: &[
        ("run", "the task runs it: `task = \"NAME\"`"),
        ("outputs", "they belong in the task that writes them"),
        ("path", "the files are the `outputs` of the task"),
        ("tag", "an image is deployed by its digest: remove it"),
    ],
    ..EMPTY
};

pub(crate) static DEPLOY: Table = Table {
    name: "deploy",
    heading: "`[deploy]`",
    doc: "What all environments share. Only the outermost file has it.",
    keys: &[
        key("store", ValueType::NonBlank, "Where packed artifacts are kept: a folder, \"ssh://user@host/path\" or \"oci://registry/repository\". The default is a folder in the state directory. A folder belongs to this project alone: what no environment needs is removed after a day. What a registry removes is up to its own rules."),
        key("journal", ValueType::NonBlank, "Where the history of deploys is kept: the name of a remote, a URL, or \"local\". The default is \"origin\"."),
        key("policy-branch", ValueType::Revision, "The branch whose tip says who may deploy what, where and when, such as \"main\". It is read from the default branch of the remote; without a remote, from this repository. The default is the revision that is deployed."),
    ],
    elsewhere: &[
        ("approval", "it belongs in an environment"),
        ("deploy-windows", "they belong in an environment"),
        ("remote", "did you mean `journal`?"),
        ("branch", "did you mean `policy-branch`?"),
    ],
    ..EMPTY
};

pub(crate) static ENVIRONMENT: Table = Table {
    name: "environment",
    heading: "`[environments.NAME]`",
    doc: "Where releases run: the machines, how processes start there, and who may deploy what and when. Only the outermost file has environments.",
    keys: &[
        key("driver", ValueType::Choice(&DRIVERS), "How releases get there: \"hosts\" with shell lines on machines, \"compose\" with docker compose, or \"command\" with commands of your own."),
        key("path", ValueType::MachinePath, "The folder on each host that belongs to taskgate, such as \"/srv/shop\". It may contain {{ host }}. If all hosts are this machine, it may be relative to this file. Only on this machine it may be left out with `compose` and `command`."),
        key("gate", ValueType::NameIndex, "The tasks, groups and gates that must have passed for the tree."),
        key("branches", ValueType::NameIndex, "Patterns of branches, of which one must contain the commit in the remote."),
        key("tags", ValueType::NameIndex, "Patterns of tags, of which one may point to the commit in the remote instead."),
        key("promote-from", ValueType::Name, "The environment in which the same artifacts must have succeeded. Nothing is built again; `gate` is asked all the same."),
        key("deploy-windows", ValueType::Several("deploy-window"), "The times at which a deploy may start and shift requests. The default is always."),
        key("approval", ValueType::Table("approval"), ""),
        ENV, ENV_FILE, SECRET_ENV,
        key("url", ValueType::Url, "The address of the environment: {{ url }}, and `URL` of smoke tasks unless the new slot has its own."),
        key("smoke", ValueType::NameIndex, "Tasks that test the new release before it gets requests. They get `RELEASE`, and as `URL` the address of the new slot if `health-check` of the first role with a router has one, such as \"http://web1:8002\"; else `url`."),
        key("keep", ValueType::Count { least: 2 }, "How many releases that succeeded stay whole on the target. The default is 5."),
        key("timeout", ValueType::Duration, "How long a step may take on a host. The default is \"10m\"."),
        key("lease", ValueType::Duration, "The time without a sign of life after which another deploy may take over. The default is \"2m\"."),
        key("max-parallel", ValueType::Count { least: 1 }, "How many hosts are worked on at once. Without `traffic`, processes are replaced host by host all the same. The default is 8."),
        key("migrations", ValueType::Table("migrations"), ""),
        key("roles", ValueType::Each("role"), "The kinds of processes, deployed in this order."),
        ARTIFACT, HOSTS, START, STOP, STATUS, PORTS, HEALTH_CHECK, TRAFFIC, EVERY, BAKE, ROUTER, DRAIN, ANALYSIS,
        ON_LOST, STANDBY,
        key("file", ValueType::NonBlank, "Of `compose`: the compose file, relative to this file."),
        key("services", ValueType::SomeNames, "Of `compose`: the services that have slots. All others are shared by both slots."),
        key("artifacts", ValueType::NamesByName, "Of `compose`: the artifact that is the image of a service, such as { api = \"api\" }."),
        key("host", ValueType::Table("machine"), "Of `compose`: its machine. The default is this one."),
        key("observe", ValueType::ShellLine, "Of `command`: prints as JSON what runs."),
        key("stage", ValueType::ShellLine, "Of `command`: brings a release into a slot and starts it."),
        key("check", ValueType::ShellLine, "Of `command`: prints the id of the release that answers in a slot."),
        key("shift", ValueType::ShellLine, "Of `command`: sets the shares of the slots."),
        key("cleanup", ValueType::ShellLine, "Of `command`: removes old releases."),
    ],
    required: Required::Key("driver"),
    elsewhere: &[
        ("windows", "did you mean `deploy-windows`?"),
        ("approvals", "did you mean `approval`?"),
        ("needs", "did you mean `gate`?"),
        ("role", "roles are written as `[environments.NAME.roles.ROLE]`"),
        ("migration", "did you mean `migrations`?"),
        ("image", "an image is an artifact: `[artifacts.NAME]` with `image`"),
        ("journal store policy-branch", "it belongs in `[deploy]`"),
        ("canary", "did you mean `traffic`?"),
        ("strategy", "write `traffic`: [\"100%\"] is blue-green, [\"10%\", \"100%\"] is a canary"),
    ],
    ..EMPTY
};

pub(crate) static ROLE: Table = Table {
    name: "role",
    heading: "`[environments.NAME.roles.ROLE]`",
    doc: "A kind of process with its hosts. An environment with one unnamed role has these keys itself.",
    keys: &[
        ARTIFACT, HOSTS, START, STOP, STATUS, PORTS, ENV, ENV_FILE, SECRET_ENV, HEALTH_CHECK, TRAFFIC, EVERY, BAKE,
        ROUTER, DRAIN, ANALYSIS, ON_LOST, STANDBY,
    ],
    required: Required::Key("start"),
    elsewhere: &[
        ("run command", "did you mean `start`?"),
        ("host", "did you mean `hosts`?"),
        ("port", "a role has two: ports = { blue = 8001, green = 8002 }"),
        ("artifacts", "did you mean `artifact`?"),
        ("healthcheck", "did you mean `health-check`?"),
        ("keep path", "it belongs in the environment"),
    ],
    ..EMPTY
};

pub(crate) static HOST: Table = Table {
    name: "host",
    heading: "A machine in `hosts`",
    doc: "A machine of a role.",
    keys: &[
        key("ssh", ValueType::NonBlank, "The destination of `ssh`: \"user@host\", \"host:port\" or a name of the ssh configuration."),
        key("local", ValueType::Flag, "true for this machine."),
        key("name", ValueType::NonBlank, "Its name in messages and {{ host }}. The default is the host of `ssh`, or localhost."),
        ENV,
    ],
    required: Required::OneOf(&["ssh", "local"]),
    elsewhere: &[
        ("host", "did you mean `ssh`?"),
        ("user", "write it as ssh = \"user@host\""),
        ("port", "write it as ssh = \"user@host:port\""),
    ],
    ..EMPTY
};

pub(crate) static MACHINE: Table = Table {
    name: "machine",
    heading: "`host` of an environment, `on` of a router",
    doc: "A machine.",
    keys: &[
        key("ssh", ValueType::NonBlank, "The destination of `ssh`, such as \"user@host\"."),
        key("local", ValueType::Flag, "true for this machine."),
    ],
    required: Required::OneOf(&["ssh", "local"]),
    elsewhere: &[("host", "did you mean `ssh`?"), ("user", "write it as ssh = \"user@host\"")],
    ..EMPTY
};

pub(crate) static PORTS_TABLE: Table = Table {
    name: "ports",
    heading: "`ports` of a role",
    doc: "The ports on which the two slots listen, on each host. Without `traffic` they may be the same.",
    keys: &[
        key("blue", ValueType::Between { least: 1, most: 65535 }, "The port of the slot blue."),
        key("green", ValueType::Between { least: 1, most: 65535 }, "The port of the slot green."),
    ],
    required: Required::All(&["blue", "green"]),
    ..EMPTY
};

pub(crate) static HEALTH_CHECK_TABLE: Table = Table {
    name: "health-check",
    heading: "`health-check` of a role",
    doc: "How to know that a release works, and which release answers.",
    keys: &[
        key("http", ValueType::NonBlank, "A URL whose answer has a status below 400, such as \"http://{{ host }}:{{ port }}/health\"."),
        key("command", ValueType::ShellLine, "A shell line that exits with 0 on the host."),
        key("release", ValueType::NonBlank, "Where the answer contains the id of the release: a JSON pointer such as \"/release\", \"header:NAME\", or \"pattern:REGEX\" with a group."),
        key("timeout", ValueType::Duration, "How long it may take to succeed. The default is \"60s\"."),
        key("interval", ValueType::Duration, "The time between two attempts. The default is \"1s\"."),
        key("from", ValueType::Choice(&["here", "host"]), "Where it is made: \"here\", on the machine that deploys, which is the default, or on the \"host\" with `curl`."),
    ],
    required: Required::OneOf(&["http", "command"]),
    elsewhere: &[
        ("url", "did you mean `http`?"),
        ("path", "write the URL: http = \"http://{{ host }}:{{ port }}/health\""),
        ("every", "did you mean `interval`?"),
    ],
    ..EMPTY
};

pub(crate) static ROUTER_TABLE: Table = Table {
    name: "router",
    heading: "`router` of a role",
    doc: "What distributes the requests: HAProxy, nginx, or shell lines.",
    keys: &[
        key("haproxy", ValueType::MachinePath, "The path of HAProxy's runtime socket. On this machine it may be relative to this file."),
        key("backend", ValueType::NonBlank, "Of `haproxy`: the backend with a server for each host and slot."),
        key("server", ValueType::NonBlank, "Of `haproxy`: the name of a server. The default is \"ROLE-{{ host }}-{{ slot }}\" with the name of the role."),
        key("state-file", ValueType::MachinePath, "Of `haproxy`: its `server-state-file`, which is written after each shift, so that a restarted HAProxy has the same weights. On this machine it may be relative to this file."),
        key("nginx", ValueType::MachinePath, "The path of an include file of nginx that taskgate writes. On this machine it may be relative to this file."),
        key("upstream", ValueType::NonBlank, "Of `nginx`: the upstream that the file defines."),
        key("url", ValueType::Url, "Of `nginx`: a URL through the proxy whose answer names the release."),
        key("reload", ValueType::ShellLine, "Of `nginx`: makes it read the file. The default is \"nginx -s reload\"."),
        key("shift", ValueType::ShellLine, "A shell line that sets the weights, which are in `WEIGHT_BLUE` and `WEIGHT_GREEN`."),
        key("read", ValueType::ShellLine, "Of `shift`: prints the weights as `blue=N green=N`."),
        key("on", ValueType::Table("machine"), "The machine of the router. The default is the only host of the role."),
    ],
    required: Required::OneOf(&["haproxy", "nginx", "shift"]),
    elsewhere: &[
        ("command", "did you mean `shift` and `read`?"),
        ("socket", "did you mean `haproxy`?"),
        ("include", "did you mean `nginx`?"),
        ("host", "did you mean `on`?"),
    ],
    ..EMPTY
};

pub(crate) static ANALYSIS_TABLE: Table = Table {
    name: "analysis",
    heading: "`analysis` of a role",
    doc: "How the requests of the new slot are judged at each step.",
    keys: &[
        key("error-rate", ValueType::Share, "The largest share of failed requests that is still good, such as \"1%\"."),
        key("p95", ValueType::Duration, "The longest 95th percentile of request times that is still good."),
        key("mean", ValueType::Duration, "The longest mean request time that is still good."),
        key("min-requests", ValueType::Count { least: 1 }, "How many requests a measurement needs. The default is 1."),
        key("source", ValueType::Table("analysis-source"), ""),
        key("inconclusive", ValueType::Choice(&["rollback", "continue"]), "What happens if nothing is known at the end of a step. The default is \"rollback\"."),
    ],
    required: Required::AnyOf(&["error-rate", "p95", "mean"]),
    elsewhere: &[
        ("errors", "did you mean `error-rate`?"),
        ("latency", "did you mean `p95` or `mean`?"),
        ("prometheus", "it belongs in `source`: source = { prometheus = \"http://…\", … }"),
        ("command", "it belongs in `source`: source = { command = \"…\" }"),
    ],
    ..EMPTY
};

pub(crate) static ANALYSIS_SOURCE: Table = Table {
    name: "analysis-source",
    heading: "`source` of an analysis",
    doc: "Where the figures come from. The default is the counters of HAProxy.",
    keys: &[
        key("prometheus", ValueType::Url, "The URL of a Prometheus server."),
        key("requests", ValueType::ShellLine, "Of `prometheus`: a query for the number of requests. Queries may contain {{ slot }}, {{ release }} and {{ window }}."),
        key("errors", ValueType::ShellLine, "Of `prometheus`: a query for the number of failed requests. Without a result, none has failed."),
        key("p95", ValueType::ShellLine, "Of `prometheus`: a query for the 95th percentile in seconds."),
        key("command", ValueType::ShellLine, "A shell line that prints {\"requests\": 100, \"errors\": 1, \"p95\": 0.2}."),
    ],
    required: Required::OneOf(&["prometheus", "command"]),
    elsewhere: &[
        ("url", "did you mean `prometheus`?"),
        ("query", "did you mean `requests`, `errors` or `p95`?"),
    ],
    ..EMPTY
};

pub(crate) static MIGRATIONS: Table = Table {
    name: "migrations",
    heading: "`[environments.NAME.migrations]`",
    doc: "The changes of the database.",
    keys: &[
        key("run-on", ValueType::Choice(&["first-host", "here"]), "Where the lines run: on the \"first-host\" of the first role, which is the default, or \"here\". They run in the folder of the first artifact of this role, with its variables."),
        key("pending", ValueType::ShellLine, "A shell line that prints a line for each pending migration and changes nothing."),
        key("expand", ValueType::ShellLine, "A shell line that makes the changes that the old release can live with."),
        key("contract", ValueType::ShellLine, "A shell line that makes the changes that only the new release can live with. It runs in a later deploy."),
        key("revert", ValueType::ShellLine, "A shell line that undoes `expand`."),
        key("irreversible", ValueType::Flag, "true if there is no `revert`. Such a deploy needs an approval."),
        key("rehearse", ValueType::Table("rehearse"), ""),
    ],
    required: Required::All(&["pending", "expand"]),
    elsewhere: &[
        ("run up", "did you mean `expand`?"),
        ("down rollback", "did you mean `revert`?"),
        ("rehearsal", "did you mean `rehearse`?"),
    ],
    ..EMPTY
};

pub(crate) static REHEARSE: Table = Table {
    name: "rehearse",
    heading: "`rehearse` of migrations",
    doc: "How migrations are tried before the real database is touched. The lines `expand` and `revert` of the migrations, `load` and `start` run on this machine, with the variables of the service (`env` of `[services.NAME]`) and none of the target. There, the service says where it is: DATABASE_URL = \"postgres://localhost:{{ services.scratch-db.port }}/shop\".",
    keys: &[
        key("service", ValueType::NonBlank, "The service of `[services]` that is the scratch database."),
        key("schema", ValueType::ShellLine, "A shell line that brings the schema of the target, with no data but the list of applied migrations, into the scratch database. It runs on this machine with the variables of the target. With `load`, it runs where migrations run, and only prints the schema."),
        key("load", ValueType::ShellLine, "A shell line that reads what `schema` prints on its standard input, and brings it into the scratch database."),
        key("start", ValueType::ShellLine, "A shell line that starts the old release against the scratch database, in a folder with its artifact. It must listen on {{ port }}, which is in PORT too, and stay in the foreground. If the first role has no health check, it must exit with 0 if the release works."),
    ],
    required: Required::All(&["service", "schema"]),
    elsewhere: &[("database", "did you mean `service`?")],
    ..EMPTY
};

pub(crate) static APPROVAL: Table = Table {
    name: "approval",
    heading: "`approval` of an environment",
    doc: "Who must approve a plan with a signature before it is deployed. Who asks for the deploy is known by a signature too: the key of git's `user.signingkey` must be among the signers. Nobody approves what they ask for.",
    keys: &[
        key("signers", ValueType::Path, "A file of allowed signers, as `ssh-keygen` reads it, relative to this file. It names all who ask or approve, also the key of a CI job that deploys."),
        key("count", ValueType::Count { least: 1 }, "How many people must approve. The default is 1."),
        key("expires", ValueType::Duration, "How long an approval is valid. The default is \"24h\"."),
    ],
    required: Required::Key("signers"),
    elsewhere: &[("file", "did you mean `signers`?"), ("required", "did you mean `count`?")],
    ..EMPTY
};

pub(crate) static DEPLOY_WINDOW: Table = Table {
    name: "deploy-window",
    heading: "`deploy-windows` of an environment",
    doc: "A time of the week in which deploys are allowed.",
    keys: &[
        key("days", ValueType::NonBlank, "The days on which it starts, such as \"Mon-Thu\" or \"Mon,Wed\". The default is all."),
        key("from", ValueType::TimeOfDay, "When it starts, such as \"09:00\". The default is \"00:00\"."),
        key("to", ValueType::TimeOfDay, "When it ends; on the next day if that is not after `from`. The default is \"24:00\"."),
        key("zone", ValueType::NonBlank, "The IANA time zone, such as \"Europe/Berlin\". The default is \"UTC\"."),
    ],
    elsewhere: &[
        ("timezone tz", "did you mean `zone`?"),
        ("until", "did you mean `to`?"),
        ("day", "did you mean `days`?"),
    ],
    ..EMPTY
};
