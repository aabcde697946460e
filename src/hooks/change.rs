//! Decides what installing and uninstalling do to the hook of each stage. Pure; this module does not
//! touch files.

use crate::config::stage::Stage;
use crate::hooks::survey::{Found, Hook, Kept};

/// The change of one stage's hook.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// The stage.
    pub stage: Stage,
    /// What to do.
    pub step: Step,
}

/// What to do with a hook.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Nothing, because the hook is up to date.
    Nothing,
    /// Write our hook. If an earlier hook is kept, it still runs first.
    Write,
    /// Keep the existing hook under another name, and write ours in its place.
    KeepAndWrite,
    /// Remove our hook.
    Remove,
    /// Replace our hook with the kept one.
    Restore,
    /// Nothing, because there is a foreign hook and another hook is already kept.
    Conflict,
}

/// Returns the changes that install our hook for the stages in `wanted` and remove it for all others.
pub fn install(found: &[Found], wanted: &[Stage]) -> Vec<Change> {
    let step = |found: &Found| match (wanted.contains(&found.stage), found.hook, found.kept) {
        (true, Hook::Ours, _) => Some(Step::Nothing),
        (true, Hook::Stale | Hook::Absent, _) | (true, Hook::Foreign, Kept::Same) => Some(Step::Write),
        (true, Hook::Foreign, Kept::Nothing) => Some(Step::KeepAndWrite),
        (true, Hook::Foreign, Kept::Other) => Some(Step::Conflict),
        (false, ..) => take_out(found),
    };
    changes(found, step)
}

/// Returns the changes that remove all our hooks.
pub fn uninstall(found: &[Found]) -> Vec<Change> {
    changes(found, take_out)
}

fn take_out(found: &Found) -> Option<Step> {
    match (found.hook, found.kept) {
        (Hook::Ours | Hook::Stale, Kept::Nothing) => Some(Step::Remove),
        (Hook::Ours | Hook::Stale | Hook::Absent, Kept::Same | Kept::Other) => Some(Step::Restore),
        // An install was interrupted after it kept the hook and before it wrote ours.
        (Hook::Foreign, Kept::Same) => Some(Step::Restore),
        (Hook::Foreign | Hook::Absent, _) => None,
    }
}

fn changes(found: &[Found], step: impl Fn(&Found) -> Option<Step>) -> Vec<Change> {
    found.iter().filter_map(|found| Some(Change { stage: found.stage, step: step(found)? })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_its_step() {
        use {Hook as H, Kept as K, Step as S};
        let cases = [
            // hook, kept, wanted, not wanted or uninstall
            (H::Absent, K::Nothing, Some(S::Write), None),
            (H::Absent, K::Other, Some(S::Write), Some(S::Restore)),
            (H::Ours, K::Nothing, Some(S::Nothing), Some(S::Remove)),
            (H::Ours, K::Other, Some(S::Nothing), Some(S::Restore)),
            (H::Stale, K::Nothing, Some(S::Write), Some(S::Remove)),
            (H::Stale, K::Other, Some(S::Write), Some(S::Restore)),
            (H::Foreign, K::Nothing, Some(S::KeepAndWrite), None),
            (H::Foreign, K::Same, Some(S::Write), Some(S::Restore)),
            (H::Foreign, K::Other, Some(S::Conflict), None),
        ];
        let stage = Stage::PRE_PUSH;
        let only = |changes: Vec<Change>| changes.first().map(|change| change.step);
        for (hook, kept, wanted, unwanted) in cases {
            let found = [Found { stage, hook, kept }];
            assert_eq!(only(install(&found, &[stage])), wanted, "{hook:?} {kept:?}");
            assert_eq!(only(install(&found, &[])), unwanted, "{hook:?} {kept:?}");
            assert_eq!(only(uninstall(&found)), unwanted, "{hook:?} {kept:?}");
        }
    }
}
