//! Percentages that are compared as whole numbers, and shown with as many digits as the comparison
//! needs. It must not know what they are of.

use std::cmp::Ordering;

use ci_reports::facts::Ratio;

/// Digits behind the point that a demanded percentage may have; tasks.toml takes no more.
const DIGITS: u32 = 6;

/// A share of a whole, in percent and exact. Negative: none; callers know the sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Percent {
    part: u128,
    whole: u128,
}

/// A demanded percentage, exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(u128);

impl Mark {
    /// Of a number that tasks.toml has taken: 0 to 100, with few digits behind the point.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is 0 to 100, which tasks.toml was read for"
    )]
    pub(super) fn of(percent: f64) -> Self {
        Self((percent.clamp(0.0, 100.0) * 1e6).round() as u128)
    }
}

impl Percent {
    /// `None` if it is a share of nothing.
    pub(super) fn of(ratio: Ratio) -> Option<Self> {
        let Ratio { part, whole } = small(ratio);
        (whole > 0).then(|| Self { part: u128::from(part), whole: u128::from(whole) })
    }

    /// By how many points it lies below another; `None` if it does not.
    pub(super) fn drop_from(self, other: Self) -> Option<Self> {
        let part = (other.part * self.whole).checked_sub(self.part * other.whole)?;
        (part > 0).then_some(Self { part, whole: self.whole * other.whole })
    }

    /// By how many points it lies above another; `None` if it does not.
    pub(super) fn rise_from(self, other: Self) -> Option<Self> {
        other.drop_from(self)
    }

    /// How it compares with what is demanded.
    pub(super) fn compare(self, mark: Mark) -> Ordering {
        (self.part * 100_000_000).cmp(&(mark.0 * self.whole))
    }

    /// The number with one digit behind the point, or with more if it would seem to be another side
    /// of a mark otherwise.
    pub(super) fn shown(self, marks: &[Mark]) -> String {
        let all =
            (0..=100).step_by(100).map(|percent| Mark(percent * 1_000_000)).chain(marks.iter().copied());
        let marks: Vec<(Mark, Ordering)> = all.map(|mark| (mark, self.compare(mark))).collect();
        for digits in 1..=DIGITS {
            let (rounded, unit) = (self.rounded(digits), 10_u128.pow(DIGITS - digits));
            if marks.iter().all(|(mark, side)| (rounded * unit).cmp(&mark.0) == *side) {
                return written(rounded, digits);
            }
        }
        // It differs by less than can be shown: the nearest number on its side.
        let rounded = self.rounded(DIGITS);
        let side =
            marks.iter().find(|(mark, _)| mark.0 == rounded).map_or(Ordering::Equal, |(_, side)| *side);
        match side {
            Ordering::Less => written(rounded.saturating_sub(1), DIGITS),
            Ordering::Equal => written(rounded, DIGITS),
            Ordering::Greater => written(rounded + 1, DIGITS),
        }
    }

    /// In units of the last of so many digits.
    fn rounded(self, digits: u32) -> u128 {
        (self.part * 100 * 10_u128.pow(digits) * 2 + self.whole) / (self.whole * 2)
    }
}

fn written(number: u128, digits: u32) -> String {
    let unit = 10_u128.pow(digits);
    format!("{}.{:0width$}", number / unit, number % unit, width = usize::try_from(digits).unwrap_or(1))
}

/// The same share in numbers whose products can be compared; no report has so many lines that it
/// loses anything.
fn small(Ratio { mut part, mut whole }: Ratio) -> Ratio {
    while whole > u64::from(u32::MAX) || part > u64::from(u32::MAX) {
        part >>= 1;
        whole >>= 1;
    }
    Ratio { part, whole }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn percent(part: u64, whole: u64) -> Percent {
        Percent::of(Ratio { part, whole }).unwrap()
    }

    #[test]
    fn numbers_are_never_shown_on_the_wrong_side() {
        let cases = [
            (381, 500, 80.0, "76.2"),
            (4, 5, 80.0, "80.0"),
            (7996, 10_000, 80.0, "79.96"),
            (80_004, 100_000, 80.0, "80.004"),
            (9_999_999, 10_000_000, 80.0, "99.99999"),
            (4_294_967_294, 4_294_967_295, 80.0, "99.999999"),
            (1, 4_294_967_295, 80.0, "0.000001"),
            (0, 5, 0.0, "0.0"),
            (5, 5, 0.0, "100.0"),
            (2, 3, 66.6, "66.7"),
            (2, 3, 66.67, "66.667"),
        ];
        for (part, whole, mark, expected) in cases {
            assert_eq!(percent(part, whole).shown(&[Mark::of(mark)]), expected, "{part} of {whole}");
        }
        assert_eq!(Percent::of(Ratio { part: 0, whole: 0 }), None);
    }

    proptest! {
        #[test]
        fn what_is_shown_compares_as_what_is_meant(part in 0_u64..2000, more in 0_u64..2000, mark in 0_u64..=10_000) {
            prop_assume!(part + more > 0);
            let percent = percent(part, part + more);
            #[expect(clippy::cast_precision_loss, reason = "a small number")]
            let mark = Mark::of(mark as f64 / 100.0);
            let shown: f64 = percent.shown(&[mark]).parse().unwrap();
            prop_assert_eq!(Mark::of(shown).0.cmp(&mark.0), percent.compare(mark));
        }
    }
}
