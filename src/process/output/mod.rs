//! Reads the output of one command from its pipe, masks it, and passes it to the log and the watcher. It
//! must not know whether the command still runs.

mod lines;
pub mod log;

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::buffer::spare_capacity;
use rustix::io::{Errno, ioctl_fionbio, ioctl_fionread, read};

use self::lines::Lines;
use self::log::{Log, LogBuffer, LogLimits};
use crate::process::secret_mask::{Mask, Masker};
use crate::process::watcher::Watcher;

/// The size of one read: as much as a pipe of Linux has room for.
const CHUNK: usize = 64 * 1024;

/// The reading end of a command's output.
pub(super) struct Output<'a> {
    /// `None` once it has ended.
    pipe: Option<PipeReader>,
    buffer: Vec<u8>,
    masker: Masker<'a>,
    log: LogBuffer,
    lines: Lines,
}

impl<'a> Output<'a> {
    /// Creates the pipe, and returns the end that the command writes to.
    pub(super) fn new(mask: &'a Mask, limits: LogLimits) -> io::Result<(Self, PipeWriter)> {
        let (reader, writer) = io::pipe()?;
        ioctl_fionbio(&reader, true)?;
        let output = Self {
            pipe: Some(reader),
            buffer: Vec::with_capacity(CHUNK),
            masker: mask.masker(),
            log: LogBuffer::new(limits),
            lines: Lines::default(),
        };
        Ok((output, writer))
    }

    /// Returns what to poll while there may be more output.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(PipeReader::as_fd)
    }

    /// Reads once without blocking, and returns the number of bytes.
    pub(super) fn read(&mut self, watcher: &mut dyn Watcher) -> usize {
        let Some(pipe) = &self.pipe else { return 0 };
        self.buffer.clear();
        match read(pipe, spare_capacity(&mut self.buffer)) {
            Ok(0) => self.pipe = None,
            Ok(_) => {
                let masked = self.masker.push(&self.buffer);
                self.log.add(masked);
                self.lines.add(masked, &mut |text| watcher.output(text));
                let unfinished = self.lines.unfinished_end();
                if !unfinished.is_empty() {
                    watcher.unfinished(&String::from_utf8_lossy(unfinished));
                }
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.pipe = None,
        }
        self.buffer.len()
    }

    /// Returns whether the last line has no end yet.
    pub(super) fn is_unfinished(&self) -> bool {
        !self.lines.unfinished().is_empty() || !self.masker.held().is_empty()
    }

    /// Passes the line that has no end yet to the watcher.
    pub(super) fn show_unfinished(&self, watcher: &mut dyn Watcher) {
        let line = [self.lines.unfinished(), self.masker.held()].concat();
        // What the mask holds back may contain line ends.
        let start = line.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        watcher.paused_within(&String::from_utf8_lossy(&line[start..]));
    }

    /// Reads what is in the pipe now, and no more: a process that left the group may keep writing
    /// forever.
    fn drain(&mut self, watcher: &mut dyn Watcher) {
        let Some(Ok(mut rest)) = self.pipe.as_ref().map(ioctl_fionread) else { return };
        while rest > 0 {
            match self.read(watcher) {
                0 => return,
                bytes => rest = rest.saturating_sub(bytes as u64),
            }
        }
    }

    /// Reads the rest, closes the pipe and finishes the log.
    pub(super) fn finish(mut self, watcher: &mut dyn Watcher) -> Log {
        self.drain(watcher);
        let masked = self.masker.finish();
        self.log.add(masked);
        self.lines.add(masked, &mut |text| watcher.output(text));
        self.lines.finish(&mut |text| watcher.output(text));
        self.log.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::wait::wait_until;
    use std::io::Write as _;

    #[test]
    fn finish_reads_the_rest_and_does_not_wait() {
        let mask = Mask::default();
        let (output, mut writer) = Output::new(&mask, LogLimits::default()).unwrap();
        writer.write_all(&[b'x'; 5000]).unwrap();
        assert_eq!(output.finish(&mut ()).text, "x".repeat(5000));
        // A process that another test has just started may have the other end for a moment.
        wait_until("nobody reads", || {
            writer.write(b"x").is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
        });
        let (output, _writer) = Output::new(&mask, LogLimits::default()).unwrap();
        assert_eq!(output.finish(&mut ()), Log::default());
    }

    #[derive(Default)]
    struct Heard {
        output: String,
        unfinished: Vec<String>,
    }

    impl Watcher for Heard {
        fn output(&mut self, text: &str) {
            self.output.push_str(text);
        }

        fn paused_within(&mut self, text: &str) {
            self.unfinished.push(text.to_owned());
        }
    }

    #[test]
    fn unfinished_line_is_passed_on_and_still_masked_and_logged() {
        let mask = Mask::new(vec![b"000-secret".to_vec()]).unwrap();
        let (mut output, mut writer) = Output::new(&mask, LogLimits::default()).unwrap();
        let mut heard = Heard::default();
        for (written, is_unfinished) in
            [("one\nListening on 3000", true), ("-secret!", true), ("\n", false), ("000-sec", true)]
        {
            writer.write_all(written.as_bytes()).unwrap();
            output.read(&mut heard);
            assert_eq!(output.is_unfinished(), is_unfinished, "{written}");
            output.show_unfinished(&mut heard);
        }
        assert_eq!(heard.unfinished, ["Listening on 3000", "Listening on 3***!", "", "000-sec"]);
        assert_eq!(heard.output, "one\nListening on 3***!\n");
        assert_eq!(output.finish(&mut heard).text, "one\nListening on 3***!\n000-sec");
    }
}
