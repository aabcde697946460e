//! Judges the rule for the quality gate of a `SonarQube` server.

use super::evidence::{Ruling, Violation};
use super::inputs::GateInputs;
use super::rule_result::{missing_facts, ruling, verdict};

/// Adds the ruling on the result of the server's quality gate.
pub(super) fn judge(inputs: &GateInputs<'_>, rulings: &mut Vec<Ruling>) {
    if !inputs.rules.sonar {
        return;
    }
    let required = "ok".to_owned();
    rulings.push(match &inputs.facts.sonar {
        Some(sonar) => {
            let violation = |text: &String| Violation { text: text.clone(), place: None, severity: None };
            let holds = verdict(sonar.status.eq_ignore_ascii_case("ok"));
            ruling("sonar", required, sonar.status.to_lowercase(), holds)
                .with_violations(sonar.broken.iter().map(violation))
        }
        None => missing_facts("sonar", required, "SonarQube", "`sonar`"),
    });
}
