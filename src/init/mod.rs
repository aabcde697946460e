//! Proposes a first tasks.toml for a repository: the tasks that its files suggest. It must not run or print
//! anything; all that it knows of a repository are the files it was given.
//!
//! [`survey`] reads the files. A module for each kind of project, such as `rust`, proposes tasks,
//! [`proposals`] collects them, and [`text`] writes the tasks.toml.

mod build_outputs;
mod check_tools;
mod ci_checks;
mod ci_commands;
mod compose;
mod go;
mod hook_commands;
mod javascript;
mod make;
mod other_builds;
mod package_manager;
mod package_manifest;
mod package_scripts;
mod pre_commit;
pub mod proposals;
mod python;
mod python_facts;
mod quote;
mod rust;
mod script_choice;
mod script_names;
mod shell_line;
pub mod survey;
#[cfg(test)]
mod tests;
pub mod text;
mod walk;
mod workspace;

use ci_commands::CiCommands;
pub use proposals::{Candidate, Proposals};
pub use survey::Survey;
pub use walk::files;

/// Collects all tasks of a repository: those of the top first, then those of its folders.
pub fn propose_tasks(survey: &Survey) -> Proposals {
    let mut proposals = Proposals::default();
    let ci = CiCommands::read(survey, &mut proposals);
    for folder in survey.folders() {
        rust::propose(survey, &ci, folder, &mut proposals);
        javascript::propose(survey, &ci, folder, &mut proposals);
        python::propose(survey, &ci, folder, &mut proposals);
        go::propose(survey, &ci, folder, &mut proposals);
        other_builds::propose(survey, &ci, folder, &mut proposals);
        // A Makefile often has targets for tasks that were already proposals.
        make::propose(&ci, folder, &mut proposals);
        pre_commit::propose(survey, folder, &mut proposals);
        compose::propose(folder, &mut proposals);
    }
    ci_checks::propose(survey, &ci, &mut proposals);
    proposals
}
