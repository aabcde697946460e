//! Each command through the program, a file per command.

#[path = "../project/mod.rs"]
mod project;

mod run;
