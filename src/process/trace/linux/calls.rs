//! The system calls that are watched, and what each is about. Pure: it must not know whose they are.

use nix::libc;

use crate::process::trace::report::How;

/// What a system call is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Call {
    /// A file is opened with these flags.
    Open(At, u64),
    /// The same; the flags stand at this address.
    OpenHow(At, u64),
    /// It is asked whether a file is there, or what it is.
    Look(At),
    /// A program is executed.
    Execute(At),
    /// A name comes to be or goes, or its file is changed without being opened.
    Make(At),
    /// A file gets a further name.
    Link {
        from: At,
        to: At,
        /// Whether it is the file that a symlink leads to.
        follows: bool,
    },
    /// A name takes the place of another.
    Move {
        from: At,
        to: At,
        /// Whether each takes the place of the other.
        swaps: bool,
    },
    /// The entries of the folder with this descriptor are read.
    List(i32),
    /// A process or thread is started with these flags.
    Clone(u64),
    /// The same; the flags stand at this address.
    CloneHow(u64),
    /// Something that hides from the tracer, if it succeeds.
    Hide(Hiding),
}

/// How something hides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hiding {
    IoUring,
    Handle,
    Root,
    Tracer,
}

/// A path as a call names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct At {
    /// The descriptor of the folder that it starts from; `None` is the current folder.
    pub(super) folder: Option<i32>,
    /// The address of its text.
    pub(super) text: u64,
}

/// Where among a call's arguments its path is.
#[derive(Clone, Copy)]
struct Place {
    folder: Option<usize>,
    text: usize,
}

/// A call that may be watched, as places among its arguments.
#[derive(Clone, Copy)]
enum Shape {
    Open { path: Place, flags: usize },
    OpenHow { path: Place, how: usize },
    Create,
    Look(Place),
    Execute(Place),
    Make(Place),
    Link { from: Place, to: Place, flags: Option<usize> },
    Move { from: Place, to: Place, flags: Option<usize> },
    List,
    Clone,
    CloneHow,
    Hide(Hiding),
}

/// A path from the current folder.
const fn here(text: usize) -> Place {
    Place { folder: None, text }
}

/// A path from a folder that is the argument before it.
const fn from(folder: usize) -> Place {
    Place { folder: Some(folder), text: folder + 1 }
}

/// Calls that all architectures have.
const COMMON: &[(i64, Shape)] = &[
    (libc::SYS_openat, Shape::Open { path: from(0), flags: 2 }),
    (libc::SYS_openat2, Shape::OpenHow { path: from(0), how: 2 }),
    (libc::SYS_newfstatat, Shape::Look(from(0))),
    (libc::SYS_statx, Shape::Look(from(0))),
    (libc::SYS_faccessat, Shape::Look(from(0))),
    (libc::SYS_faccessat2, Shape::Look(from(0))),
    (libc::SYS_readlinkat, Shape::Look(from(0))),
    (libc::SYS_chdir, Shape::Look(here(0))),
    (libc::SYS_execve, Shape::Execute(here(0))),
    (libc::SYS_execveat, Shape::Execute(from(0))),
    (libc::SYS_renameat2, Shape::Move { from: from(0), to: from(2), flags: Some(4) }),
    (libc::SYS_renameat, Shape::Move { from: from(0), to: from(2), flags: None }),
    (libc::SYS_linkat, Shape::Link { from: from(0), to: from(2), flags: Some(4) }),
    (libc::SYS_unlinkat, Shape::Make(from(0))),
    (libc::SYS_symlinkat, Shape::Make(from(1))),
    (libc::SYS_mknodat, Shape::Make(from(0))),
    (libc::SYS_mkdirat, Shape::Make(from(0))),
    (libc::SYS_truncate, Shape::Make(here(0))),
    (libc::SYS_getdents64, Shape::List),
    (libc::SYS_clone, Shape::Clone),
    (libc::SYS_clone3, Shape::CloneHow),
    (libc::SYS_io_uring_setup, Shape::Hide(Hiding::IoUring)),
    (libc::SYS_open_by_handle_at, Shape::Hide(Hiding::Handle)),
    (libc::SYS_chroot, Shape::Hide(Hiding::Root)),
    (libc::SYS_pivot_root, Shape::Hide(Hiding::Root)),
    (libc::SYS_mount, Shape::Hide(Hiding::Root)),
    (libc::SYS_umount2, Shape::Hide(Hiding::Root)),
    (libc::SYS_open_tree, Shape::Hide(Hiding::Root)),
    (libc::SYS_move_mount, Shape::Hide(Hiding::Root)),
    (libc::SYS_fsmount, Shape::Hide(Hiding::Root)),
    (libc::SYS_mount_setattr, Shape::Hide(Hiding::Root)),
    (libc::SYS_setns, Shape::Hide(Hiding::Root)),
    (libc::SYS_ptrace, Shape::Hide(Hiding::Tracer)),
];

/// Calls that only the older architecture has.
#[cfg(target_arch = "x86_64")]
const OLD: &[(i64, Shape)] = &[
    (libc::SYS_open, Shape::Open { path: here(0), flags: 1 }),
    (libc::SYS_creat, Shape::Create),
    (libc::SYS_stat, Shape::Look(here(0))),
    (libc::SYS_lstat, Shape::Look(here(0))),
    (libc::SYS_access, Shape::Look(here(0))),
    (libc::SYS_readlink, Shape::Look(here(0))),
    (libc::SYS_rename, Shape::Move { from: here(0), to: here(1), flags: None }),
    (libc::SYS_link, Shape::Link { from: here(0), to: here(1), flags: None }),
    (libc::SYS_unlink, Shape::Make(here(0))),
    (libc::SYS_rmdir, Shape::Make(here(0))),
    (libc::SYS_symlink, Shape::Make(here(1))),
    (libc::SYS_mknod, Shape::Make(here(0))),
    (libc::SYS_mkdir, Shape::Make(here(0))),
    (libc::SYS_getdents, Shape::List),
];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[(i64, Shape)] = &[];

/// The numbers of all calls that are watched; `is_narrow` leaves out those that neither open nor change
/// a file, and the start of threads and processes, which the kernel reports anyway.
pub(super) fn watched(is_narrow: bool) -> impl Iterator<Item = i64> {
    let is_wanted = move |shape: &Shape| {
        !(is_narrow && matches!(shape, Shape::Look(_) | Shape::List | Shape::Clone | Shape::CloneHow))
    };
    COMMON.iter().chain(OLD).filter(move |(_, shape)| is_wanted(shape)).map(|(number, _)| *number)
}

/// Where among a call's arguments the flags are with which it opens a file, if it has some there.
pub(super) fn flags_of_open(number: i64) -> Option<usize> {
    let (_, shape) = COMMON.iter().chain(OLD).find(|(candidate, _)| *candidate == number)?;
    match shape {
        Shape::Open { flags, .. } => Some(*flags),
        _ => None,
    }
}

/// What a call is about, by its number and its arguments; `None` if it is not watched.
pub(super) fn call(number: i64, args: &[u64; 6]) -> Option<Call> {
    let (_, shape) = COMMON.iter().chain(OLD).find(|(candidate, _)| *candidate == number)?;
    let at = |place: Place| At {
        folder: place.folder.map(|index| descriptor(args[index])).filter(|fd| *fd != libc::AT_FDCWD),
        text: args[place.text],
    };
    let has = |flags: Option<usize>, flag: u64| flags.is_some_and(|index| args[index] & flag != 0);
    Some(match *shape {
        Shape::Open { path, flags } => Call::Open(at(path), args[flags]),
        Shape::OpenHow { path, how } => Call::OpenHow(at(path), args[how]),
        Shape::Create => Call::Open(at(here(0)), bits(libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC)),
        Shape::Look(path) => Call::Look(at(path)),
        Shape::Execute(path) => Call::Execute(at(path)),
        Shape::Make(path) => Call::Make(at(path)),
        Shape::Link { from, to, flags } => {
            Call::Link { from: at(from), to: at(to), follows: has(flags, bits(libc::AT_SYMLINK_FOLLOW)) }
        }
        Shape::Move { from, to, flags } => {
            Call::Move { from: at(from), to: at(to), swaps: has(flags, u64::from(libc::RENAME_EXCHANGE)) }
        }
        Shape::List => Call::List(descriptor(args[0])),
        Shape::Clone => Call::Clone(args[0]),
        Shape::CloneHow => Call::CloneHow(args[0]),
        Shape::Hide(hiding) => Call::Hide(hiding),
    })
}

/// A descriptor is the lower half of its register; the kernel ignores the rest.
#[expect(clippy::cast_possible_truncation, reason = "the kernel does it too")]
fn descriptor(register: u64) -> i32 {
    (register as u32).cast_signed()
}

/// Flags as they stand in a register.
pub(super) const fn bits(flags: i32) -> u64 {
    flags.cast_unsigned() as u64
}

/// How a file that was opened with these flags is seen.
pub(super) fn ways(flags: u64) -> &'static [How] {
    let has = |flag: i32| flags & bits(flag) == bits(flag);
    // What is emptied or made by the open has no old content to be read.
    let fresh = has(libc::O_TRUNC) || has(libc::O_CREAT | libc::O_EXCL);
    let access = flags & bits(libc::O_ACCMODE);
    match () {
        // Such a descriptor only stands for the place.
        () if has(libc::O_PATH) => &[],
        () if access == bits(libc::O_WRONLY) || fresh => &[How::Written],
        () if access == bits(libc::O_RDONLY) => &[How::Read],
        () => &[How::Read, How::Written],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_from_their_arguments() {
        let cwd = u64::from(libc::AT_FDCWD.cast_unsigned());
        let (five, six) = (At { folder: Some(5), text: 7 }, At { folder: Some(6), text: 8 });
        let cases = [
            (libc::SYS_openat, [cwd, 7, 1, 0, 0, 0], Some(Call::Open(At { folder: None, text: 7 }, 1))),
            (
                libc::SYS_openat,
                [u64::MAX - 99, 7, 0, 0, 0, 0],
                Some(Call::Open(At { folder: None, text: 7 }, 0)),
            ),
            (libc::SYS_statx, [5, 7, 0, 0, 0, 0], Some(Call::Look(At { folder: Some(5), text: 7 }))),
            // The fifth argument of `renameat` is no flag of its.
            (libc::SYS_renameat, [5, 7, 6, 8, 2, 0], Some(Call::Move { from: five, to: six, swaps: false })),
            (libc::SYS_renameat2, [5, 7, 6, 8, 2, 0], Some(Call::Move { from: five, to: six, swaps: true })),
            (libc::SYS_renameat2, [5, 7, 6, 8, 1, 0], Some(Call::Move { from: five, to: six, swaps: false })),
            (libc::SYS_linkat, [5, 7, 6, 8, 0, 0], Some(Call::Link { from: five, to: six, follows: false })),
            (
                libc::SYS_linkat,
                [5, 7, 6, 8, 0x400, 0],
                Some(Call::Link { from: five, to: six, follows: true }),
            ),
            (libc::SYS_symlinkat, [7, 6, 8, 0, 0, 0], Some(Call::Make(six))),
            (libc::SYS_unlinkat, [5, 7, 0, 0, 0, 0], Some(Call::Make(five))),
            (libc::SYS_getdents64, [3, 0, 0, 0, 0, 0], Some(Call::List(3))),
            (libc::SYS_read, [3, 0, 0, 0, 0, 0], None),
        ];
        for (number, args, expected) in cases {
            assert_eq!(call(number, &args), expected, "{number}");
        }
    }

    #[test]
    fn whatever_changes_what_paths_mean_hides() {
        for number in [
            libc::SYS_mount,
            libc::SYS_umount2,
            libc::SYS_open_tree,
            libc::SYS_move_mount,
            libc::SYS_fsmount,
            libc::SYS_mount_setattr,
            libc::SYS_pivot_root,
            libc::SYS_chroot,
            libc::SYS_setns,
        ] {
            assert_eq!(call(number, &[0; 6]), Some(Call::Hide(Hiding::Root)), "{number}");
        }
    }

    #[test]
    fn each_call_is_watched_once() {
        let all: Vec<i64> = watched(false).collect();
        let distinct: std::collections::HashSet<i64> = all.iter().copied().collect();
        assert_eq!(all.len(), distinct.len());
        let narrow: Vec<i64> = watched(true).collect();
        for (number, is_narrow) in [
            (libc::SYS_openat, true),
            (libc::SYS_execve, true),
            (libc::SYS_unlinkat, true),
            (libc::SYS_ptrace, true),
            (libc::SYS_io_uring_setup, true),
            (libc::SYS_statx, false),
            (libc::SYS_clone, false),
            (libc::SYS_getdents64, false),
        ] {
            assert_eq!(narrow.contains(&number), is_narrow, "{number}");
            assert!(distinct.contains(&number));
        }
    }

    #[test]
    fn flags_tell_whether_old_content_was_to_be_had() {
        for (flags, expected) in [
            (libc::O_RDONLY, &[How::Read][..]),
            (libc::O_RDONLY | libc::O_CLOEXEC | libc::O_CREAT, &[How::Read]),
            (libc::O_WRONLY | libc::O_APPEND, &[How::Written]),
            (libc::O_RDWR, &[How::Read, How::Written]),
            (libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC, &[How::Written]),
            (libc::O_RDWR | libc::O_CREAT | libc::O_EXCL, &[How::Written]),
            (libc::O_PATH | libc::O_DIRECTORY, &[]),
        ] {
            assert_eq!(ways(bits(flags)), expected, "{flags:o}");
        }
    }
}
