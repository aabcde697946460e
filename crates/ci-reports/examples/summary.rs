//! Prints what a report says: `cargo run --example summary -- junit out/junit.xml`.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::fs::File;
use std::io::BufReader;

use ci_reports::{ReportKind, read};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(kind), Some(path)) = (args.next(), args.next()) else {
        return Err("usage: summary KIND FILE".into());
    };
    let kind = ReportKind::from_name(&kind).ok_or("unknown kind of report")?;
    let facts = read(kind, &mut BufReader::new(File::open(path)?))?;
    if let Some(tests) = &facts.tests {
        println!("tests: {} passed, {} failed, {} skipped", tests.passed, tests.failed.len(), tests.skipped);
    }
    if let Some(coverage) = &facts.coverage {
        let ratio = coverage.ratio();
        println!("coverage: {} of {} lines", ratio.part, ratio.whole);
    }
    for finding in facts.findings.iter().chain(&facts.secrets).flatten() {
        println!("{:?}: {}: {}", finding.severity, finding.rule, finding.message);
    }
    for package in facts.packages.iter().flatten() {
        println!("{} {}: {}", package.name, package.version, package.licences.join(", "));
    }
    for (name, measure) in &facts.measures {
        println!("{name}: {}", measure.value);
    }
    Ok(())
}
