//! Shards: which part of a plan's tasks each of several machines runs. Pure: tasks, their needs and
//! how long they take go in; it must not know tasks.toml, the history or where the times are from.
//!
//! All shards of a run compute the same split, each by itself, so it is a function of what all of
//! them have: the tasks and the times that are given. [`split`] is the one that decides; what it
//! promises is that each task has exactly one home, whatever the order in which tasks come.

pub mod balance;
pub mod plan;

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use balance::{Split, split};

/// One of several shards; written `2/4`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Shard {
    /// Which, from 1.
    pub index: usize,
    /// Of how many.
    pub count: usize,
}

/// What is no shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// It is not written as one.
    #[error("a shard is written K/N, such as 2/4")]
    Malformed,
    /// There is no such shard.
    #[error("shards are counted from 1 to {count}")]
    IndexOutOfRange {
        /// How many there are.
        count: usize,
    },
    /// It is split into nothing, or into more than any plan has tasks.
    #[error("a run is split into 1 to {} shards", Shard::MAX_COUNT)]
    CountOutOfRange,
}

impl Shard {
    /// The most that a run is split into.
    pub const MAX_COUNT: usize = 1000;
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let (index, count) = text.split_once('/').ok_or(ShardError::Malformed)?;
        let number = |text: &str| {
            // `parse` would take a sign too.
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

/// A task that is to be run in some shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShardTask {
    /// Its name, unlike all others.
    pub name: String,
    /// How long it takes, in milliseconds or in any other unit that all have.
    pub cost: u64,
    /// The places of the tasks it needs, each before its own.
    pub needs: Vec<usize>,
}

/// How long tasks are known to take, in milliseconds, by their names.
pub type Timings = BTreeMap<String, u64>;

/// How long each of these tasks is taken to last: what is known of it, or else the median of those
/// that are known, or else the same for all.
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
    fn a_shard_is_one_of_several() {
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
    fn what_is_not_known_takes_as_long_as_the_median() {
        let timings: Timings = [("a", 10), ("b", 30), ("c", 90), ("gone", 5000)]
            .into_iter()
            .map(|(name, took)| (name.to_owned(), took))
            .collect();
        assert_eq!(costs(&["a", "b", "c", "new"], &timings), [10, 30, 90, 30]);
        assert_eq!(costs(&["new", "other"], &timings), [1, 1]);
    }
}
