//! Runs a program and prints which files it used: `opens PROGRAM [ARGUMENT…]`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "that is what it is for")]

use std::process::ExitCode;

use open_trace::{Options, signals, trace};

fn main() -> std::io::Result<ExitCode> {
    let command: Vec<_> = std::env::args_os().skip(1).collect();
    signals::survive_group_signals()?;
    let outcome = trace(&command, &Options::default())?;
    if let Some(error) = &outcome.exec_error {
        eprintln!("can't run {}: {error}", command[0].display());
    }
    for file in &outcome.trace.files {
        let accesses: Vec<_> = file.accesses.iter().map(|access| format!("{access:?}")).collect();
        println!("{}: {}", file.path, accesses.join(" "));
    }
    for doubt in &outcome.trace.doubts {
        println!("may be incomplete: {}", doubt.kind);
    }
    Ok(ExitCode::from(signals::end_as(outcome.status)))
}
