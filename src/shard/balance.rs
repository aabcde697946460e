//! The balance: a split of tasks into shards whose longest is short. It must not know what a task is
//! beyond its name, its cost and its needs.
//!
//! 1. Tasks that are connected through needs stay together, since no shard sees what another made.
//!    The groups are given out longest first, each to the shard with the least so far.
//! 2. One large group, such as all that needs `build`, would leave the other shards idle. So tasks
//!    of the longest shard's groups that others need are tried as *shared*: one that is runs in each
//!    shard that needs it, at its full cost, and no longer connects. What shortens the longest shard
//!    most is kept, and the search goes on from there until nothing does.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::Work;

/// Tasks that are tried as shared in one step, alone and together.
const TRIED: usize = 32;

/// Which shard runs what.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Split {
    /// The shard that each task belongs to, from 0, by the place of the task.
    pub home: Vec<usize>,
    /// What each shard runs, by places in ascending order: its own tasks and all that they need.
    pub runs: Vec<Vec<usize>>,
    /// The tasks that run in more than one shard, and in which, by their places.
    pub shared: BTreeMap<usize, Vec<usize>>,
}

/// Tasks that have to be in one shard.
struct Group {
    members: Vec<usize>,
    cost: u64,
    /// The shared tasks that they need.
    shared: BTreeSet<usize>,
}

/// A split that is being weighed.
struct Weighed {
    groups: Vec<Group>,
    /// The shard of each group.
    places: Vec<usize>,
    /// What each shard takes.
    loads: Vec<u64>,
    /// The shared tasks of each shard.
    shared: Vec<BTreeSet<usize>>,
}

/// Splits `work` into `count` shards.
pub fn split(work: &[Work], count: usize) -> Split {
    let count = count.max(1);
    // All that follows looks at tasks in the order of their names.
    let mut order: Vec<usize> = (0..work.len()).collect();
    order.sort_unstable_by(|a, b| work[*a].name.cmp(&work[*b].name));
    let mut rank = vec![0; work.len()];
    for (place, task) in order.iter().enumerate() {
        rank[*task] = place;
    }
    let needs = |task: usize| -> Vec<usize> { work[task].needs.iter().map(|need| rank[*need]).collect() };
    let sorted = Sorted {
        costs: order.iter().map(|task| work[*task].cost).collect(),
        needs: order.iter().map(|task| needs(*task)).collect(),
        count,
    };
    let (shared, weighed) = sorted.search();
    let mut split = Split { home: vec![0; work.len()], runs: vec![Vec::new(); count], ..Split::default() };
    for (group, shard) in weighed.groups.iter().zip(&weighed.places) {
        for member in &group.members {
            split.home[order[*member]] = *shard;
            split.runs[*shard].push(order[*member]);
        }
    }
    for task in shared {
        let shards: Vec<usize> = (0..count).filter(|shard| weighed.shared[*shard].contains(&task)).collect();
        split.home[order[task]] = shards.first().copied().unwrap_or(0);
        for shard in &shards {
            split.runs[*shard].push(order[task]);
        }
        if shards.len() > 1 {
            split.shared.insert(order[task], shards);
        }
    }
    for runs in &mut split.runs {
        runs.sort_unstable();
    }
    split
}

/// Tasks in the order of their names.
struct Sorted {
    costs: Vec<u64>,
    needs: Vec<Vec<usize>>,
    count: usize,
}

impl Sorted {
    /// The tasks that are best shared, and the split that follows.
    fn search(&self) -> (BTreeSet<usize>, Weighed) {
        let mut shared = BTreeSet::new();
        let mut best = self.weigh(&shared);
        // Each step makes the longest shard shorter, so this ends.
        loop {
            let tried = self.candidates(&shared, &best).into_iter().map(|more| {
                let shared: BTreeSet<usize> = shared.union(&more).copied().collect();
                let weighed = self.weigh(&shared);
                (shared, weighed)
            });
            let next = tried.min_by_key(|(shared, weighed)| (weighed.worth(), shared.len()));
            match next {
                Some((more, weighed)) if weighed.longest() < best.longest() => {
                    shared = more;
                    best = weighed;
                }
                _ => break,
            }
        }
        (shared, best)
    }

    /// Sets of tasks of the longest shard that others need, with all that they need: those that most
    /// others need first, each alone, and the first two, three and so on together.
    fn candidates(&self, shared: &BTreeSet<usize>, weighed: &Weighed) -> Vec<BTreeSet<usize>> {
        let longest = weighed.longest();
        let is_longest = |shard: usize| weighed.loads[shard] == longest;
        let groups = weighed.groups.iter().zip(&weighed.places);
        let members: BTreeSet<usize> = groups
            .filter(|(group, shard)| is_longest(**shard) && group.members.len() > 1)
            .flat_map(|(group, _)| group.members.iter().copied())
            .collect();
        let mut needed: BTreeMap<usize, usize> = BTreeMap::new();
        for need in members.iter().flat_map(|task| &self.needs[*task]) {
            if !shared.contains(need) {
                *needed.entry(*need).or_default() += 1;
            }
        }
        let mut needed: Vec<(usize, usize)> = needed.into_iter().collect();
        needed.sort_by_key(|(task, by)| (Reverse(*by), self.costs[*task], *task));
        needed.truncate(TRIED);
        let alone: Vec<BTreeSet<usize>> = needed.iter().map(|(task, _)| self.closure(*task)).collect();
        let mut together = BTreeSet::new();
        let mut sets = alone.clone();
        for set in alone {
            together.extend(set);
            sets.push(together.clone());
        }
        sets
    }

    /// A task and all that it needs.
    fn closure(&self, task: usize) -> BTreeSet<usize> {
        let mut all = BTreeSet::new();
        let mut stack = vec![task];
        while let Some(task) = stack.pop() {
            if all.insert(task) {
                stack.extend(&self.needs[task]);
            }
        }
        all
    }

    /// The groups that are left when `shared` does not connect, which holds all that its tasks need.
    fn groups(&self, shared: &BTreeSet<usize>) -> Vec<Group> {
        let mut parents: Vec<usize> = (0..self.costs.len()).collect();
        for (task, needs) in self.needs.iter().enumerate().filter(|(task, _)| !shared.contains(task)) {
            for need in needs.iter().filter(|need| !shared.contains(need)) {
                let (a, b) = (root(&mut parents, task), root(&mut parents, *need));
                parents[a.max(b)] = a.min(b);
            }
        }
        let mut groups: BTreeMap<usize, Group> = BTreeMap::new();
        for task in (0..self.costs.len()).filter(|task| !shared.contains(task)) {
            let empty = || Group { members: Vec::new(), cost: 0, shared: BTreeSet::new() };
            let group = groups.entry(root(&mut parents, task)).or_insert_with(empty);
            group.members.push(task);
            group.cost = group.cost.saturating_add(self.costs[task]);
            for need in self.needs[task].iter().filter(|need| shared.contains(need)) {
                if !group.shared.contains(need) {
                    group.shared.extend(self.closure(*need));
                }
            }
        }
        groups.into_values().collect()
    }

    /// Gives the groups out, longest first.
    fn weigh(&self, shared: &BTreeSet<usize>) -> Weighed {
        let mut groups = self.groups(shared);
        let extra = |missing: &mut dyn Iterator<Item = &usize>| {
            missing.fold(0_u64, |sum, task| sum.saturating_add(self.costs[*task]))
        };
        groups.sort_by_cached_key(|group| {
            let whole = group.cost.saturating_add(extra(&mut group.shared.iter()));
            (Reverse(whole), group.members.first().copied())
        });
        let mut weighed = Weighed {
            places: Vec::with_capacity(groups.len()),
            loads: vec![0; self.count],
            shared: vec![BTreeSet::new(); self.count],
            groups: Vec::new(),
        };
        for group in &groups {
            let load = |shard: usize| {
                let missing = extra(&mut group.shared.difference(&weighed.shared[shard]));
                weighed.loads[shard].saturating_add(group.cost).saturating_add(missing)
            };
            let least = (0..self.count).map(|shard| (load(shard), shard)).min().unwrap_or_default();
            weighed.loads[least.1] = least.0;
            weighed.shared[least.1].extend(&group.shared);
            weighed.places.push(least.1);
        }
        weighed.groups = groups;
        weighed
    }
}

impl Weighed {
    fn longest(&self) -> u64 {
        self.loads.iter().copied().max().unwrap_or(0)
    }

    /// What is better is less: first the longest shard, then all of them together.
    fn worth(&self) -> (u64, u64) {
        (self.longest(), self.loads.iter().fold(0, |sum, load| sum.saturating_add(*load)))
    }
}

/// The least member of a task's set so far.
fn root(parents: &mut [usize], mut task: usize) -> usize {
    while parents[task] != task {
        parents[task] = parents[parents[task]];
        task = parents[task];
    }
    task
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn work(tasks: &[(&str, u64, &[usize])]) -> Vec<Work> {
        let work = |(name, cost, needs): &(&str, u64, &[usize])| Work {
            name: (*name).to_owned(),
            cost: *cost,
            needs: needs.to_vec(),
        };
        tasks.iter().map(work).collect()
    }

    fn load(work: &[Work], runs: &[usize]) -> u64 {
        runs.iter().map(|task| work[*task].cost).sum()
    }

    #[test]
    fn what_is_connected_stays_together() {
        let work = work(&[
            ("a", 1, &[]),
            ("b", 5, &[0]),
            ("c", 3, &[]),
            ("d", 3, &[2]),
            ("e", 2, &[]),
            ("f", 2, &[4]),
        ]);
        let split = split(&work, 2);
        assert_eq!(split.home, [0, 0, 1, 1, 0, 0]);
        assert!(split.shared.is_empty());
    }

    #[test]
    fn a_cheap_need_of_many_is_shared_and_a_dear_one_is_not() {
        let tests = |build: u64| {
            let mut work = vec![Work { name: "build".to_owned(), cost: build, needs: Vec::new() }];
            work.extend((0..100).map(|i| Work { name: format!("t{i}"), cost: 10, needs: vec![0] }));
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
    fn two_needs_of_all_are_shared_together() {
        let mut tasks = work(&[("build", 20, &[]), ("codegen", 10, &[])]);
        tasks.extend((0..40).map(|i| Work { name: format!("t{i}"), cost: 50, needs: vec![0, 1] }));
        let split = split(&tasks, 2);
        assert_eq!(split.shared.len(), 2);
        assert_eq!(split.runs.iter().map(|runs| load(&tasks, runs)).max(), Some(1030));
    }

    #[test]
    fn a_shard_may_be_empty() {
        let split = split(&work(&[("a", 1, &[])]), 3);
        assert_eq!(split.runs.iter().map(Vec::len).collect::<Vec<_>>(), [1, 0, 0]);
    }

    /// Tasks of any graph: each needs some that come before it.
    fn graphs() -> impl Strategy<Value = Vec<Work>> {
        let task = (0_u64..1000, prop::collection::vec(any::<prop::sample::Index>(), 0..4), 0_u8..4);
        prop::collection::vec(task, 1..60).prop_map(|tasks| {
            let all = tasks.into_iter().enumerate().map(|(i, (cost, needs, connected))| {
                let needs = needs.iter().filter(|_| i > 0 && connected == 0).map(|need| need.index(i));
                let needs: BTreeSet<usize> = needs.collect();
                Work { name: format!("t{:03}", i * 7919 % 1000), cost, needs: needs.into_iter().collect() }
            });
            all.collect()
        })
    }

    /// The same tasks in another order in which needs come first.
    fn reordered(work: &[Work], seed: u64) -> (Vec<Work>, Vec<usize>) {
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
        let moved = order.iter().map(|task| Work {
            needs: work[*task].needs.iter().map(|need| places[*need].unwrap()).collect(),
            ..work[*task].clone()
        });
        (moved.collect(), order)
    }

    proptest! {
        #[test]
        fn shards_are_disjoint_cover_all_and_hold_what_they_need(work in graphs(), count in 1_usize..9) {
            let split = split(&work, count);
            prop_assert_eq!(split.runs.len(), count);
            for (task, home) in split.home.iter().enumerate() {
                // One home, and it runs there; elsewhere only as what others need.
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
                    let is_own = split.home[*task] == split.runs.iter().position(|r| r == runs).unwrap();
                    let is_needed = runs.iter().any(|other| work[*other].needs.contains(task));
                    prop_assert!(is_own || is_needed);
                }
            }
        }

        #[test]
        fn the_order_of_tasks_does_not_matter(work in graphs(), count in 1_usize..9, seed: u64) {
            let (moved, order) = reordered(&work, seed);
            let (one, other) = (split(&work, count), split(&moved, count));
            for (place, task) in order.iter().enumerate() {
                prop_assert_eq!(one.home[*task], other.home[place]);
            }
            prop_assert_eq!(one, split(&work, count));
        }

        #[test]
        fn sharing_never_makes_the_longest_shard_longer(work in graphs(), count in 1_usize..9) {
            let longest = |runs: &[Vec<usize>]| runs.iter().map(|runs| load(&work, runs)).max().unwrap();
            let total: u64 = work.iter().map(|task| task.cost).sum();
            prop_assert!(longest(&split(&work, count).runs) <= total);
        }

        #[test]
        fn a_thousand_tasks_are_within_ten_percent_of_the_bound(
            costs in prop::collection::vec(prop_oneof![8 => 1_u64..2_000, 1 => 2_000_u64..60_000], 1000),
        ) {
            let name = |i: usize| format!("t{i}");
            let work: Vec<Work> = costs
                .iter()
                .enumerate()
                .map(|(i, cost)| Work { name: name(i), cost: *cost, needs: Vec::new() })
                .collect();
            let split = split(&work, 8);
            let longest = split.runs.iter().map(|runs| load(&work, runs)).max().unwrap();
            let bound = (costs.iter().sum::<u64>().div_ceil(8)).max(*costs.iter().max().unwrap());
            prop_assert!(longest * 10 <= bound * 11, "{longest} > 1.1 × {bound}");
        }
    }
}
