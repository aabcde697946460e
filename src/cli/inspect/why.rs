//! `xtask why`: prints a task's key field by field, and what differs from the nearest entry. It must not
//! print a secret.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::json;

use crate::base::text::count;
use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::inspect::plan::{print_notices, reason_text};
use crate::cli::project::Project;
use crate::cli::session::{LOOKING, Session};
use crate::decision_reason::Change;
use crate::engine::prepare::remembered_probes::ProbeOrigin;
use crate::engine::prepare::{Prepared, Request};
use crate::key::explanation::Explanation;
use crate::key::inputs::InputSet;
use crate::key::{Field, FieldKind};
use crate::plan::{Plan, PlanInputs, Planned};
use crate::reporter::lines::clause;
use crate::reporter::style::Tone;

/// Arguments of `why`.
#[derive(Args, Debug, Clone)]
pub struct WhyArgs {
    /// The task
    #[arg(value_name = "TASK")]
    pub task: String,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
    /// Arguments for the task
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
}

/// The number of changes that are listed for people; JSON has all.
const LISTED: usize = 20;

/// The key of a task, as far as it is known.
struct TaskKey<'a> {
    name: &'a str,
    planned: &'a Planned,
    explanation: Option<Explanation>,
    /// Where the answers of its tools' probes are from.
    probes: &'a BTreeMap<String, ProbeOrigin>,
    /// The differences from the nearest entry; `None` if there is no entry to compare with.
    changes: Option<Vec<Change>>,
}

/// Prints the key.
///
/// # Errors
/// The task is unknown, or the tree can't be read.
pub fn run(session: &Session, args: &WhyArgs) -> Result<End, Failure> {
    let project = Project::open(&session.env, &session.dir)?;
    let named = project.config.ids().find(|id| project.config.task(*id).name == args.task);
    let request = Request { args: args.args.clone(), ..Request::new(vec![args.task.clone()]) };
    let location = project.location(&session.env);
    let busy = session.busy(LOOKING);
    let prepared = Prepared::load(&project.config, &request, location, &session.clock, "why")?;
    drop(busy);
    let Some(task) = named.filter(|id| !project.config.task(*id).is_aggregate()) else {
        let text = format!("`{}` has no key: it runs no command of its own", args.task);
        let hint = Some(format!("see its tasks: xtask plan {}", args.task));
        return Err(Failure::Usage { text, hint });
    };
    print_notices(session, &prepared);
    let text = prepared.plan(&session.env, |plan_inputs, plan| {
        let id = plan_inputs.graph.ids().find(|id| plan_inputs.graph.node(*id).task == task);
        let account = id.map(|id| task_key(plan_inputs, plan, id, &prepared.probes.origins));
        account.map(|account| if args.json { json(&account) } else { text(&account, session) })
    });
    session.print(&text.unwrap_or_default())?;
    Ok(End::Passed)
}

fn task_key<'a>(
    plan_inputs: &PlanInputs<'a>,
    plan: &'a Plan,
    id: crate::graph::NodeId,
    probes: &'a BTreeMap<String, ProbeOrigin>,
) -> TaskKey<'a> {
    let node = plan_inputs.graph.node(id);
    let task = plan_inputs.config.task(node.task);
    let planned = &plan.nodes[id.0];
    let explanation = planned.key.as_ref().zip(plan_inputs.snapshot).map(|(key, snapshot)| {
        let inputs = InputSet::new(plan_inputs.config, plan_inputs.graph, node);
        Explanation::new(&key.fields, inputs.select(snapshot), plan_inputs.mask)
    });
    let past = planned.key.as_ref().map(|key| plan_inputs.knowledge.past_results(task, &key.digest));
    let changes = explanation.as_ref().zip(past).and_then(|(now, past)| past.nearest(now, plan_inputs.mask));
    TaskKey { name: &task.name, planned, explanation, probes, changes }
}

/// Returns the name of a field, such as `env RUSTFLAGS`.
fn name(field: &Field) -> String {
    match field.kind {
        FieldKind::Definition => field.name.clone(),
        FieldKind::Inputs => "inputs".to_owned(),
        FieldKind::Variable => format!("env {}", field.name),
        FieldKind::Secret => format!("secret {}", field.name),
        FieldKind::Tool => format!("tool {}", field.name),
        FieldKind::Need => format!("needs {}", field.name),
        FieldKind::Platform => "platform".to_owned(),
    }
}

fn value(field: &Field, files: usize) -> String {
    match field.kind {
        FieldKind::Variable if field.value.is_empty() => "unset".to_owned(),
        FieldKind::Variable => format!("\"{}\"", &field.value[1..]),
        FieldKind::Secret if field.value.is_empty() => "unset".to_owned(),
        FieldKind::Secret => "hidden".to_owned(),
        FieldKind::Inputs => format!("{} in {}", &field.value[..12], count(files, "file")),
        FieldKind::Tool => field.value.lines().next().unwrap_or_default().to_owned(),
        _ => field.value.clone(),
    }
}

fn text(account: &TaskKey<'_>, session: &Session) -> String {
    let paint = session.paint_out();
    let mut lines = Vec::new();
    let decision = &account.planned.decision;
    let why = reason_text(decision, session);
    lines.push(format!("{}: {}, {why}", paint.tone(Tone::Strong, account.name), decision.name()));
    if let (Some(key), Some(explanation)) = (&account.planned.key, &account.explanation) {
        lines.push(format!("key {}", key.digest));
        let width = explanation.fields.iter().map(|field| name(field).chars().count()).max().unwrap_or(0);
        for field in explanation.fields.iter().filter(|field| !is_default(field)) {
            let value = shorten(&value(field, explanation.files.len())).replace('\n', "\n    ");
            let shown = format!("  {:<width$}  ", name(field));
            let origin = account.probes.get(&field.name).filter(|_| field.kind == FieldKind::Tool);
            let origin = origin.map(|origin| format!(" ({})", origin.describe(session.clock.now())));
            let origin = paint.tone(Tone::Faint, &origin.unwrap_or_default());
            lines.push(format!("{}{value}{origin}", paint.tone(Tone::Faint, &shown)));
        }
    }
    match &account.changes {
        None => lines.push("there is no earlier entry to compare with".to_owned()),
        Some(changes) if changes.is_empty() => {
            lines.push("nothing differs from the nearest entry".to_owned());
        }
        Some(changes) => {
            lines.push("differs from the nearest entry in:".to_owned());
            let listed = changes.iter().take(LISTED);
            lines.extend(listed.map(|change| paint.tone(Tone::Odd, &format!("  {change}"))));
            if changes.len() > LISTED {
                lines.push(format!("  and {} more", changes.len() - LISTED));
            }
        }
    }
    lines.join("\n") + "\n"
}

/// Shortens a value for people; JSON has all of it.
fn shorten(value: &str) -> String {
    const LINES: usize = 20;
    let mut lines: Vec<String> = value.lines().take(LINES).map(clause).collect();
    let more = value.lines().count().saturating_sub(LINES);
    if more > 0 {
        lines.push(format!("… {} more; `--json` has them all", count(more, "line")));
    }
    lines.join("\n")
}

/// Returns whether a field has the value that it has in every ordinary task.
fn is_default(field: &Field) -> bool {
    field.value.is_empty() && field.kind == FieldKind::Definition
        || field.name == "args" && field.value == "[]"
}

fn json(account: &TaskKey<'_>) -> String {
    let field = |field: &Field| {
        let value = (field.kind != FieldKind::Secret).then_some(&field.value);
        let mut shown = json!({ "field": name(field), "value": value });
        if let Some(origin) = account.probes.get(&field.name).filter(|_| field.kind == FieldKind::Tool) {
            shown["remembered"] = json!(origin.remembered_at());
            shown["origin"] = json!(origin.to_string());
        }
        shown
    };
    let changes = account.changes.as_ref().map(|changes| {
        let change = |change: &Change| {
            json!({ "field": change.field(), "change": change, "text": change.to_string() })
        };
        changes.iter().map(change).collect::<Vec<_>>()
    });
    let fields = account.explanation.as_ref().map(|e| e.fields.iter().map(field).collect::<Vec<_>>());
    let value = json!({
        "version": 1,
        "task": account.name,
        "decision": account.planned.decision.name(),
        "reason": account.planned.decision.reason(),
        "why": account.planned.decision.reason().map(ToString::to_string),
        "key": account.planned.key.as_ref().map(|key| key.digest.hex()),
        "fields": fields,
        "files": account.explanation.as_ref().map(|explanation| explanation.files.len()),
        "changes": changes,
    });
    format!("{value:#}\n")
}
