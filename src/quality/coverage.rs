//! Judges the rules for line coverage.

use std::cmp::{Ordering, Reverse};

use super::evidence::{Breach, Ruling, Verdict};
use super::inputs::{Baseline, GateInputs};
use super::percent::{Mark, Percent};
use super::rules::Coverage as Rule;
use super::ruling::{counted, missing, ruling, verdict};
use crate::base::path::RepoPath;
use ci_reports::facts::{Coverage, LineCoverage, LineRanges, Location, Ratio};

/// The maximum number of ranges of missed lines that a breach shows.
const STRETCHES: usize = 8;

/// A covered file and its lines.
type File<'f> = (&'f String, &'f LineCoverage);

/// Returns how many lines were reached, out of all lines of the files.
pub(super) fn ratio<'f>(files: impl Iterator<Item = File<'f>>) -> Ratio {
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
pub(super) fn judge(case: &GateInputs<'_>, rulings: &mut Vec<Ruling>) {
    let Some(rule) = &case.rules.coverage else { return };
    if let Some(min) = rule.min {
        rulings.push(at_least("coverage.min".to_owned(), min, case.facts.coverage.as_ref(), |_| true));
    }
    rulings.extend(max_drop(rule, case));
    for (pattern, min) in &rule.paths {
        let name = format!("coverage.paths.\"{}\"", pattern.text());
        let within = |path: &str| pattern.matches(&RepoPath::from_git(path.as_bytes()));
        rulings.push(at_least(name, *min, case.facts.coverage.as_ref(), within));
    }
}

fn nothing(rule: &str, demand: String) -> Ruling {
    missing(rule, demand, "coverage", "`lcov` or `cobertura`")
}

/// Judges a minimum for the files for which `wanted` returns true.
fn at_least(rule: String, min: f64, facts: Option<&Coverage>, wanted: impl Fn(&str) -> bool) -> Ruling {
    let demand = format!("≥ {min} %");
    let Some(coverage) = facts else { return nothing(&rule, demand) };
    let files: Vec<File<'_>> = coverage.files.iter().filter(|(path, _)| wanted(path)).collect();
    let of_all = ratio(files.iter().copied());
    let Some(percent) = Percent::of(of_all) else {
        let fact = if files.is_empty() { "no covered file matches" } else { "no line of it can be covered" };
        return ruling(rule, demand, fact.to_owned(), Verdict::Broken);
    };
    let mark = Mark::of(min);
    let holds = percent.compare(mark) != Ordering::Less;
    ruling(rule, demand, stated(percent, of_all, &[mark]), verdict(holds)).because(missed(files))
}

fn stated(percent: Percent, ratio: Ratio, marks: &[Mark]) -> String {
    format!("{} % ({} of {})", percent.shown(marks), ratio.part, counted(ratio.whole, "line"))
}

/// Judges how far coverage dropped compared with the baseline.
fn max_drop(rule: &Rule, case: &GateInputs<'_>) -> Option<Ruling> {
    let most = rule.max_drop?;
    let name = "coverage.max-drop";
    let demand = format!("at most {most} points less than before");
    let Some(coverage) = &case.facts.coverage else { return Some(nothing(name, demand)) };
    let now_ratio = ratio(coverage.files.iter());
    let Some(now) = Percent::of(now_ratio) else {
        return Some(ruling(name, demand, "no line can be covered".to_owned(), Verdict::Broken));
    };
    let unjudged = |why: String| {
        let fact = format!("{}; not compared: {why}", stated(now, now_ratio, &[]));
        Some(ruling(name, demand.clone(), fact, Verdict::Unjudged))
    };
    let record = match case.baseline {
        Baseline::Known { record, .. } => record,
        Baseline::Missing { why } => return unjudged(why.clone()),
        Baseline::Unreadable { why } => {
            return Some(ruling(name, demand, format!("can't be compared: {why}"), Verdict::Broken));
        }
        Baseline::NotNeeded => return unjudged("no baseline was requested".to_owned()),
    };
    let Some(before) = record.coverage.and_then(Percent::of) else {
        return unjudged("the baseline has no coverage on record".to_owned());
    };
    let mark = Mark::of(most);
    let drop = now.drop_from(before);
    let change = match (drop, now.rise_from(before)) {
        (Some(drop), _) => format!("{} points less than", drop.shown(&[mark])),
        (None, Some(rise)) => format!("{} points more than", rise.shown(&[])),
        (None, None) => "as many as".to_owned(),
    };
    let min: Vec<Mark> = rule.min.map(Mark::of).into_iter().collect();
    let fact = format!("{} %, {change} {} %", now.shown(&min), before.shown(&min));
    let holds = drop.is_none_or(|drop| drop.compare(mark) != Ordering::Greater);
    Some(ruling(name, demand, fact, verdict(holds)).because(missed(coverage.files.iter().collect())))
}

/// Returns a breach for each file with missed lines. The files with the most missed lines come
/// first.
fn missed(mut files: Vec<File<'_>>) -> impl Iterator<Item = Breach> {
    files.retain(|(_, lines)| !lines.missed.0.is_empty());
    files.sort_by_key(|(path, lines)| (Reverse(count(&lines.missed)), *path));
    files.into_iter().map(|file| {
        let (path, LineCoverage { missed, .. }) = file;
        let ratio = ratio(std::iter::once(file));
        let text = format!(
            "{} of {} not covered: {}",
            ratio.whole - ratio.part,
            counted(ratio.whole, "line"),
            stretches(missed)
        );
        let first = missed.0.first().copied();
        let place = Location {
            path: path.clone(),
            line: first.map(|(line, _)| line),
            end_line: first.filter(|(line, end)| end > line).map(|(_, end)| end),
        };
        Breach { text, place: Some(place), severity: None }
    })
}

/// Formats ranges of lines, such as `3-7, 9, 12-20`.
fn stretches(ranges: &LineRanges) -> String {
    let stretch = |(first, last): &(u32, u32)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    let shown: Vec<String> = ranges.0.iter().take(STRETCHES).map(stretch).collect();
    let more = if ranges.0.len() > STRETCHES { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}
