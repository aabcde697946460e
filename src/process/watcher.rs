//! The interface by which others follow a running command.

/// Follows a running command, on the thread that runs it. While it is busy, nothing is read and nothing
/// is ended.
pub trait Watcher {
    /// The command printed these lines. Each has its line end, except the last line of all and pieces of
    /// a very long line.
    fn output(&mut self, text: &str);

    /// The command printed the beginning of a line. This is all of it so far, or its end if it is long.
    fn unfinished(&mut self, _text: &str) {}

    /// The command paused in this line, or has been writing it for long. It comes again as output when it
    /// is complete. It may end with the beginning of a secret, so it must not be shown.
    fn paused_within(&mut self, line: &str) {
        let _ = line;
    }

    /// The command passed its `slow_after`.
    fn slow(&mut self) {}
}

/// Ignores everything.
impl Watcher for () {
    fn output(&mut self, _: &str) {}
}
