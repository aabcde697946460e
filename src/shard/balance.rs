//! Splits tasks into shards so that the longest shard is short. It must not know what a task is beyond
//! its name, its cost and its needs.
//!
//! 1. Tasks that needs connect stay in one shard, so that no task runs twice. These groups are given out
//!    longest first, each to the shard that is shortest so far.
//! 2. One large group, such as all that needs `build`, would leave the other shards idle. So the tasks
//!    that no other task needs are given out one by one, each with all that it needs, longest first: to
//!    the shard that has most of it already, but no shard may take longer than a limit. Where `build` is
//!    needed in several shards, it runs in each. The least limit within which all tasks fit is searched
//!    for, below the longest shard of step 1. If there is none, the split of step 1 is taken.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::ShardTask;

/// Which shard runs what.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Split {
    /// The shard that each task belongs to, from 0, by the task's index.
    pub owner: Vec<usize>,
    /// The indices of the tasks that each shard runs, ascending: its own tasks and all that they need.
    pub runs: Vec<Vec<usize>>,
    /// The indices of the tasks that run in more than one shard, with these shards.
    pub shared: BTreeMap<usize, Vec<usize>>,
}

/// Splits `work` into `count` shards.
pub fn split(work: &[ShardTask], count: usize) -> Split {
    let count = count.max(1);
    let mut runs = assign(work, &connected_tasks(work), count, u64::MAX).unwrap_or_default();
    // The least limit within which final tasks fit is between these.
    let final_tasks = final_tasks(work);
    let all: BTreeSet<usize> = (0..work.len()).collect();
    let longest_group = final_tasks.iter().map(|group| total_cost(work, group)).max().unwrap_or(0);
    let mut low = longest_group.max(total_cost(work, &all).div_ceil(count as u64));
    let mut high = longest_shard(work, &runs);
    while low < high {
        let limit = low + (high - low) / 2;
        match assign(work, &final_tasks, count, limit) {
            Some(shorter) => (runs, high) = (shorter, limit),
            None => low = limit + 1,
        }
    }
    let mut split = Split { owner: vec![0; work.len()], ..Split::default() };
    for task in 0..work.len() {
        let shards: Vec<usize> = (0..count).filter(|shard| runs[*shard].contains(&task)).collect();
        split.owner[task] = shards.first().copied().unwrap_or(0);
        if shards.len() > 1 {
            split.shared.insert(task, shards);
        }
    }
    split.runs = runs.into_iter().map(|tasks| tasks.into_iter().collect()).collect();
    split
}

/// Returns what each shard runs if these groups are given out, the longest first; `None` if a shard would
/// take longer than `limit`.
fn assign(
    work: &[ShardTask],
    groups: &[BTreeSet<usize>],
    count: usize,
    limit: u64,
) -> Option<Vec<BTreeSet<usize>>> {
    let mut runs = vec![BTreeSet::new(); count];
    let mut loads = vec![0_u64; count];
    for group in groups {
        let with = |shard: usize| {
            let added = total_cost(work, group.difference(&runs[shard]));
            (added, loads[shard].saturating_add(added), shard)
        };
        let (_, load, shard) = (0..count).map(with).filter(|(_, load, _)| *load <= limit).min()?;
        loads[shard] = load;
        runs[shard].extend(group);
    }
    Some(runs)
}

fn sorted(work: &[ShardTask], mut groups: Vec<BTreeSet<usize>>) -> Vec<BTreeSet<usize>> {
    // The order of the tasks differs from machine to machine, that of their names does not.
    groups.sort_by_cached_key(|group| {
        (Reverse(total_cost(work, group)), group.iter().map(|task| work[*task].name.clone()).min())
    });
    groups
}

/// Returns the sets of tasks that needs connect.
fn connected_tasks(work: &[ShardTask]) -> Vec<BTreeSet<usize>> {
    let mut groups: Vec<BTreeSet<usize>> = Vec::new();
    for (task, ShardTask { needs, .. }) in work.iter().enumerate() {
        let connects = |group: &BTreeSet<usize>| needs.iter().any(|need| group.contains(need));
        let (connected, others) = groups.into_iter().partition(connects);
        groups = others;
        groups.push(connected.into_iter().flatten().chain([task]).collect());
    }
    sorted(work, groups)
}

/// Returns each task that no other needs, with all that it needs.
fn final_tasks(work: &[ShardTask]) -> Vec<BTreeSet<usize>> {
    let needed: BTreeSet<usize> = work.iter().flat_map(|work| work.needs.iter().copied()).collect();
    let with_needs = |task: usize| {
        let mut all = BTreeSet::new();
        let mut open = vec![task];
        while let Some(task) = open.pop() {
            if all.insert(task) {
                open.extend(&work[task].needs);
            }
        }
        all
    };
    sorted(work, (0..work.len()).filter(|task| !needed.contains(task)).map(with_needs).collect())
}

/// Returns the load of the longest shard.
fn longest_shard(work: &[ShardTask], runs: &[BTreeSet<usize>]) -> u64 {
    runs.iter().map(|tasks| total_cost(work, tasks)).max().unwrap_or(0)
}

fn total_cost<'t>(work: &[ShardTask], tasks: impl IntoIterator<Item = &'t usize>) -> u64 {
    tasks.into_iter().fold(0, |sum, task| sum.saturating_add(work[*task].cost))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn work(tasks: &[(&str, u64, &[usize])]) -> Vec<ShardTask> {
        let work = |(name, cost, needs): &(&str, u64, &[usize])| ShardTask {
            name: (*name).to_owned(),
            cost: *cost,
            needs: needs.to_vec(),
        };
        tasks.iter().map(work).collect()
    }

    fn load(work: &[ShardTask], runs: &[usize]) -> u64 {
        runs.iter().map(|task| work[*task].cost).sum()
    }

    #[test]
    fn connected_tasks_stay_together() {
        let work = work(&[
            ("a", 1, &[]),
            ("b", 5, &[0]),
            ("c", 3, &[]),
            ("d", 3, &[2]),
            ("e", 2, &[]),
            ("f", 2, &[4]),
        ]);
        let split = split(&work, 2);
        assert_eq!(split.owner, [0, 0, 1, 1, 0, 0]);
        assert!(split.shared.is_empty());
    }

    #[test]
    fn cheap_need_of_many_is_shared_and_expensive_need_is_not() {
        let tests = |build: u64| {
            let mut work = vec![ShardTask { name: "build".to_owned(), cost: build, needs: Vec::new() }];
            work.extend((0..100).map(|i| ShardTask { name: format!("t{i}"), cost: 10, needs: vec![0] }));
            work
        };
        let cheap = tests(20);
        let parts = split(&cheap, 4);
        assert_eq!(parts.shared, BTreeMap::from([(0, vec![0, 1, 2, 3])]));
        assert_eq!(parts.runs.iter().map(|runs| load(&cheap, runs)).collect::<Vec<_>>(), [270; 4]);
        // All of it in one shard takes build + t; two shards can't take less than build + t / 2.
        let one = work(&[("build", 100, &[]), ("t", 10, &[0])]);
        assert!(split(&one, 2).shared.is_empty());
    }

    #[test]
    fn two_needs_of_all_tasks_are_shared() {
        let mut tasks = work(&[("build", 20, &[]), ("codegen", 10, &[])]);
        tasks.extend((0..40).map(|i| ShardTask { name: format!("t{i}"), cost: 50, needs: vec![0, 1] }));
        let split = split(&tasks, 2);
        assert_eq!(split.shared.len(), 2);
        assert_eq!(split.runs.iter().map(|runs| load(&tasks, runs)).max(), Some(1030));
    }

    #[test]
    fn each_need_is_only_in_the_shards_that_use_it() {
        let mut tasks = work(&[("a", 100, &[]), ("b", 100, &[])]);
        tasks.extend((0..20).map(|i| ShardTask { name: format!("t{i}"), cost: 50, needs: vec![i % 2] }));
        let split = split(&tasks, 4);
        assert_eq!(split.shared, BTreeMap::from([(0, vec![0, 1]), (1, vec![2, 3])]));
        assert_eq!(split.runs.iter().map(|runs| load(&tasks, runs)).max(), Some(350));
    }

    #[test]
    fn shard_can_be_empty() {
        let split = split(&work(&[("a", 1, &[])]), 3);
        assert_eq!(split.runs.iter().map(Vec::len).collect::<Vec<_>>(), [1, 0, 0]);
    }

    /// Tasks of any graph: each needs some that come before it.
    fn graphs() -> impl Strategy<Value = Vec<ShardTask>> {
        let task = (0_u64..1000, prop::collection::vec(any::<prop::sample::Index>(), 0..4), 0_u8..4);
        prop::collection::vec(task, 1..60).prop_map(|tasks| {
            let all = tasks.into_iter().enumerate().map(|(i, (cost, needs, connected))| {
                let needs = needs.iter().filter(|_| i > 0 && connected == 0).map(|need| need.index(i));
                let needs: BTreeSet<usize> = needs.collect();
                ShardTask {
                    name: format!("t{:03}", i * 7919 % 1000),
                    cost,
                    needs: needs.into_iter().collect(),
                }
            });
            all.collect()
        })
    }

    /// The same tasks in another order in which needs come first.
    fn reordered(work: &[ShardTask], seed: u64) -> (Vec<ShardTask>, Vec<usize>) {
        let mut left: Vec<usize> = (0..work.len()).collect();
        let mut places: Vec<Option<usize>> = vec![None; work.len()];
        let (mut order, mut seed) = (Vec::new(), seed);
        while !left.is_empty() {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let ready: Vec<usize> = left
                .iter()
                .copied()
                .filter(|task| work[*task].needs.iter().all(|need| places[*need].is_some()))
                .collect();
            let next = ready[usize::try_from(seed >> 33).unwrap() % ready.len()];
            left.retain(|task| *task != next);
            places[next] = Some(order.len());
            order.push(next);
        }
        let moved = order.iter().map(|task| ShardTask {
            needs: work[*task].needs.iter().map(|need| places[*need].unwrap()).collect(),
            ..work[*task].clone()
        });
        (moved.collect(), order)
    }

    proptest! {
        #[test]
        fn each_task_is_in_one_shard_with_its_needs(work in graphs(), count in 1_usize..9) {
            let split = split(&work, count);
            prop_assert_eq!(split.runs.len(), count);
            for (task, home) in split.owner.iter().enumerate() {
                // Each task has one home shard and runs there; in other shards it only runs as a need.
                prop_assert!(split.runs[*home].contains(&task));
                let runs: Vec<usize> =
                    (0..count).filter(|shard| split.runs[*shard].contains(&task)).collect();
                match split.shared.get(&task) {
                    Some(shards) => prop_assert_eq!(&runs, shards),
                    None => prop_assert_eq!(runs, vec![*home]),
                }
            }
            for runs in &split.runs {
                for task in runs {
                    prop_assert!(work[*task].needs.iter().all(|need| runs.contains(need)));
                    let is_own = split.owner[*task] == split.runs.iter().position(|r| r == runs).unwrap();
                    let is_needed = runs.iter().any(|other| work[*other].needs.contains(task));
                    prop_assert!(is_own || is_needed);
                }
            }
        }

        #[test]
        fn order_of_tasks_does_not_matter(work in graphs(), count in 1_usize..9, seed: u64) {
            let (moved, order) = reordered(&work, seed);
            let (one, other) = (split(&work, count), split(&moved, count));
            for (place, task) in order.iter().enumerate() {
                prop_assert_eq!(one.owner[*task], other.owner[place]);
            }
            prop_assert_eq!(one, split(&work, count));
        }

        #[test]
        fn no_shard_is_longer_than_all_tasks(work in graphs(), count in 1_usize..9) {
            let longest = |runs: &[Vec<usize>]| runs.iter().map(|runs| load(&work, runs)).max().unwrap();
            let total: u64 = work.iter().map(|task| task.cost).sum();
            prop_assert!(longest(&split(&work, count).runs) <= total);
        }

        #[test]
        fn split_of_a_thousand_tasks_is_near_the_optimum(
            costs in prop::collection::vec(prop_oneof![8 => 1_u64..2_000, 1 => 2_000_u64..60_000], 1000),
        ) {
            let name = |i: usize| format!("t{i}");
            let work: Vec<ShardTask> = costs
                .iter()
                .enumerate()
                .map(|(i, cost)| ShardTask { name: name(i), cost: *cost, needs: Vec::new() })
                .collect();
            let split = split(&work, 8);
            let longest = split.runs.iter().map(|runs| load(&work, runs)).max().unwrap();
            let bound = (costs.iter().sum::<u64>().div_ceil(8)).max(*costs.iter().max().unwrap());
            prop_assert!(longest * 10 <= bound * 11, "{longest} > 1.1 × {bound}");
        }
    }
}
