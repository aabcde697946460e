//! What must hold of an environment with any driver. It must not know how releases get there.

use crate::project::{CommandOutput, Project};

/// What is wrong with a version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// It does not start.
    Start,
    /// It starts, but does not answer.
    Check,
    /// The release of before answers in its place.
    OldAnswers,
}

/// An environment of a project.
pub(crate) trait Deployed {
    /// Returns the project.
    fn project(&self) -> &Project;

    /// Returns the name of the environment.
    fn name(&self) -> &'static str;

    /// Returns the variables that `xtask` needs.
    fn variables(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Commits a version.
    fn commit_version(&self, number: u32, fault: Option<Fault>);

    /// Commits a change of nothing but the configuration.
    fn commit_configuration(&self);

    /// Returns the id of the release that answers all requests.
    fn serving(&self) -> String;

    /// Returns what a deploy that has nothing to do must not change.
    fn state(&self) -> String;

    /// Makes the remote, the store and the registry unreachable.
    fn cut_off(&self);

    /// Runs `xtask` with the environment.
    fn xtask(&self, command: &str, more: &[&str]) -> CommandOutput {
        let arguments = [&[command, "--env", self.name()], more].concat();
        let variables = self.variables();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.project().xtask_env(&arguments, &variables)
    }

    /// Checks that the release with this number answers all requests.
    #[track_caller]
    fn assert_serves(&self, number: u32) {
        let serving = self.serving();
        assert!(serving.starts_with(&format!("{number}-")), "{serving} serves, not {number}");
    }
}

/// A first deploy, the same again, another version, and another configuration.
pub(crate) fn releases_follow_each_other(deployed: &impl Deployed) {
    deployed.xtask("deploy", &[]).ends(0).says("nothing was deployed before");
    deployed.assert_serves(1);
    let before = deployed.state();
    deployed.xtask("deploy", &[]).ends(0).says("nothing to do: it is current already");
    assert_eq!(deployed.state(), before);
    deployed.commit_version(2, None);
    let before = deployed.state();
    deployed.xtask("deploy", &["--plan"]).ends(0);
    assert_eq!(deployed.state(), before);
    deployed.xtask("deploy", &[]).ends(0);
    deployed.assert_serves(2);
    deployed.commit_configuration();
    deployed.xtask("deploy", &[]).ends(0);
    deployed.assert_serves(3);
    deployed.xtask("status", &[]).ends(0).prints("3-");
}

/// A version with a fault does not replace the one that serves, and the next one does.
pub(crate) fn faulty_version_does_not_serve(deployed: &impl Deployed, fault: Fault) {
    deployed.xtask("deploy", &[]).ends(0);
    deployed.commit_version(2, Some(fault));
    let failed = deployed.xtask("deploy", &[]).ends(1);
    if fault == Fault::OldAnswers {
        failed.says(" answered, not 2-");
    }
    deployed.assert_serves(1);
    deployed.commit_version(3, None);
    deployed.xtask("deploy", &[]).ends(0);
    deployed.assert_serves(3);
}

/// Kept releases serve again although nothing can be fetched.
pub(crate) fn rollback_fetches_nothing(deployed: &impl Deployed) {
    for number in 1..=3 {
        if number > 1 {
            deployed.commit_version(number, None);
        }
        deployed.xtask("deploy", &[]).ends(0);
    }
    deployed.cut_off();
    deployed.xtask("rollback", &[]).ends(0);
    deployed.assert_serves(2);
    deployed.xtask("rollback", &["--to", "1"]).ends(0);
    deployed.assert_serves(1);
}
