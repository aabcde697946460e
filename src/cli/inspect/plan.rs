//! `xtask plan`: prints what would run, what is cached, and why. It must not run anything but tool probes.

use clap::Args;
use serde_json::json;

use crate::base::text::count;
use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::project::Project;
use crate::cli::run::SelectionArgs;
use crate::cli::session::{LOOKING, Session};
use crate::cli::shards;
use crate::config_lint::Warnings;
use crate::decision_reason::Reason;
use crate::engine::location::Tree;
use crate::engine::prepare::{Prepared, Request};
use crate::engine::report::baseline::TreeOrigin;
use crate::event::Level;
use crate::git::tree_id;
use crate::plan::{CachePolicy, Decision, Plan, PlanInputs};
use crate::reporter::lines::{Lines, clause};
use crate::reporter::style::{Paint, Tone};

/// The help of `--affected`.
const AFFECTED_HELP: &str =
    "Plan only what the changes since the merge base with this branch can reach [default: origin/HEAD]";

/// Arguments of `plan`.
#[derive(Args, Debug, Clone)]
#[command(
    mut_arg("at", |arg| arg.help("Plan for the tree of this commit, without checking it out")),
    mut_arg("affected", |arg| arg.help(AFFECTED_HELP)),
    mut_arg("only", |arg| arg.help("Plan without what the tasks need")),
)]
pub struct PlanArgs {
    /// Tasks or groups [default: all tasks]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// The tree, and the part of its plan
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Plan as if nothing were cached
    #[arg(short, long)]
    pub force: bool,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
    /// Arguments for the one task that is named
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
}

/// Prints the plan.
///
/// # Errors
/// A name is unknown, or the tree can't be read.
pub fn run(session: &Session, args: &PlanArgs) -> Result<End, Failure> {
    let project = Project::open(&session.env, &session.dir)?;
    let mut request = Request {
        reach: args.selection.reach(),
        policy: if args.force { CachePolicy::Force } else { CachePolicy::Use },
        args: args.args.clone(),
        ..Request::new(args.names.clone())
    };
    args.selection.narrow_to_affected(&project, &mut request)?;
    let commit = args
        .selection
        .at
        .as_ref()
        .map(|rev| project.repository()?.resolve(rev).map_err(Failure::from))
        .transpose()?;
    let config = commit.as_ref().map(|commit| project.config_at(commit)).transpose()?;
    let config = config.as_ref().unwrap_or(&project.config);
    let mut location = project.location(&session.env);
    if let Some(commit) = &commit {
        let repository = project.repository()?;
        location.tree = Tree::Objects(repository, &commit.tree, &config.worktree.filters);
        location.origin = Some(TreeOrigin { repository, commit: Some(&commit.id) });
    }
    let busy = session.busy(LOOKING);
    let mut prepared = Prepared::load(config, &request, location, &session.clock, "plan")?;
    drop(busy);
    shards::narrow_to_shard(session, &mut prepared, &args.selection.shard)?;
    print_notices(session, &prepared);
    let tree = prepared.snapshot.as_ref().map(tree_id).transpose()?;
    let text = prepared.plan(&session.env, |plan_inputs, plan| {
        if args.json {
            json(plan_inputs, plan, tree.as_deref(), &prepared)
        } else {
            text(plan_inputs, plan, session)
        }
    });
    session.print(&text)?;
    Ok(End::Passed)
}

/// Prints what went wrong while the plan was prepared.
pub fn print_notices(session: &Session, prepared: &Prepared<'_>) {
    let lines = Lines { paint: session.paint_err(), width: 0 };
    let Warnings { listed, more } = &prepared.warnings;
    if !listed.is_empty() {
        session.eprint(&format!("{}\n", lines.warnings(listed, *more)));
    }
    for note in &prepared.notes {
        session.eprint(&format!("{}\n", lines.notice(Level::Note, note)));
    }
}

fn text(plan_inputs: &PlanInputs<'_>, plan: &Plan, session: &Session) -> String {
    let paint = session.paint_out();
    let shown: Vec<_> = plan_inputs.graph.nodes.iter().zip(&plan.nodes).collect();
    let name = |task| plan_inputs.config.task(task).name.as_str();
    let width = shown.iter().map(|(node, _)| name(node.task).chars().count()).max().unwrap_or(0).min(40);
    let mut text = String::new();
    for (node, planned) in shown {
        if planned.decision == Decision::Aggregate {
            continue;
        }
        let name = name(node.task);
        let padding = " ".repeat(width.saturating_sub(name.chars().count()));
        let reason = reason_text(&planned.decision, session);
        let word = format!("{:<7}", planned.decision.name());
        let line = format!(
            "{}  {name}{padding}  {}",
            paint.tone(decision_tone(&planned.decision), &word),
            paint.tone(Tone::Faint, &reason)
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push_str(&totals(plan, paint));
    text
}

fn totals(plan: &Plan, paint: Paint) -> String {
    let number = |word| plan.nodes.iter().filter(|planned| planned.decision.name() == word).count();
    let mut parts = vec![format!("{} cached", number("hit")), format!("{} to run", number("miss"))];
    for (word, what) in [("waits", "to be decided"), ("skip", "skipped"), ("fail", "can't run")] {
        if number(word) > 0 {
            parts.push(format!("{} {what}", number(word)));
        }
    }
    let all = count(plan.nodes.iter().filter(|planned| planned.decision.reason().is_some()).count(), "task");
    format!("{}\n", paint.tone(Tone::Strong, &format!("{all}: {}", parts.join(", "))))
}

fn decision_tone(decision: &Decision) -> Tone {
    match decision {
        Decision::Hit(_) => Tone::Good,
        Decision::Miss(_) => Tone::Odd,
        Decision::Fail(_) => Tone::Bad,
        Decision::Pending(_) | Decision::Skip(_) | Decision::Aggregate | Decision::Context => Tone::Faint,
    }
}

/// Returns the reason for a decision, with the age of a cached result.
pub fn reason_text(decision: &Decision, session: &Session) -> String {
    match decision.reason() {
        None => String::new(),
        Some(reason @ Reason::Cached { .. }) => {
            let age = reason.age(session.clock.now()).unwrap_or_default();
            format!("{reason}, {age} old")
        }
        Some(Reason::Waits { on }) => format!("waits for {on}"),
        Some(reason) => clause(&reason.to_string()),
    }
}

fn json(plan_inputs: &PlanInputs<'_>, plan: &Plan, tree: Option<&str>, prepared: &Prepared<'_>) -> String {
    let tasks: Vec<_> = plan_inputs
        .graph
        .nodes
        .iter()
        .zip(&plan.nodes)
        .filter(|(_, planned)| planned.decision != Decision::Aggregate)
        .map(|(node, planned)| {
            let task = plan_inputs.config.task(node.task);
            json!({
                "task": task.name,
                "group": task.group,
                "decision": planned.decision.name(),
                "reason": planned.decision.reason(),
                "why": planned.decision.reason().map(ToString::to_string),
                "key": planned.key.as_ref().map(|key| key.digest.hex()),
            })
        })
        .collect();
    let mut value = json!({ "version": 2, "tree": tree, "tasks": tasks });
    value["warnings"] = json!(prepared.warnings.listed);
    value["more_warnings"] = json!(prepared.warnings.more);
    if let Some(part) = &prepared.shard_plan {
        value["shard"] = json!({ "index": part.shard.index, "count": part.shard.count });
        value["plan"] = json!(part.plan_digest.hex());
        value["gates"] = json!(part.gates);
    }
    format!("{value:#}\n")
}
