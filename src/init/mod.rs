//! The first tasks.toml: what a repository has that can be checked, as tasks that taskgate could run.
//! It must not run or print anything; what it says of a repository follows from the files it was
//! given.
//!
//! [`survey`] reads files, at the rim. One file for each kind of project decides what follows from
//! them, [`found`] gathers it, and [`text`] writes it down.

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

/// All that was found in a repository, the top first, then its folders.
pub fn look(survey: &Survey) -> Found {
    let mut found = Found::default();
    for folder in survey.folders() {
        rust::look(survey, folder, &mut found);
        javascript::look(survey, folder, &mut found);
        python::look(survey, folder, &mut found);
        go::look(survey, folder, &mut found);
        // What the others found is not asked of a Makefile again.
        make::look(folder, &mut found);
        pre_commit::look(folder, &mut found);
        compose::look(folder, &mut found);
    }
    found
}
