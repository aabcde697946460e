//! The change: what installing and uninstalling do to each stage's hook. Pure; it must not touch a
//! file.

use crate::config::stage::Stage;
use crate::hooks::survey::{Found, Hook, Kept};

/// What is done for one stage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// The stage.
    pub stage: Stage,
    /// What is done.
    pub step: Step,
}

/// What is done to a hook.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Nothing: it is as it should be.
    Nothing,
    /// Ours is written; one that was kept before still runs first.
    Write,
    /// The hook that is there is kept, and ours is written in its place.
    KeepAndWrite,
    /// Ours is taken out.
    Remove,
    /// Ours is taken out, and what was kept takes its place.
    Restore,
    /// Nothing can be done: somebody else's hook is there, and another one is kept already.
    Conflict,
}

/// What makes the hooks of `wanted` ours, and takes out those of ours that are not wanted.
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

/// What takes all hooks of ours out.
pub fn uninstall(found: &[Found]) -> Vec<Change> {
    changes(found, take_out)
}

fn take_out(found: &Found) -> Option<Step> {
    match (found.hook, found.kept) {
        (Hook::Ours | Hook::Stale, Kept::Nothing) => Some(Step::Remove),
        (Hook::Ours | Hook::Stale | Hook::Absent, Kept::Same | Kept::Other) => Some(Step::Restore),
        // An install that was ended half-way has kept it and not yet written ours.
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
