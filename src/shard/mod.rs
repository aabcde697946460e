//! Shards: the part of a plan that each of several machines runs. Pure: tasks, their needs and their
//! durations go in. It must not know tasks.toml, the history or where the durations are from.
//!
//! Each shard computes the same split by itself, so [`split`] depends only on the tasks and the durations.
//! Each task has exactly one owner, which does not depend on the order of the tasks.

pub mod balance;
pub mod plan;

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use balance::{Split, split};

/// One of several shards, written `2/4`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Shard {
    /// The number of the shard, from 1.
    pub index: usize,
    /// The number of shards.
    pub count: usize,
}

/// Why a text is not a valid shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// It is not `K/N`.
    #[error("expected K/N, such as 2/4")]
    Malformed,
    /// The index is not between 1 and the count.
    #[error("the shard must be between 1 and {count}")]
    IndexOutOfRange {
        /// The number of shards.
        count: usize,
    },
    /// The count is 0 or too large.
    #[error("the number of shards must be between 1 and {}", Shard::MAX_COUNT)]
    CountOutOfRange,
}

impl Shard {
    /// The largest number of shards.
    pub const MAX_COUNT: usize = 1000;
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let (index, count) = text.split_once('/').ok_or(ShardError::Malformed)?;
        let number = |text: &str| {
            // `parse` would accept a sign too.
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<usize>().ok().filter(|_| digits).ok_or(ShardError::Malformed)
        };
        let (index, count) = (number(index)?, number(count)?);
        if !(1..=Self::MAX_COUNT).contains(&count) {
            return Err(ShardError::CountOutOfRange);
        }
        if !(1..=count).contains(&index) {
            return Err(ShardError::IndexOutOfRange { count });
        }
        Ok(Self { index, count })
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// A task to be run in some shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShardTask {
    /// The name, which is unique.
    pub name: String,
    /// How long it takes, in milliseconds or any unit that all tasks use.
    pub cost: u64,
    /// The indices of the tasks that it needs, which come before it.
    pub needs: Vec<usize>,
}

/// Known durations of tasks in milliseconds, by name.
pub type Timings = BTreeMap<String, u64>;

/// Returns a duration for each task: the known one, or else the median of the known ones, or else the same
/// for all.
pub fn costs(names: &[&str], timings: &Timings) -> Vec<u64> {
    let mut known: Vec<u64> = names.iter().filter_map(|name| timings.get(*name)).copied().collect();
    known.sort_unstable();
    let median = known.get(known.len() / 2).copied().unwrap_or(1);
    names.iter().map(|name| timings.get(*name).copied().unwrap_or(median)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shard_is_parsed() {
        let cases = [
            ("1/1", Ok((1, 1))),
            ("2/4", Ok((2, 4))),
            ("0/4", Err(ShardError::IndexOutOfRange { count: 4 })),
            ("5/4", Err(ShardError::IndexOutOfRange { count: 4 })),
            ("1/0", Err(ShardError::CountOutOfRange)),
            ("1/1001", Err(ShardError::CountOutOfRange)),
            ("x", Err(ShardError::Malformed)),
            ("2", Err(ShardError::Malformed)),
            ("+1/4", Err(ShardError::Malformed)),
            ("/4", Err(ShardError::Malformed)),
            ("1/99999999999999999999999", Err(ShardError::Malformed)),
        ];
        for (text, expected) in cases {
            let got = text.parse::<Shard>().map(|shard| (shard.index, shard.count));
            assert_eq!(got, expected, "{text}");
        }
    }

    #[test]
    fn unknown_duration_is_the_median() {
        let timings: Timings = [("a", 10), ("b", 30), ("c", 90), ("gone", 5000)]
            .into_iter()
            .map(|(name, took)| (name.to_owned(), took))
            .collect();
        assert_eq!(costs(&["a", "b", "c", "new"], &timings), [10, 30, 90, 30]);
        assert_eq!(costs(&["new", "other"], &timings), [1, 1]);
    }
}
