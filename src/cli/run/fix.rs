//! `xtask fix`: runs the `fix` commands of tasks, one after the other, because they write to the same files.
//! It must not store anything.

use clap::Args;

use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::project::Project;
use crate::cli::run;
use crate::cli::run::{RunArgs, SchedulingArgs};
use crate::cli::session::Session;
use crate::config::model::{Config, RunSpec, TaskAction};
use crate::engine::run::inbox::LazyInbox;
use crate::select::Selection;

/// Arguments of `fix`.
#[derive(Args, Debug, Clone)]
pub struct FixArgs {
    /// Tasks or groups [default: all tasks with a `fix`]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

/// Runs the `fix` commands.
///
/// # Errors
/// A name is unknown, or none of the tasks has a `fix` command.
pub fn run(session: &Session, args: &FixArgs) -> Result<End, Failure> {
    let project = Project::open(&session.env, &session.dir)?;
    let selection = Selection::from_names(&project.config, &args.names)?;
    let fixes = fix_config(&project.config, &selection);
    if fixes.tasks.is_empty() {
        let text = match &*args.names {
            [] => "no task has a `fix` command".to_owned(),
            names => format!("{} has no `fix` command", names.join(" ")),
        };
        let hint = Some("add one to a task: fix = \"cargo fmt\"".to_owned());
        return Err(Failure::Usage { text, hint });
    }
    let names = fixes.tasks.iter().map(|task| task.name.clone()).collect();
    let scheduling = SchedulingArgs { jobs: Some(1), keep_going: true };
    let args = RunArgs { names, scheduling, no_cache: true, ..RunArgs::default() };
    let location = project.location(&session.env);
    run::run_in(session, &args, &run::request(&args), &fixes, location, &LazyInbox::default(), None)
}

/// Returns a config in which each selected task with a `fix` runs that instead of its command.
fn fix_config(config: &Config, selection: &Selection) -> Config {
    let reached = crate::graph::Graph::new(config, &selection.tasks, crate::graph::Reach::WithNeeds);
    let mut ids: Vec<_> = reached.nodes.iter().map(|node| node.task).collect();
    ids.sort_unstable();
    let tasks = ids.into_iter().filter_map(|id| {
        let mut task = config.task(id).clone();
        let fix = task.fix.take()?;
        // The command must change the files of the work tree.
        let run = match task.action {
            TaskAction::Run(run) => {
                RunSpec { command: fix, finally: None, retries: 0, sandbox: false, ..*run }
            }
            TaskAction::Judge(_) | TaskAction::None => RunSpec::new(fix),
        };
        task.action = TaskAction::Run(Box::new(run));
        task.needs = Vec::new();
        task.outputs = crate::base::pattern::Patterns::default();
        task.tools = Vec::new();
        Some(task)
    });
    Config { tasks: tasks.collect(), is_part: true, ..config.clone() }
}
