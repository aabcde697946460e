//! Judges the rules for performance measures.

use super::evidence::{Ruling, Verdict};
use super::inputs::GateInputs;
use super::rule_result::{missing_facts, ruling, verdict};
use super::rules::{Bound, Comparison};
use crate::base::name;
use ci_reports::facts::{Measure, Unit};

/// Adds the rulings on performance measures.
pub(super) fn judge(inputs: &GateInputs<'_>, rulings: &mut Vec<Ruling>) {
    let measures = &inputs.facts.measures;
    for bound in &inputs.rules.performance {
        let (rule, required) = (format!("performance.\"{}\"", bound.name), required_bound(bound));
        rulings.push(match measures.get(&bound.name) {
            Some(measure) => compared(rule, required, bound, *measure),
            None if measures.is_empty() => missing_facts(rule, required, "performance", "`k6` or `facts`"),
            None => {
                let near = name::nearest(&bound.name, measures.keys().map(String::as_str));
                let hint = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => {
                        let known: Vec<&str> = measures.keys().take(5).map(String::as_str).collect();
                        let more = if measures.len() > known.len() { ", …" } else { "" };
                        format!("there are {}{more}", known.join(", "))
                    }
                };
                ruling(rule, required, format!("no report has this metric; {hint}"), Verdict::Broken)
            }
        });
    }
}

fn compared(rule: String, required: String, bound: &Bound, measure: Measure) -> Ruling {
    let Measure { value, unit } = measure;
    if unit != bound.unit {
        let what = match unit {
            Unit::Millis => "a time: write the bound in ms, such as \"<= 100ms\"",
            Unit::Bytes => "a number of bytes: write the bound in B, such as \"<= 3MB\"",
            Unit::Share => "a share: write the bound in %, such as \"<= 1%\"",
            Unit::Number => "a plain number: write the bound without a unit",
        };
        return ruling(
            rule,
            required,
            format!("{}, which is {what}", format_measure(measure, bound)),
            Verdict::Broken,
        );
    }
    ruling(rule, required, format_measure(measure, bound), verdict(holds(value, bound)))
}

/// Returns whether a value is within a bound. NaN is within no bound.
#[expect(clippy::float_cmp, reason = "`==` is what the bound says")]
fn holds(value: f64, bound: &Bound) -> bool {
    match bound.comparison {
        Comparison::Less => value < bound.value,
        Comparison::AtMost => value <= bound.value,
        Comparison::More => value > bound.value,
        Comparison::AtLeast => value >= bound.value,
        Comparison::Equal => value == bound.value,
    }
}

fn required_bound(bound: &Bound) -> String {
    bound.written.replace("<=", "≤").replace(">=", "≥").replace("==", "=")
}

/// Formats a measure with three decimal places, or with all of them if it is too close to the
/// bound.
fn format_measure(measure: Measure, bound: &Bound) -> String {
    let (factor, unit) = match measure.unit {
        Unit::Millis => (1.0, " ms"),
        Unit::Bytes => (1.0, " B"),
        Unit::Share => (100.0, " %"),
        Unit::Number => (1.0, ""),
    };
    let rounded = (measure.value * factor * 1e3).round() / 1e3;
    let seems = (rounded / factor).partial_cmp(&bound.value);
    let exact = seems != measure.value.partial_cmp(&bound.value);
    let value = if exact { (measure.value * factor * 1e9).round() / 1e9 } else { rounded };
    format!("{value}{unit}")
}
