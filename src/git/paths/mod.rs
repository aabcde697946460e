//! Questions about paths: what a folder of a tree or of the work tree contains, which paths git
//! tracks, ignores or does neither, and which ones a sparse checkout leaves out. The files extend
//! [`Repository`](crate::git::Repository).

pub mod browse;
mod sparse_checkout;
mod tracked;
mod untracked;
