//! Any bytes, read as `spdx`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ci_reports::{ReportKind, read};

fuzz_target!(|bytes: &[u8]| {
    let _ = read(ReportKind::Spdx, &mut &*bytes);
});
