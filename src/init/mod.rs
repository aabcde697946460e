//! Proposes a first tasks.toml for a repository: the tasks that its files suggest. It must not run or print
//! anything; all that it knows of a repository are the files it was given.
//!
//! [`survey`] reads the files. A module for each kind of project, such as `rust`, proposes tasks,
//! [`found`] collects them, and [`text`] writes the tasks.toml.

mod compose;
pub mod found;
mod go;
mod javascript;
mod make;
mod manifest;
mod package_manager;
mod pre_commit;
mod python;
mod quote;
mod rust;
pub mod survey;
#[cfg(test)]
mod tests;
pub mod text;
mod walk;

pub use found::{Candidate, Found};
pub use survey::Survey;
pub use walk::files;

/// Collects all tasks of a repository: those of the top first, then those of its folders.
pub fn look(survey: &Survey) -> Found {
    let mut found = Found::default();
    for folder in survey.folders() {
        rust::look(survey, folder, &mut found);
        javascript::look(survey, folder, &mut found);
        python::look(survey, folder, &mut found);
        go::look(survey, folder, &mut found);
        // A Makefile often has targets for tasks that were already found.
        make::look(folder, &mut found);
        pre_commit::look(folder, &mut found);
        compose::look(folder, &mut found);
    }
    found
}
