//! Judges the rules for line coverage.

use std::cmp::{Ordering, Reverse};

use super::evidence::{Ruling, Verdict, Violation};
use super::inputs::{Baseline, GateInputs};
use super::percent::{Percent, RequiredPercent};
use super::rule_result::{counted, missing_facts, ruling, verdict};
use super::rules::Coverage as Rule;
use crate::base::path::RepoPath;
use ci_reports::facts::{Coverage, LineCoverage, LineRanges, Location, Ratio};

/// The maximum number of ranges of missed lines that a violation shows.
const MAX_RANGES: usize = 8;

/// A covered file and its lines.
type CoveredFile<'f> = (&'f String, &'f LineCoverage);

/// Returns how many lines were reached, out of all lines of the files.
pub(super) fn ratio<'f>(files: impl Iterator<Item = CoveredFile<'f>>) -> Ratio {
    files.fold(Ratio::default(), |sum, (_, lines)| {
        let (reached, missed) = (count(&lines.reached), count(&lines.missed));
        let part = sum.part.saturating_add(reached);
        Ratio { part, whole: sum.whole.saturating_add(reached).saturating_add(missed) }
    })
}

fn count(ranges: &LineRanges) -> u64 {
    ranges.0.iter().map(|(first, last)| u64::from(last.saturating_sub(*first)) + 1).sum()
}

/// Adds the rulings on coverage.
pub(super) fn judge(inputs: &GateInputs<'_>, rulings: &mut Vec<Ruling>) {
    let Some(rule) = &inputs.rules.coverage else { return };
    if let Some(min) = rule.min {
        rulings.push(at_least("coverage.min".to_owned(), min, inputs.facts.coverage.as_ref(), |_| true));
    }
    rulings.extend(max_drop(rule, inputs));
    for (pattern, min) in &rule.paths {
        let name = format!("coverage.paths.\"{}\"", pattern.text());
        let within = |path: &str| pattern.matches(&RepoPath::from_git(path.as_bytes()));
        rulings.push(at_least(name, *min, inputs.facts.coverage.as_ref(), within));
    }
}

fn no_coverage(rule: &str, required: String) -> Ruling {
    missing_facts(rule, required, "coverage", "`lcov` or `cobertura`")
}

/// Judges a minimum for the files for which `wanted` returns true.
fn at_least(rule: String, min: f64, facts: Option<&Coverage>, wanted: impl Fn(&str) -> bool) -> Ruling {
    let required = format!("≥ {min} %");
    let Some(coverage) = facts else { return no_coverage(&rule, required) };
    let files: Vec<CoveredFile<'_>> = coverage.files.iter().filter(|(path, _)| wanted(path)).collect();
    let of_all = ratio(files.iter().copied());
    let Some(percent) = Percent::from_ratio(of_all) else {
        let actual =
            if files.is_empty() { "no covered file matches" } else { "no line of it can be covered" };
        return ruling(rule, required, actual.to_owned(), Verdict::Broken);
    };
    let mark = RequiredPercent::from_percent(min);
    let holds = percent.compare(mark) != Ordering::Less;
    ruling(rule, required, format_share(percent, of_all, &[mark]), verdict(holds))
        .with_violations(missed_lines(files))
}

fn format_share(percent: Percent, ratio: Ratio, marks: &[RequiredPercent]) -> String {
    format!("{} % ({} of {})", percent.format(marks), ratio.part, counted(ratio.whole, "line"))
}

/// Judges how far coverage dropped compared with the baseline.
fn max_drop(rule: &Rule, inputs: &GateInputs<'_>) -> Option<Ruling> {
    let most = rule.max_drop?;
    let name = "coverage.max-drop";
    let required = format!("at most {most} points less than before");
    let Some(coverage) = &inputs.facts.coverage else { return Some(no_coverage(name, required)) };
    let now_ratio = ratio(coverage.files.iter());
    let Some(now) = Percent::from_ratio(now_ratio) else {
        return Some(ruling(name, required, "no line can be covered".to_owned(), Verdict::Broken));
    };
    let unjudged = |why: String| {
        let actual = format!("{}; not compared: {why}", format_share(now, now_ratio, &[]));
        Some(ruling(name, required.clone(), actual, Verdict::Unjudged))
    };
    let record = match inputs.baseline {
        Baseline::Known { record, .. } => record,
        Baseline::Missing { why } => return unjudged(why.clone()),
        Baseline::Unreadable { why } => {
            return Some(ruling(name, required, format!("can't be compared: {why}"), Verdict::Broken));
        }
        Baseline::NotNeeded => return unjudged("no baseline was requested".to_owned()),
    };
    let Some(before) = record.coverage.and_then(Percent::from_ratio) else {
        return unjudged("the baseline has no coverage on record".to_owned());
    };
    let mark = RequiredPercent::from_percent(most);
    let drop = now.drop_from(before);
    let change = match (drop, now.rise_from(before)) {
        (Some(drop), _) => format!("{} points less than", drop.format(&[mark])),
        (None, Some(rise)) => format!("{} points more than", rise.format(&[])),
        (None, None) => "as many as".to_owned(),
    };
    let min: Vec<RequiredPercent> = rule.min.map(RequiredPercent::from_percent).into_iter().collect();
    let actual = format!("{} %, {change} {} %", now.format(&min), before.format(&min));
    let holds = drop.is_none_or(|drop| drop.compare(mark) != Ordering::Greater);
    Some(
        ruling(name, required, actual, verdict(holds))
            .with_violations(missed_lines(coverage.files.iter().collect())),
    )
}

/// Returns a violation for each file with missed lines. The files with the most missed lines come
/// first.
fn missed_lines(mut files: Vec<CoveredFile<'_>>) -> impl Iterator<Item = Violation> {
    files.retain(|(_, lines)| !lines.missed.0.is_empty());
    files.sort_by_key(|(path, lines)| (Reverse(count(&lines.missed)), *path));
    files.into_iter().map(|file| {
        let (path, LineCoverage { missed, .. }) = file;
        let ratio = ratio(std::iter::once(file));
        let text = format!(
            "{} of {} not covered: {}",
            ratio.whole - ratio.part,
            counted(ratio.whole, "line"),
            format_ranges(missed)
        );
        let first = missed.0.first().copied();
        let place = Location {
            path: path.clone(),
            line: first.map(|(line, _)| line),
            end_line: first.filter(|(line, end)| end > line).map(|(_, end)| end),
        };
        Violation { text, place: Some(place), severity: None }
    })
}

/// Formats ranges of lines, such as `3-7, 9, 12-20`.
fn format_ranges(ranges: &LineRanges) -> String {
    let stretch = |(first, last): &(u32, u32)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    let shown: Vec<String> = ranges.0.iter().take(MAX_RANGES).map(stretch).collect();
    let more = if ranges.0.len() > MAX_RANGES { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}
