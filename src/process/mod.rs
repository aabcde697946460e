//! Processes: each in a group of its own, with pumped and masked output and a deadline; none survives.
//! It must not know of tasks.
