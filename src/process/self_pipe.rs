//! A pipe that wakes a poll from another thread. It must not know why.

use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// The end that is polled.
#[derive(Debug)]
pub(super) struct SelfPipe(PipeReader);

/// The end that wakes the poll.
#[derive(Clone, Debug)]
pub(super) struct Waker(Arc<PipeWriter>);

/// Creates a pipe whose ends never block.
pub(super) fn self_pipe() -> io::Result<(SelfPipe, Waker)> {
    let (reader, writer) = io::pipe()?;
    rustix::io::ioctl_fionbio(&reader, true)?;
    rustix::io::ioctl_fionbio(&writer, true)?;
    Ok((SelfPipe(reader), Waker(Arc::new(writer))))
}

impl Waker {
    /// Wakes the poll. If the pipe is full, the poll wakes anyway. An error means that no poll is waiting.
    pub(super) fn wake(&self) {
        let _ = (&*self.0).write(&[1]);
    }
}

impl SelfPipe {
    /// Takes out what woke the poll.
    pub(super) fn clear(&mut self) {
        let _ = self.0.read(&mut [0; 64]);
    }
}

impl AsFd for SelfPipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
