//! The limit on the size of files (`ulimit -f`), which ends a process that writes beyond it. It must
//! not know what is written.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::SIGXFSZ;

/// Lets writes beyond the limit fail instead of ending this process. Programs that it starts are
/// ended as usual, since a handler does not outlive the start of another program.
pub fn outlive() {
    // Without it the limit ends this process, as it does any other.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
}
