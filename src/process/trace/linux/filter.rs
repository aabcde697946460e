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
const JUMP_IF_SET: u16 = 0x45;
const RETURN: u16 = 0x06;

const ALLOW: u32 = 0x7fff_0000;
const TRACE: u32 = 0x7ff0_0000;

/// Where the kernel puts the number and the architecture.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
/// And the arguments, eight bytes each; both architectures are little-endian.
const ARGUMENTS_AT: u32 = 16;
/// Flags with which an open gives a folder, or what only stands for a place.
const NO_FILE: u32 = (nix::libc::O_DIRECTORY | nix::libc::O_PATH).cast_unsigned();
/// From here on the numbers are those of x32, which says to be x86-64.
const X32: u32 = 0x4000_0000;

/// Puts this process and all its descendants under the filter. Without it all calls have to stop,
/// which is slower and finds the same.
pub(super) fn install(is_narrow: bool) -> Result<(), seccompiler::Error> {
    seccompiler::apply_filter(&program(calls::watched(is_narrow), is_narrow))
}

/// `is_narrow` lets opens pass by which no file is read or written.
fn program(watched: impl Iterator<Item = i64>, is_narrow: bool) -> Vec<sock_filter> {
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
        let flags = calls::flags_of_open(i64::from(number)).filter(|_| is_narrow);
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

    /// What the kernel would make of the filter.
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
    fn only_what_is_watched_stops() {
        let steps = program([2, 257].into_iter(), false);
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
            assert_eq!(answer(&steps, architecture, number, [0; 3]), expected, "{architecture:x} {number}");
        }
    }

    #[test]
    fn a_narrow_filter_lets_opens_of_folders_pass() {
        let number = u32::try_from(nix::libc::SYS_openat).unwrap();
        let exec = u32::try_from(nix::libc::SYS_execve).unwrap();
        let native = TRACE | u32::from(NATIVE);
        let directory = nix::libc::O_DIRECTORY.cast_unsigned();
        for (is_narrow, number, flags, expected) in [
            (true, number, 0, native),
            (true, number, nix::libc::O_CREAT.cast_unsigned(), native),
            (true, number, directory, ALLOW),
            (true, number, nix::libc::O_PATH.cast_unsigned(), ALLOW),
            (false, number, directory, native),
            (true, exec, directory, native),
            (true, 0, directory, ALLOW),
        ] {
            let steps = program(calls::watched(is_narrow), is_narrow);
            assert_eq!(answer(&steps, ARCHITECTURE, number, [0, 0, flags]), expected, "{number} {flags:o}");
        }
    }
}
