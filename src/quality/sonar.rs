//! Judges the rule for the quality gate of a `SonarQube` server.

use super::evidence::{Breach, Ruling};
use super::inputs::GateInputs;
use super::ruling::{missing, ruling, verdict};

/// Adds the ruling on the result of the server's quality gate.
pub(super) fn judge(case: &GateInputs<'_>, rulings: &mut Vec<Ruling>) {
    if !case.rules.sonar {
        return;
    }
    let demand = "ok".to_owned();
    rulings.push(match &case.facts.sonar {
        Some(sonar) => {
            let breach = |text: &String| Breach { text: text.clone(), place: None, severity: None };
            let holds = verdict(sonar.status.eq_ignore_ascii_case("ok"));
            ruling("sonar", demand, sonar.status.to_lowercase(), holds)
                .because(sonar.broken.iter().map(breach))
        }
        None => missing("sonar", demand, "SonarQube", "`sonar`"),
    });
}
