//! The limit on the size of files (`ulimit -f`), by which a process is ended that writes beyond it. It
//! must not know what is written.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::SIGXFSZ;

/// Makes writes beyond the limit fail instead of ending this process. Programs that it starts are ended
/// as usual, because a handler is reset when a program is executed.
pub fn survive() {
    // If it fails, the limit ends this process, as any other.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
}
