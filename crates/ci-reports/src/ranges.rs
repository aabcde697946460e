//! Operations on sets of line numbers.

use super::facts::{LineCoverage, LineRanges};

impl LineRanges {
    /// Creates a set from lines in any order, which may contain duplicates.
    pub fn from_lines(mut lines: Vec<u32>) -> Self {
        lines.sort_unstable();
        let mut ranges = Self::default();
        for line in lines {
            ranges.append(line, line);
        }
        ranges
    }

    /// Creates a set from ranges in any order, which may overlap. A range whose last line is before
    /// its first line is empty.
    pub fn from_ranges(mut stretches: Vec<(u32, u32)>) -> Self {
        stretches.retain(|(first, last)| first <= last);
        stretches.sort_unstable();
        let mut ranges = Self::default();
        for (first, last) in stretches {
            ranges.append(first, last);
        }
        ranges
    }

    /// Adds one line. For many unsorted lines, [`LineRanges::from_lines`] is faster.
    pub fn insert(&mut self, line: u32) {
        let at = self.0.partition_point(|(first, _)| *first <= line);
        if at == self.0.len() {
            return self.append(line, line);
        }
        if at > 0 && self.0[at - 1].1 >= line {
            return;
        }
        let follows = at > 0 && self.0[at - 1].1 + 1 == line;
        let leads = self.0[at].0 == line + 1;
        match (follows, leads) {
            (true, true) => {
                self.0[at - 1].1 = self.0[at].1;
                self.0.remove(at);
            }
            (true, false) => self.0[at - 1].1 = line,
            (false, true) => self.0[at].0 = line,
            (false, false) => self.0.insert(at, (line, line)),
        }
    }

    /// Returns whether the set contains a line.
    pub fn contains(&self, line: u32) -> bool {
        let at = self.0.partition_point(|(first, _)| *first <= line);
        at > 0 && self.0[at - 1].1 >= line
    }

    /// Returns the number of lines.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|(first, last)| u64::from(last.saturating_sub(*first)) + 1).sum()
    }

    /// Returns whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the lines of both sets.
    pub fn union(&self, other: &Self) -> Self {
        let mut ranges = Self(Vec::with_capacity(self.0.len() + other.0.len()));
        let (mut ours, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        loop {
            let ours_first = match (ours.peek(), theirs.peek()) {
                (Some(one), Some(two)) => one <= two,
                (one, _) => one.is_some(),
            };
            let next = if ours_first { ours.next() } else { theirs.next() };
            match next {
                Some((first, last)) => ranges.append(*first, *last),
                None => return ranges,
            }
        }
    }

    /// Returns the lines of this set that are not in the other set.
    pub fn difference(&self, other: &Self) -> Self {
        let mut ranges = Self::default();
        let mut at = 0;
        for &(first, last) in &self.0 {
            // A range of the other set that ends before this range also ends before all later ones.
            while other.0.get(at).is_some_and(|hole| hole.1 < first) {
                at += 1;
            }
            let mut from = Some(first);
            for hole in other.0[at..].iter().take_while(|hole| hole.0 <= last) {
                if let Some(first) = from.filter(|first| *first < hole.0) {
                    ranges.append(first, hole.0 - 1);
                }
                from = hole.1.checked_add(1).filter(|next| *next <= last);
            }
            if let Some(first) = from {
                ranges.append(first, last);
            }
        }
        ranges
    }

    /// Adds a range that starts at or after the first line of the last range in the set.
    fn append(&mut self, first: u32, last: u32) {
        match self.0.last_mut() {
            Some(end) if first <= end.1.saturating_add(1) => end.1 = end.1.max(last),
            _ => self.0.push((first, last)),
        }
    }
}

impl LineCoverage {
    /// Creates the lines of a file. A line in both sets was reached.
    pub fn new(reached: LineRanges, missed: &LineRanges) -> Self {
        Self { missed: missed.difference(&reached), reached }
    }

    /// Adds the lines of another report about the same file. A line was reached if it was reached
    /// in either report.
    pub fn join(&mut self, other: &Self) {
        *self = Self::new(self.reached.union(&other.reached), &self.missed.union(&other.missed));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn lines(ranges: &LineRanges) -> BTreeSet<u32> {
        ranges.0.iter().flat_map(|(first, last)| *first..=*last).collect()
    }

    /// Returns whether each range is valid, and no two of them overlap or touch.
    fn tidy(ranges: &LineRanges) -> bool {
        ranges.0.iter().all(|(first, last)| first <= last)
            && ranges.0.windows(2).all(|pair| u64::from(pair[0].1) + 1 < u64::from(pair[1].0))
    }

    #[test]
    fn largest_line_number_is_valid() {
        let mut ranges = LineRanges::from_lines(vec![u32::MAX, u32::MAX - 1, 0]);
        ranges.insert(u32::MAX);
        ranges.insert(0);
        assert_eq!(ranges.0, [(0, 0), (u32::MAX - 1, u32::MAX)]);
        assert_eq!(
            ranges.difference(&LineRanges::from_lines(vec![u32::MAX])).0,
            [(0, 0), (u32::MAX - 1, u32::MAX - 1)]
        );
        assert_eq!(LineRanges::from_ranges(vec![(0, u32::MAX), (5, 2)]).len(), 1 << 32);
        assert!(ranges.contains(u32::MAX) && !ranges.contains(5));
    }

    #[test]
    fn line_hit_in_either_report_is_covered() {
        let mut lines =
            LineCoverage::new(LineRanges::from_lines(vec![1, 2]), &LineRanges::from_lines(vec![2, 3, 4]));
        assert_eq!(lines.missed, LineRanges::from_lines(vec![3, 4]));
        lines.join(&LineCoverage::new(LineRanges::from_lines(vec![3]), &LineRanges::from_lines(vec![1, 9])));
        assert_eq!(
            lines,
            LineCoverage { reached: LineRanges(vec![(1, 3)]), missed: LineRanges(vec![(4, 4), (9, 9)]) }
        );
    }

    proptest! {
        #[test]
        fn ranges_behave_like_sets(one in prop::collection::vec(0u32..60, 0..40), two in prop::collection::vec(0u32..60, 0..40)) {
            let (a, b): (BTreeSet<u32>, BTreeSet<u32>) = (one.iter().copied().collect(), two.iter().copied().collect());
            let (first, second) = (LineRanges::from_lines(one.clone()), LineRanges::from_lines(two));
            prop_assert_eq!(lines(&first), a.clone());
            prop_assert_eq!(first.len(), a.len() as u64);
            prop_assert!((0..70).all(|line| first.contains(line) == a.contains(&line)));
            let (union, difference) = (first.union(&second), first.difference(&second));
            prop_assert_eq!(lines(&union), a.union(&b).copied().collect::<BTreeSet<_>>());
            prop_assert_eq!(lines(&difference), a.difference(&b).copied().collect::<BTreeSet<_>>());
            let mut inserted = LineRanges::default();
            for line in one {
                inserted.insert(line);
                prop_assert!(tidy(&inserted));
            }
            prop_assert_eq!(&inserted, &first);
            prop_assert!(tidy(&first) && tidy(&union) && tidy(&difference));
            prop_assert_eq!(LineRanges::from_ranges(union.0.iter().rev().chain(&first.0).copied().collect()), union);
        }
    }
}
