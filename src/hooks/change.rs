//! Decides what installing and uninstalling do to the hook of each stage. Pure; this module does not
//! touch files.

use crate::config::hook_stage::Stage;
use crate::hooks::survey::{Hook, KeptHook, StageHooks};

/// The change of one stage's hook.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HookChange {
    /// The stage.
    pub stage: Stage,
    /// What to do.
    pub action: HookAction,
}

/// What to do with a hook.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HookAction {
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
pub fn install(found: &[StageHooks], wanted: &[Stage]) -> Vec<HookChange> {
    let step = |found: &StageHooks| match (wanted.contains(&found.stage), found.hook, found.kept) {
        (true, Hook::Ours | Hook::Calling, _) => Some(HookAction::Nothing),
        (true, Hook::Stale | Hook::Absent, _) | (true, Hook::Foreign, KeptHook::Same) => {
            Some(HookAction::Write)
        }
        (true, Hook::Foreign, KeptHook::Nothing) => Some(HookAction::KeepAndWrite),
        (true, Hook::Foreign, KeptHook::Other) => Some(HookAction::Conflict),
        (false, ..) => removal(found),
    };
    changes(found, step)
}

/// Returns the changes that remove all our hooks.
pub fn uninstall(found: &[StageHooks]) -> Vec<HookChange> {
    changes(found, removal)
}

fn removal(found: &StageHooks) -> Option<HookAction> {
    match (found.hook, found.kept) {
        (Hook::Ours | Hook::Stale, KeptHook::Nothing) => Some(HookAction::Remove),
        (Hook::Ours | Hook::Stale | Hook::Absent, KeptHook::Same | KeptHook::Other) => {
            Some(HookAction::Restore)
        }
        // An install was interrupted after it kept the hook and before it wrote ours.
        (Hook::Foreign, KeptHook::Same) => Some(HookAction::Restore),
        (Hook::Calling | Hook::Foreign | Hook::Absent, _) => None,
    }
}

fn changes(found: &[StageHooks], step: impl Fn(&StageHooks) -> Option<HookAction>) -> Vec<HookChange> {
    found.iter().filter_map(|found| Some(HookChange { stage: found.stage, action: step(found)? })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_its_step() {
        use {Hook as H, HookAction as S, KeptHook as K};
        let cases = [
            // hook, kept, wanted, not wanted or uninstall
            (H::Absent, K::Nothing, Some(S::Write), None),
            (H::Absent, K::Other, Some(S::Write), Some(S::Restore)),
            (H::Ours, K::Nothing, Some(S::Nothing), Some(S::Remove)),
            (H::Ours, K::Other, Some(S::Nothing), Some(S::Restore)),
            (H::Stale, K::Nothing, Some(S::Write), Some(S::Remove)),
            (H::Stale, K::Other, Some(S::Write), Some(S::Restore)),
            (H::Calling, K::Nothing, Some(S::Nothing), None),
            (H::Foreign, K::Nothing, Some(S::KeepAndWrite), None),
            (H::Foreign, K::Same, Some(S::Write), Some(S::Restore)),
            (H::Foreign, K::Other, Some(S::Conflict), None),
        ];
        let stage = Stage::PRE_PUSH;
        let only = |changes: Vec<HookChange>| changes.first().map(|change| change.action);
        for (hook, kept, wanted, unwanted) in cases {
            let found = [StageHooks { stage, hook, kept }];
            assert_eq!(only(install(&found, &[stage])), wanted, "{hook:?} {kept:?}");
            assert_eq!(only(install(&found, &[])), unwanted, "{hook:?} {kept:?}");
            assert_eq!(only(uninstall(&found)), unwanted, "{hook:?} {kept:?}");
        }
    }
}
