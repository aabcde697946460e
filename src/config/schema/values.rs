//! The values that keys accept by name, and limits of values.

use ci_reports::facts::Unit;
use rustix::process::Signal;

/// Operating systems that a task can be limited to.
pub(crate) const SYSTEMS: [&str; 4] = ["linux", "macos", "windows", "freebsd"];

/// Signals that can stop a service.
pub(crate) const SIGNALS: [(&str, Signal); 7] = [
    ("SIGTERM", Signal::TERM),
    ("SIGINT", Signal::INT),
    ("SIGQUIT", Signal::QUIT),
    ("SIGHUP", Signal::HUP),
    ("SIGUSR1", Signal::USR1),
    ("SIGUSR2", Signal::USR2),
    ("SIGKILL", Signal::KILL),
];

/// Units as they are written, with what they count and the factor: a number and a power of ten.
pub(crate) const UNITS: [(&str, Unit, (f64, i32)); 14] = [
    ("", Unit::Number, (1.0, 0)),
    ("µs", Unit::Millis, (1.0, -3)),
    ("us", Unit::Millis, (1.0, -3)),
    ("ms", Unit::Millis, (1.0, 0)),
    ("s", Unit::Millis, (1.0, 3)),
    ("m", Unit::Millis, (6.0, 4)),
    ("B", Unit::Bytes, (1.0, 0)),
    ("kB", Unit::Bytes, (1.0, 3)),
    ("MB", Unit::Bytes, (1.0, 6)),
    ("GB", Unit::Bytes, (1.0, 9)),
    ("KiB", Unit::Bytes, (1_024.0, 0)),
    ("MiB", Unit::Bytes, (1_048_576.0, 0)),
    ("GiB", Unit::Bytes, (1_073_741_824.0, 0)),
    ("%", Unit::Share, (1.0, -2)),
];

/// The most machines that GitLab allows for `parallel`. GitHub allows 256 jobs in a matrix.
/// <https://docs.gitlab.com/ci/yaml/#parallel>
pub(crate) const SHARDS: u32 = 200;
