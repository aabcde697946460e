//! The seccomp filter that stops a thread only at the watched system calls. It does not know what they
//! do.

use libc::sock_filter;

use super::ptrace::{NATIVE_ARCHITECTURE, X32};
use super::syscalls::{self, Watched};

/// What the filter returns with a stop at a watched call.
pub(super) const NATIVE: u16 = 1;
/// What it returns with a stop at a call of another architecture.
pub(super) const FOREIGN: u16 = 2;

const LOAD_WORD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const JUMP_IF_SET: u16 = 0x45;
const RETURN: u16 = 0x06;

const ALLOW: u32 = 0x7fff_0000;
const TRACE: u32 = 0x7ff0_0000;

/// Offsets of the call's number and its architecture.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
/// Offset of the arguments, eight bytes each. Both architectures are little-endian.
const ARGUMENTS_AT: u32 = 16;
/// Flags of an open that neither reads nor writes a file.
const NO_FILE: u32 = (libc::O_DIRECTORY | libc::O_PATH).cast_unsigned();
/// Builds the filter for these calls.
pub(super) fn program(calls: Watched) -> Vec<sock_filter> {
    program_of(syscalls::watched(calls), calls == Watched::OpensOnly)
}

fn program_of(watched: impl Iterator<Item = i64>, opens_only: bool) -> Vec<sock_filter> {
    let step = |code, k, jt, jf| sock_filter { code, jt, jf, k };
    let give = |value| step(RETURN, value, 0, 0);
    let mut steps = vec![
        step(LOAD_WORD, ARCHITECTURE_AT, 0, 0),
        step(JUMP_IF_EQUAL, NATIVE_ARCHITECTURE, 1, 0),
        give(TRACE | u32::from(FOREIGN)),
        step(LOAD_WORD, NUMBER_AT, 0, 0),
        step(JUMP_IF_AT_LEAST, X32, 0, 1),
        give(TRACE | u32::from(FOREIGN)),
    ];
    for number in watched.filter_map(|number| u32::try_from(number).ok()) {
        let flags = syscalls::open_flags_index(i64::from(number)).filter(|_| opens_only);
        match flags.and_then(|index| u32::try_from(index).ok()) {
            Some(index) => steps.extend([
                step(JUMP_IF_EQUAL, number, 0, 4),
                // The lower half of the argument.
                step(LOAD_WORD, ARGUMENTS_AT + 8 * index, 0, 0),
                step(JUMP_IF_SET, NO_FILE, 0, 1),
                give(ALLOW),
                give(TRACE | u32::from(NATIVE)),
            ]),
            None => steps.extend([step(JUMP_IF_EQUAL, number, 0, 1), give(TRACE | u32::from(NATIVE))]),
        }
    }
    steps.push(give(ALLOW));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the filter as the kernel would.
    fn answer(steps: &[sock_filter], architecture: u32, number: u32, args: [u32; 3]) -> u32 {
        let (mut at, mut word) = (0, 0);
        loop {
            let step = &steps[at];
            at += 1;
            let jump = |holds: bool| usize::from(if holds { step.jt } else { step.jf });
            match step.code {
                LOAD_WORD => {
                    word = match step.k {
                        NUMBER_AT => number,
                        ARCHITECTURE_AT => architecture,
                        at => args[usize::try_from((at - ARGUMENTS_AT) / 8).unwrap()],
                    }
                }
                JUMP_IF_SET => at += jump(word & step.k != 0),
                JUMP_IF_EQUAL => at += jump(word == step.k),
                JUMP_IF_AT_LEAST => at += jump(word >= step.k),
                _ => return step.k,
            }
        }
    }

    #[test]
    fn only_watched_and_foreign_calls_stop() {
        let steps = program_of([2, 257].into_iter(), false);
        let native = TRACE | u32::from(NATIVE);
        let foreign = TRACE | u32::from(FOREIGN);
        for (architecture, number, expected) in [
            (NATIVE_ARCHITECTURE, 2, native),
            (NATIVE_ARCHITECTURE, 257, native),
            (NATIVE_ARCHITECTURE, 0, ALLOW),
            (NATIVE_ARCHITECTURE, 258, ALLOW),
            (NATIVE_ARCHITECTURE, X32 + 2, foreign),
            (NATIVE_ARCHITECTURE + 1, 0, foreign),
        ] {
            assert_eq!(answer(&steps, architecture, number, [0; 3]), expected, "{architecture:x} {number}");
        }
    }

    #[test]
    fn filter_for_opened_files_ignores_opened_folders() {
        let number = u32::try_from(libc::SYS_openat).unwrap();
        let exec = u32::try_from(libc::SYS_execve).unwrap();
        let native = TRACE | u32::from(NATIVE);
        let directory = libc::O_DIRECTORY.cast_unsigned();
        let opens_only = Watched::OpensOnly;
        for (calls, number, flags, expected) in [
            (opens_only, number, 0, native),
            (opens_only, number, libc::O_CREAT.cast_unsigned(), native),
            (opens_only, number, directory, ALLOW),
            (opens_only, number, libc::O_PATH.cast_unsigned(), ALLOW),
            (Watched::Accesses, number, directory, native),
            (Watched::Lookups, number, directory, native),
            (opens_only, exec, directory, native),
            (opens_only, 0, directory, ALLOW),
        ] {
            let steps = program(calls);
            assert_eq!(
                answer(&steps, NATIVE_ARCHITECTURE, number, [0, 0, flags]),
                expected,
                "{number} {flags:o}"
            );
        }
    }
}
