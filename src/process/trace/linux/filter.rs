//! The seccomp filter that has only the watched system calls stop. It must not know what they do.

use seccompiler::sock_filter;

use super::calls;

/// What the filter tells of a call that is the native architecture's.
pub(super) const NATIVE: u16 = 1;
/// And of one that is another's.
pub(super) const FOREIGN: u16 = 2;

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xC000_00B7;

const LOAD_WORD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;

const ALLOW: u32 = 0x7fff_0000;
const TRACE: u32 = 0x7ff0_0000;

/// Where the kernel puts the number and the architecture.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
/// From here on the numbers are those of x32, which says to be x86-64.
const X32: u32 = 0x4000_0000;

/// Puts this process and all its descendants under the filter. Without it all calls have to stop,
/// which is slower and finds the same.
pub(super) fn install(is_narrow: bool) -> Result<(), seccompiler::Error> {
    seccompiler::apply_filter(&program(calls::watched(is_narrow)))
}

fn program(watched: impl Iterator<Item = i64>) -> Vec<sock_filter> {
    let step = |code, k, jt, jf| sock_filter { code, jt, jf, k };
    let give = |value| step(RETURN, value, 0, 0);
    let mut steps = vec![
        step(LOAD_WORD, ARCHITECTURE_AT, 0, 0),
        step(JUMP_IF_EQUAL, ARCHITECTURE, 1, 0),
        give(TRACE | u32::from(FOREIGN)),
        step(LOAD_WORD, NUMBER_AT, 0, 0),
        step(JUMP_IF_AT_LEAST, X32, 0, 1),
        give(TRACE | u32::from(FOREIGN)),
    ];
    for number in watched.filter_map(|number| u32::try_from(number).ok()) {
        steps.extend([step(JUMP_IF_EQUAL, number, 0, 1), give(TRACE | u32::from(NATIVE))]);
    }
    steps.push(give(ALLOW));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would make of the filter.
    fn answer(steps: &[sock_filter], architecture: u32, number: u32) -> u32 {
        let (mut at, mut word) = (0, 0);
        loop {
            let step = &steps[at];
            at += 1;
            let jump = |holds: bool| usize::from(if holds { step.jt } else { step.jf });
            match step.code {
                LOAD_WORD => word = if step.k == NUMBER_AT { number } else { architecture },
                JUMP_IF_EQUAL => at += jump(word == step.k),
                JUMP_IF_AT_LEAST => at += jump(word >= step.k),
                _ => return step.k,
            }
        }
    }

    #[test]
    fn only_what_is_watched_stops() {
        let steps = program([2, 257].into_iter());
        let native = TRACE | u32::from(NATIVE);
        let foreign = TRACE | u32::from(FOREIGN);
        for (architecture, number, expected) in [
            (ARCHITECTURE, 2, native),
            (ARCHITECTURE, 257, native),
            (ARCHITECTURE, 0, ALLOW),
            (ARCHITECTURE, 258, ALLOW),
            (ARCHITECTURE, X32 + 2, foreign),
            (ARCHITECTURE + 1, 0, foreign),
        ] {
            assert_eq!(answer(&steps, architecture, number), expected, "{architecture:x} {number}");
        }
    }
}
