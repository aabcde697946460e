//! The table of watched system calls, and what each is about. Pure: it does not know which thread makes
//! a call.

use crate::report::Access;

/// What a system call is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Call {
    /// Opens a file with these flags.
    Open(PathArgument, u64),
    /// Opens a file; the flags are at this address.
    OpenHow(PathArgument, u64),
    /// Asks whether a file is there, or what it is.
    Look(PathArgument),
    /// Executes a program.
    Execute(PathArgument),
    /// Creates or removes a name, or changes a file without opening it.
    Change(PathArgument),
    /// Gives a file a further name.
    Link {
        from: PathArgument,
        to: PathArgument,
        /// Whether symlinks are followed to the file.
        follows: bool,
    },
    /// Gives a file another name, and may replace the file of that name.
    Rename {
        from: PathArgument,
        to: PathArgument,
        /// Whether the two swap their names.
        swaps: bool,
    },
    /// Reads the entries of the folder with this descriptor.
    List(i32),
    /// Starts a process or thread with these flags.
    Clone(u64),
    /// Starts a process or thread; the flags are at this address.
    CloneHow(u64),
    /// Sends to the address here, if it is not 0.
    Send(u64),
    /// Gives a socket the address that is here.
    Bind(u64),
    /// Sends a message that is described here; the address of its receiver comes first.
    SendMessage(u64),
    /// Connects a socket to what is at this address, which has this length.
    Connect { address: u64, length: u64 },
    /// Does something that the tracer can't follow, if it succeeds.
    Escape(Escape),
}

/// Something that the tracer can't follow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Escape {
    IoUring,
    Handle,
    Root,
    Tracer,
    Exchange,
    Accept,
}

/// Which calls are watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Watched {
    /// All that use files, and those that start threads and processes.
    Accesses,
    /// Those that open, execute or change a file. The kernel reports new threads and processes anyway.
    OpensOnly,
    /// All by which a program can learn something of another file or process.
    Lookups,
}

/// A path as a call names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PathArgument {
    /// The descriptor of the folder that it starts from; `None` is the current folder.
    pub(super) folder: Option<i32>,
    /// The address of its text.
    pub(super) text: u64,
}

/// The indices of the arguments that make up a path.
#[derive(Clone, Copy)]
struct PathIndices {
    folder: Option<usize>,
    text: usize,
}

/// Which of a call's arguments mean what.
#[derive(Clone, Copy)]
enum Layout {
    Open {
        path: PathIndices,
        flags: usize,
    },
    OpenHow {
        path: PathIndices,
        how: usize,
    },
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only x86-64 has this call"))]
    Create,
    Look(PathIndices),
    Execute(PathIndices),
    Change(PathIndices),
    Link {
        from: PathIndices,
        to: PathIndices,
        flags: Option<usize>,
    },
    Rename {
        from: PathIndices,
        to: PathIndices,
        flags: Option<usize>,
    },
    List,
    Clone,
    CloneHow,
    Send,
    SendMessage,
    Bind,
    Connect,
    Escape(Escape),
}

/// A path from the current folder.
const fn at_cwd(text: usize) -> PathIndices {
    PathIndices { folder: None, text }
}

/// A path from a folder, which is the argument before it.
const fn at_folder(folder: usize) -> PathIndices {
    PathIndices { folder: Some(folder), text: folder + 1 }
}

/// Calls that all architectures have.
const COMMON: &[(i64, Layout)] = &[
    (libc::SYS_openat, Layout::Open { path: at_folder(0), flags: 2 }),
    (libc::SYS_openat2, Layout::OpenHow { path: at_folder(0), how: 2 }),
    (libc::SYS_newfstatat, Layout::Look(at_folder(0))),
    (libc::SYS_statx, Layout::Look(at_folder(0))),
    (libc::SYS_faccessat, Layout::Look(at_folder(0))),
    (libc::SYS_faccessat2, Layout::Look(at_folder(0))),
    (libc::SYS_readlinkat, Layout::Look(at_folder(0))),
    (libc::SYS_chdir, Layout::Look(at_cwd(0))),
    (libc::SYS_execve, Layout::Execute(at_cwd(0))),
    (libc::SYS_execveat, Layout::Execute(at_folder(0))),
    (libc::SYS_renameat2, Layout::Rename { from: at_folder(0), to: at_folder(2), flags: Some(4) }),
    (libc::SYS_renameat, Layout::Rename { from: at_folder(0), to: at_folder(2), flags: None }),
    (libc::SYS_linkat, Layout::Link { from: at_folder(0), to: at_folder(2), flags: Some(4) }),
    (libc::SYS_unlinkat, Layout::Change(at_folder(0))),
    (libc::SYS_symlinkat, Layout::Change(at_folder(1))),
    (libc::SYS_mknodat, Layout::Change(at_folder(0))),
    (libc::SYS_mkdirat, Layout::Change(at_folder(0))),
    (libc::SYS_truncate, Layout::Change(at_cwd(0))),
    (libc::SYS_getdents64, Layout::List),
    (libc::SYS_clone, Layout::Clone),
    (libc::SYS_clone3, Layout::CloneHow),
    (libc::SYS_io_uring_setup, Layout::Escape(Escape::IoUring)),
    (libc::SYS_open_by_handle_at, Layout::Escape(Escape::Handle)),
    (libc::SYS_chroot, Layout::Escape(Escape::Root)),
    (libc::SYS_pivot_root, Layout::Escape(Escape::Root)),
    (libc::SYS_mount, Layout::Escape(Escape::Root)),
    (libc::SYS_umount2, Layout::Escape(Escape::Root)),
    (libc::SYS_open_tree, Layout::Escape(Escape::Root)),
    (libc::SYS_move_mount, Layout::Escape(Escape::Root)),
    (libc::SYS_fsmount, Layout::Escape(Escape::Root)),
    (libc::SYS_mount_setattr, Layout::Escape(Escape::Root)),
    (libc::SYS_setns, Layout::Escape(Escape::Root)),
    (libc::SYS_ptrace, Layout::Escape(Escape::Tracer)),
];

/// Calls that only x86-64 has.
#[cfg(target_arch = "x86_64")]
const X86_ONLY: &[(i64, Layout)] = &[
    (libc::SYS_open, Layout::Open { path: at_cwd(0), flags: 1 }),
    (libc::SYS_creat, Layout::Create),
    (libc::SYS_stat, Layout::Look(at_cwd(0))),
    (libc::SYS_lstat, Layout::Look(at_cwd(0))),
    (libc::SYS_access, Layout::Look(at_cwd(0))),
    (libc::SYS_readlink, Layout::Look(at_cwd(0))),
    (libc::SYS_rename, Layout::Rename { from: at_cwd(0), to: at_cwd(1), flags: None }),
    (libc::SYS_link, Layout::Link { from: at_cwd(0), to: at_cwd(1), flags: None }),
    (libc::SYS_unlink, Layout::Change(at_cwd(0))),
    (libc::SYS_rmdir, Layout::Change(at_cwd(0))),
    (libc::SYS_symlink, Layout::Change(at_cwd(1))),
    (libc::SYS_mknod, Layout::Change(at_cwd(0))),
    (libc::SYS_mkdir, Layout::Change(at_cwd(0))),
    (libc::SYS_getdents, Layout::List),
];
#[cfg(not(target_arch = "x86_64"))]
const X86_ONLY: &[(i64, Layout)] = &[];

/// Further calls that matter only to a trace of lookups.
const LOOKUPS: &[(i64, Layout)] = &[
    (libc::SYS_statfs, Layout::Look(at_cwd(0))),
    (libc::SYS_getxattr, Layout::Look(at_cwd(0))),
    (libc::SYS_lgetxattr, Layout::Look(at_cwd(0))),
    (libc::SYS_listxattr, Layout::Look(at_cwd(0))),
    (libc::SYS_llistxattr, Layout::Look(at_cwd(0))),
    (libc::SYS_inotify_add_watch, Layout::Look(at_cwd(1))),
    (libc::SYS_name_to_handle_at, Layout::Look(at_folder(0))),
    (libc::SYS_utimensat, Layout::Change(at_folder(0))),
    (libc::SYS_fchmodat, Layout::Change(at_folder(0))),
    (libc::SYS_fchownat, Layout::Change(at_folder(0))),
    (libc::SYS_setxattr, Layout::Change(at_cwd(0))),
    (libc::SYS_lsetxattr, Layout::Change(at_cwd(0))),
    (libc::SYS_removexattr, Layout::Change(at_cwd(0))),
    (libc::SYS_lremovexattr, Layout::Change(at_cwd(0))),
    (libc::SYS_bind, Layout::Bind),
    (libc::SYS_process_vm_readv, Layout::Escape(Escape::Exchange)),
    (libc::SYS_sendto, Layout::Send),
    (libc::SYS_sendmsg, Layout::SendMessage),
    (libc::SYS_sendmmsg, Layout::SendMessage),
    (libc::SYS_accept, Layout::Escape(Escape::Accept)),
    (libc::SYS_accept4, Layout::Escape(Escape::Accept)),
    (libc::SYS_connect, Layout::Connect),
    (libc::SYS_shmget, Layout::Escape(Escape::Exchange)),
    (libc::SYS_msgget, Layout::Escape(Escape::Exchange)),
    (libc::SYS_semget, Layout::Escape(Escape::Exchange)),
    (libc::SYS_mq_open, Layout::Escape(Escape::Exchange)),
    (libc::SYS_request_key, Layout::Escape(Escape::Exchange)),
    (libc::SYS_pidfd_getfd, Layout::Escape(Escape::Exchange)),
];

/// Those of them that only x86-64 has.
#[cfg(target_arch = "x86_64")]
const X86_LOOKUPS: &[(i64, Layout)] = &[
    (libc::SYS_utime, Layout::Change(at_cwd(0))),
    (libc::SYS_utimes, Layout::Change(at_cwd(0))),
    (libc::SYS_futimesat, Layout::Change(at_folder(0))),
    (libc::SYS_chmod, Layout::Change(at_cwd(0))),
    (libc::SYS_chown, Layout::Change(at_cwd(0))),
    (libc::SYS_lchown, Layout::Change(at_cwd(0))),
];
#[cfg(not(target_arch = "x86_64"))]
const X86_LOOKUPS: &[(i64, Layout)] = &[];

/// Returns the numbers of all watched calls.
pub(super) fn watched(calls: Watched) -> impl Iterator<Item = i64> {
    let is_wanted = move |layout: &Layout| {
        let is_other = matches!(layout, Layout::Look(_) | Layout::List | Layout::Clone | Layout::CloneHow);
        calls != Watched::OpensOnly || !is_other
    };
    all(calls).filter(move |(_, layout)| is_wanted(layout)).map(|(number, _)| *number)
}

/// Returns the index of the argument with the flags of an open, if the call has such an argument.
pub(super) fn open_flags_index(number: i64) -> Option<usize> {
    match layout(number, Watched::OpensOnly)? {
        Layout::Open { flags, .. } => Some(flags),
        _ => None,
    }
}

fn layout(number: i64, calls: Watched) -> Option<Layout> {
    all(calls).find(|(known, _)| *known == number).map(|(_, layout)| *layout)
}

/// Returns the calls of these tables, of which [`Watched::OpensOnly`] does not watch all.
fn all(calls: Watched) -> impl Iterator<Item = &'static (i64, Layout)> {
    let further = [LOOKUPS, X86_LOOKUPS].into_iter().filter(move |_| calls == Watched::Lookups).flatten();
    COMMON.iter().chain(X86_ONLY).chain(further)
}

/// Returns what a call is about, or `None` if it is not watched.
pub(super) fn parse(number: u64, args: &[u64; 6], calls: Watched) -> Option<Call> {
    let path = |indices: PathIndices| PathArgument {
        folder: indices.folder.map(|index| descriptor(args[index])).filter(|fd| *fd != libc::AT_FDCWD),
        text: args[indices.text],
    };
    let has = |flags: Option<usize>, flag: u64| flags.is_some_and(|index| args[index] & flag != 0);
    Some(match layout(i64::try_from(number).ok()?, calls)? {
        Layout::Open { path: indices, flags } => Call::Open(path(indices), args[flags]),
        Layout::OpenHow { path: indices, how } => Call::OpenHow(path(indices), args[how]),
        Layout::Create => Call::Open(path(at_cwd(0)), bits(libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC)),
        Layout::Look(indices) => Call::Look(path(indices)),
        Layout::Execute(indices) => Call::Execute(path(indices)),
        Layout::Change(indices) => Call::Change(path(indices)),
        Layout::Link { from, to, flags } => {
            Call::Link { from: path(from), to: path(to), follows: has(flags, bits(libc::AT_SYMLINK_FOLLOW)) }
        }
        Layout::Rename { from, to, flags } => Call::Rename {
            from: path(from),
            to: path(to),
            swaps: has(flags, u64::from(libc::RENAME_EXCHANGE)),
        },
        Layout::List => Call::List(descriptor(args[0])),
        Layout::Clone => Call::Clone(args[0]),
        Layout::CloneHow => Call::CloneHow(args[0]),
        Layout::Bind => Call::Bind(args[1]),
        Layout::Send => Call::Send(args[4]),
        Layout::SendMessage => Call::SendMessage(args[1]),
        Layout::Connect => Call::Connect { address: args[1], length: args[2] },
        Layout::Escape(escape) => Call::Escape(escape),
    })
}

/// Returns the descriptor in a register. It is the lower half; the kernel ignores the rest.
#[expect(clippy::cast_possible_truncation, reason = "the kernel does it too")]
fn descriptor(register: u64) -> i32 {
    (register as u32).cast_signed()
}

/// Returns flags as they are in a register.
pub(super) const fn bits(flags: i32) -> u64 {
    flags.cast_unsigned() as u64
}

/// Returns the accesses to a file that was opened with these flags.
pub(super) fn accesses(flags: u64) -> &'static [Access] {
    let has = |flag: i32| flags & bits(flag) == bits(flag);
    // The open itself emptied or created the file, so there is no old content to read.
    let is_fresh = has(libc::O_TRUNC) || has(libc::O_CREAT | libc::O_EXCL);
    let mode = flags & bits(libc::O_ACCMODE);
    if has(libc::O_PATH) {
        // Such a descriptor only names a place.
        &[]
    } else if mode == bits(libc::O_WRONLY) || is_fresh {
        &[Access::Written]
    } else if mode == bits(libc::O_RDONLY) {
        &[Access::Read]
    } else {
        &[Access::Read, Access::Written]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_parsed_from_their_arguments() {
        let cwd = u64::from(libc::AT_FDCWD.cast_unsigned());
        let (five, six) =
            (PathArgument { folder: Some(5), text: 7 }, PathArgument { folder: Some(6), text: 8 });
        let cases = [
            (
                libc::SYS_openat,
                [cwd, 7, 1, 0, 0, 0],
                Some(Call::Open(PathArgument { folder: None, text: 7 }, 1)),
            ),
            (
                libc::SYS_openat,
                [u64::MAX - 99, 7, 0, 0, 0, 0],
                Some(Call::Open(PathArgument { folder: None, text: 7 }, 0)),
            ),
            (
                libc::SYS_statx,
                [5, 7, 0, 0, 0, 0],
                Some(Call::Look(PathArgument { folder: Some(5), text: 7 })),
            ),
            // `renameat` has no fifth argument, so the register holds anything.
            (
                libc::SYS_renameat,
                [5, 7, 6, 8, 2, 0],
                Some(Call::Rename { from: five, to: six, swaps: false }),
            ),
            (
                libc::SYS_renameat2,
                [5, 7, 6, 8, 2, 0],
                Some(Call::Rename { from: five, to: six, swaps: true }),
            ),
            (
                libc::SYS_renameat2,
                [5, 7, 6, 8, 1, 0],
                Some(Call::Rename { from: five, to: six, swaps: false }),
            ),
            (libc::SYS_linkat, [5, 7, 6, 8, 0, 0], Some(Call::Link { from: five, to: six, follows: false })),
            (
                libc::SYS_linkat,
                [5, 7, 6, 8, 0x400, 0],
                Some(Call::Link { from: five, to: six, follows: true }),
            ),
            (libc::SYS_symlinkat, [7, 6, 8, 0, 0, 0], Some(Call::Change(six))),
            (libc::SYS_unlinkat, [5, 7, 0, 0, 0, 0], Some(Call::Change(five))),
            (libc::SYS_getdents64, [3, 0, 0, 0, 0, 0], Some(Call::List(3))),
            (libc::SYS_sendto, [3, 0, 0, 0, 7, 0], Some(Call::Send(7))),
            (libc::SYS_connect, [3, 7, 9, 0, 0, 0], Some(Call::Connect { address: 7, length: 9 })),
            (libc::SYS_read, [3, 0, 0, 0, 0, 0], None),
        ];
        for (number, args, expected) in cases {
            assert_eq!(parse(number.cast_unsigned(), &args, Watched::Lookups), expected, "{number}");
        }
    }

    #[test]
    fn calls_that_change_what_paths_mean_are_escapes() {
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
            let call = parse(number.cast_unsigned(), &[0; 6], Watched::Accesses);
            assert_eq!(call, Some(Call::Escape(Escape::Root)), "{number}");
        }
    }

    #[test]
    fn each_call_is_watched_once() {
        let all: Vec<i64> = watched(Watched::Lookups).collect();
        let distinct: std::collections::HashSet<i64> = all.iter().copied().collect();
        assert_eq!(all.len(), distinct.len());
        let usual: Vec<i64> = watched(Watched::Accesses).collect();
        assert!(!usual.contains(&libc::SYS_connect) && distinct.contains(&libc::SYS_connect));
        let narrow: Vec<i64> = watched(Watched::OpensOnly).collect();
        for (number, opens_only) in [
            (libc::SYS_openat, true),
            (libc::SYS_execve, true),
            (libc::SYS_unlinkat, true),
            (libc::SYS_ptrace, true),
            (libc::SYS_io_uring_setup, true),
            (libc::SYS_statx, false),
            (libc::SYS_clone, false),
            (libc::SYS_getdents64, false),
        ] {
            assert_eq!(narrow.contains(&number), opens_only, "{number}");
            assert!(distinct.contains(&number));
        }
    }

    #[test]
    fn open_flags_say_whether_old_content_can_be_read() {
        for (flags, expected) in [
            (libc::O_RDONLY, &[Access::Read][..]),
            (libc::O_RDONLY | libc::O_CLOEXEC | libc::O_CREAT, &[Access::Read]),
            (libc::O_WRONLY | libc::O_APPEND, &[Access::Written]),
            (libc::O_RDWR, &[Access::Read, Access::Written]),
            (libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC, &[Access::Written]),
            (libc::O_RDWR | libc::O_CREAT | libc::O_EXCL, &[Access::Written]),
            (libc::O_PATH | libc::O_DIRECTORY, &[]),
        ] {
            assert_eq!(accesses(bits(flags)), expected, "{flags:o}");
        }
    }
}
