//! Which configuration is in force, and what policy says of a commit and of a time. The policy comes from the tip of
//! the policy branch, so that a revision can't loosen it for itself. It must not know how either was read.

use crate::base::clock::Timestamp;
use crate::config::deploy::{Connection, DeploySettings, Environment, Host, Policy, Role};
use crate::config::model::Config;
use crate::deploy::refusal::Objection;
use crate::deploy::windows;

/// An environment as it is in force for a deploy of a revision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EnvironmentInForce {
    /// The environment. Its tasks are those of the revision.
    pub environment: Environment,
    /// `[deploy]` of the policy branch.
    pub settings: DeploySettings,
}

/// Why no environment is in force.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PolicyError {
    /// The policy branch has no such environment.
    #[error("there is no environment `{environment}` on the policy branch")]
    NotOnPolicyBranch {
        /// Its name.
        environment: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The revision has no such environment.
    #[error("the revision has no environment `{environment}`")]
    NotInRevision {
        /// Its name.
        environment: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The policy branch has no hosts for a role.
    #[error("{environment}: the revision has a role `{role}`, for which the policy branch has no hosts")]
    UnknownRole {
        /// The environment.
        environment: String,
        /// The role.
        role: String,
    },
    /// The revision has a router on a machine that the policy branch does not name.
    #[error(
        "{environment}: the router of role `{role}` is on a machine that the policy branch does not name"
    )]
    UnknownRouterMachine {
        /// The environment.
        environment: String,
        /// The role.
        role: String,
    },
    /// The revision does not have what must have passed.
    #[error("{environment}: the policy branch requires `{gate}`, which the revision does not have")]
    UnknownGate {
        /// The environment.
        environment: String,
        /// The name of the task, group or gate.
        gate: String,
    },
}

impl PolicyError {
    /// Returns what to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NotOnPolicyBranch { known, .. } | Self::NotInRevision { known, .. } => {
                if known.is_empty() {
                    "write it as `[environments.NAME]` in tasks.toml".to_owned()
                } else {
                    format!("there is {}", known.join(", "))
                }
            }
            Self::UnknownRole { .. } => "add the role to tasks.toml on the policy branch first".to_owned(),
            Self::UnknownRouterMachine { .. } => {
                "add the router to tasks.toml on the policy branch first".to_owned()
            }
            Self::UnknownGate { gate, .. } => {
                format!("add `{gate}` to the revision's tasks.toml, or deploy a newer revision")
            }
        }
    }
}

/// Returns the environment that is in force for a deploy of a revision. Where the deploy goes, who may do it, when,
/// and what must have passed come from the policy branch; what runs and how comes from the revision.
///
/// # Errors
/// One of them does not have the environment, or the revision needs machines or names that the other lacks.
pub fn environment_in_force(
    name: &str,
    policy_branch: &Config,
    revision: &Config,
) -> Result<EnvironmentInForce, PolicyError> {
    let names = |config: &Config| config.environments.iter().map(|known| known.name.clone()).collect();
    let policy = policy_branch.environment(name).ok_or_else(|| PolicyError::NotOnPolicyBranch {
        environment: name.to_owned(),
        known: names(policy_branch),
    })?;
    let mut environment = revision
        .environment(name)
        .cloned()
        .ok_or_else(|| PolicyError::NotInRevision { environment: name.to_owned(), known: names(revision) })?;
    if let Some(gate) = policy.gate.iter().find(|gate| revision.named(gate).is_empty()) {
        return Err(PolicyError::UnknownGate { environment: name.to_owned(), gate: gate.clone() });
    }
    for role in &mut environment.roles {
        use_policy_machines(role, policy)?;
    }
    environment.gate.clone_from(&policy.gate);
    environment.policy.clone_from(&policy.policy);
    environment.path.clone_from(&policy.path);
    Ok(EnvironmentInForce { environment, settings: policy_branch.deploy.clone() })
}

/// Replaces the machines of a role by those of the policy. The variables of a host stay those of the revision.
fn use_policy_machines(role: &mut Role, policy: &Environment) -> Result<(), PolicyError> {
    let Some(known) = policy.roles.iter().find(|known| known.name == role.name) else {
        return Err(PolicyError::UnknownRole { environment: policy.name.clone(), role: role.name.clone() });
    };
    let own = std::mem::take(&mut role.hosts);
    let host = |host: &Host| {
        let env = own.iter().find(|own| own.name == host.name).map_or(&host.env, |own| &own.env);
        Host { env: env.clone(), ..host.clone() }
    };
    role.hosts = known.hosts.iter().map(host).collect();
    let Some(traffic) = &mut role.traffic else { return Ok(()) };
    match &known.traffic {
        Some(known) => traffic.on.clone_from(&known.on),
        None if !has_machine(policy, &traffic.on) => {
            return Err(PolicyError::UnknownRouterMachine {
                environment: policy.name.clone(),
                role: role.name.clone(),
            });
        }
        None => {}
    }
    Ok(())
}

fn has_machine(policy: &Environment, machine: &Connection) -> bool {
    let hosts = policy.roles.iter().flat_map(|role| &role.hosts).map(|host| &host.connection);
    let routers = policy.roles.iter().filter_map(|role| role.traffic.as_ref()).map(|traffic| &traffic.on);
    hosts.chain(routers).any(|known| known == machine)
}

/// Returns whether one of these patterns of branches or tags matches a name.
pub fn matches(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| fast_glob::glob_match(pattern, name))
}

/// Returns what policy has against a commit that these branches contain and these tags point to.
pub fn commit_objection(policy: &Policy, branches: &[String], tags: &[String]) -> Option<Objection> {
    if policy.branches.is_empty() && policy.tags.is_empty()
        || branches.iter().any(|branch| matches(&policy.branches, branch))
        || tags.iter().any(|tag| matches(&policy.tags, tag))
    {
        return None;
    }
    let reason = match (&policy.branches[..], &policy.tags[..]) {
        (branches, []) => format!("the commit is not in branch {}", branches.join(" or ")),
        ([], tags) => format!("the commit has no tag {}", tags.join(" or ")),
        (branches, tags) => {
            let (branches, tags) = (branches.join(" or "), tags.join(" or "));
            format!("the commit is not in branch {branches}, and has no tag {tags}")
        }
    };
    Some(Objection { reason, hint: Some("merge or tag it first".to_owned()) })
}

/// Returns what policy has against a deploy at this time.
pub fn window_objection(policy: &Policy, now: Timestamp) -> Option<Objection> {
    if windows::is_open(&policy.windows, now) {
        return None;
    }
    let opens = windows::next_opening(&policy.windows, now);
    Some(Objection {
        reason: "no deploy window is open".to_owned(),
        hint: opens.map(|time| format!("the next one opens at {}", time.rfc3339())),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::path::RepoPath;
    use crate::config::{SourceText, parse};

    const POLICY: &str = r#"
        [tasks.build]
        run = "make"
        outputs = ["out"]

        [tasks.ci]
        run = "make test"

        [artifacts.app]
        task = "build"

        [deploy]
        journal = "git@example.org:journal.git"
        policy-branch = "main"

        [environments.staging]
        driver = "hosts"
        path = "/srv/staging"
        artifact = "app"
        hosts = [{ local = true }]
        start = "systemctl start app"

        [environments.production]
        driver = "hosts"
        path = "/srv/shop"
        gate = ["ci"]
        branches = ["main", "release/*"]
        tags = ["v*"]
        promote-from = "staging"
        deploy-windows = [{ days = "Mon-Thu", from = "09:00", to = "16:00" }]
        approval = { signers = "ops/signers", count = 2 }
        env = { LEVEL = "info" }
        keep = 3

        [environments.production.roles.web]
        artifact = "app"
        hosts = [{ ssh = "web1", env = { REGION = "a" } }, { ssh = "web2" }]
        start = "systemctl start old@{{ slot }}"
        ports = { blue = 1, green = 2 }
        traffic = ["100%"]
        router = { haproxy = "/run/haproxy.sock", backend = "shop", on = { ssh = "lb" } }

        [environments.production.roles.worker]
        artifact = "app"
        hosts = [{ ssh = "worker" }]
        start = "systemctl start worker@{{ slot }}"
    "#;

    /// What a revision says that would like to have its own way.
    const REVISION: &str = r#"
        [tasks.assemble]
        run = "make assemble"

        [tasks.build]
        run = "make"
        outputs = ["out"]

        [tasks.ci]
        run = "true"

        [artifacts.app]
        task = "build"

        [environments.production]
        driver = "hosts"
        path = "/tmp/elsewhere"
        env = { LEVEL = "debug" }
        keep = 7
        smoke = ["assemble"]

        [environments.production.roles.web]
        artifact = "app"
        hosts = [{ ssh = "evil" }, { ssh = "web1", env = { REGION = "b" } }]
        start = "systemctl start new@{{ slot }}"
        ports = { blue = 1, green = 2 }
        traffic = ["10%", "100%"]
        router = { haproxy = "/run/haproxy.sock", backend = "shop", on = { ssh = "evil" } }

        [environments.production.migrations]
        pending = "migrate list"
        expand = "migrate"
        irreversible = true
    "#;

    fn config(text: &str) -> Config {
        let source = SourceText { name: "tasks.toml", text, base: RepoPath::top(), project: "" };
        parse(&source).unwrap_or_else(|diagnostics| panic!("{}", diagnostics.render(false)))
    }

    fn policy() -> Policy {
        config(POLICY).environment("production").unwrap().policy.clone()
    }

    #[test]
    fn revision_can_not_loosen_its_own_policy() {
        let (policy, revision) = (config(POLICY), config(REVISION));
        let EnvironmentInForce { environment, settings } =
            environment_in_force("production", &policy, &revision).unwrap();
        let known = policy.environment("production").unwrap();
        assert_eq!(settings, policy.deploy);
        assert_eq!(environment.policy, known.policy);
        assert_eq!(environment.gate, ["ci"]);
        assert_eq!(environment.path, "/srv/shop");
        let web = &environment.roles[0];
        let names: Vec<&str> = web.hosts.iter().map(|host| &*host.name).collect();
        assert_eq!(names, ["web1", "web2"]);
        assert_eq!(web.traffic.as_ref().unwrap().on, known.roles[0].traffic.as_ref().unwrap().on);
    }

    #[test]
    fn what_runs_comes_from_the_revision() {
        let (policy, revision) = (config(POLICY), config(REVISION));
        let environment = environment_in_force("production", &policy, &revision).unwrap().environment;
        let own = revision.environment("production").unwrap();
        assert_eq!(environment.variables, own.variables);
        assert_eq!((&environment.migrations, &environment.smoke), (&own.migrations, &own.smoke));
        assert_eq!((environment.keep.get(), environment.timeout), (7, Duration::from_secs(600)));
        assert_eq!(environment.roles.len(), 1);
        let web = &environment.roles[0];
        assert_eq!(web.runs, own.roles[0].runs);
        assert_eq!(web.traffic.as_ref().unwrap().steps, [10, 100]);
        assert_eq!(web.hosts[0].env["REGION"], "b");
        assert!(web.hosts[1].env.is_empty());
    }

    #[test]
    fn same_config_on_both_sides_is_in_force_as_it_is() {
        let config = config(POLICY);
        let in_force = environment_in_force("production", &config, &config).unwrap();
        assert_eq!(Some(&in_force.environment), config.environment("production"));
    }

    #[test]
    fn environments_roles_routers_and_gates_must_be_on_the_policy_branch() {
        let (policy, revision) = (config(POLICY), config(REVISION));
        let refused = |name: &str, policy: &Config, revision: &Config| {
            environment_in_force(name, policy, revision).unwrap_err().to_string()
        };
        assert_eq!(refused("staging", &policy, &revision), "the revision has no environment `staging`");
        assert_eq!(
            refused("test", &policy, &revision),
            "there is no environment `test` on the policy branch"
        );
        let renamed = config(&REVISION.replace("roles.web", "roles.web2"));
        assert_eq!(
            refused("production", &policy, &renamed),
            "production: the revision has a role `web2`, for which the policy branch has no hosts"
        );
        let without_gate = config(&REVISION.replace("[tasks.ci]", "[tasks.other]"));
        assert_eq!(
            refused("production", &policy, &without_gate),
            "production: the policy branch requires `ci`, which the revision does not have"
        );
        let routed = config(&REVISION.replace("roles.web", "roles.worker"));
        assert_eq!(
            refused("production", &policy, &routed),
            "production: the router of role `worker` is on a machine that the policy branch does not name"
        );
        let on_host = config(
            &REVISION
                .replace("roles.web", "roles.worker")
                .replace("on = { ssh = \"evil\" }", "on = { ssh = \"web2\" }"),
        );
        assert!(environment_in_force("production", &policy, &on_host).is_ok());
    }

    #[test]
    fn commit_must_be_in_a_branch_or_have_a_tag() {
        let policy = policy();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for (branches, tags, expected) in [
            (&["topic", "main"][..], &[][..], true),
            (&["release/1"], &[], true),
            (&["release/1/fix"], &[], false),
            (&["maintenance"], &["v1.2"], true),
            (&[], &["nightly"], false),
            (&[], &[], false),
        ] {
            let objection = commit_objection(&policy, &names(branches), &names(tags));
            assert_eq!(objection.is_none(), expected, "{branches:?} {tags:?}");
        }
        let objection = commit_objection(&policy, &[], &[]).unwrap();
        assert_eq!(objection.reason, "the commit is not in branch main or release/*, and has no tag v*");
        assert_eq!(commit_objection(&Policy::default(), &[], &[]), None);
    }

    #[test]
    fn closed_window_is_an_objection_that_says_when_it_opens() {
        let policy = policy();
        // 2026-11-26 is a Thursday.
        let at = |hours: u64| Timestamp(1_795_651_200_000 + hours * 3_600_000);
        assert_eq!(window_objection(&policy, at(10)), None);
        let objection = window_objection(&policy, at(20)).unwrap();
        assert_eq!(objection.reason, "no deploy window is open");
        assert_eq!(objection.hint.as_deref(), Some("the next one opens at 2026-11-30T09:00:00Z"));
    }
}
