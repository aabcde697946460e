//! A pipe that wakes a poll from another thread. It must not know why.

use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// The end that is polled.
#[derive(Debug)]
pub(super) struct Wake(PipeReader);

/// The end that wakes.
#[derive(Clone, Debug)]
pub(super) struct Waker(Arc<PipeWriter>);

/// Makes a pipe whose ends never block.
pub(super) fn pair() -> io::Result<(Wake, Waker)> {
    let (reader, writer) = io::pipe()?;
    rustix::io::ioctl_fionbio(&reader, true)?;
    rustix::io::ioctl_fionbio(&writer, true)?;
    Ok((Wake(reader), Waker(Arc::new(writer))))
}

impl Waker {
    /// Wakes the other end. A full pipe wakes it just as well, and one that nobody polls any more
    /// needs no waking.
    pub(super) fn wake(&self) {
        let _ = (&*self.0).write(&[1]);
    }
}

impl Wake {
    /// Forgets the wakings so far.
    pub(super) fn clear(&mut self) {
        let _ = self.0.read(&mut [0; 64]);
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
