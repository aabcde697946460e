//! Percentages that are compared as whole numbers, and shown with as many digits as the comparison
//! needs. This module must not know what the percentages are of.

use std::cmp::Ordering;

use ci_reports::facts::Ratio;

/// The maximum number of decimal places of a percentage in tasks.toml.
const DIGITS: u32 = 6;

/// An exact share of a whole, in percent. It is never negative: callers keep track of the sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Percent {
    part: u128,
    whole: u128,
}

/// An exact percentage that a rule requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequiredPercent(u128);

impl RequiredPercent {
    /// Converts a number from tasks.toml. It is between 0 and 100, with at most [`DIGITS`] decimal
    /// places.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is 0 to 100, which tasks.toml was read for"
    )]
    pub(super) fn from_percent(percent: f64) -> Self {
        Self((percent.clamp(0.0, 100.0) * 1e6).round() as u128)
    }
}

impl Percent {
    /// Returns the share as a percentage, or `None` if the whole is zero.
    pub(super) fn from_ratio(ratio: Ratio) -> Option<Self> {
        let Ratio { part, whole } = shrink(ratio);
        (whole > 0).then(|| Self { part: u128::from(part), whole: u128::from(whole) })
    }

    /// Returns by how many points this share is less than another, or `None` if it is not less.
    pub(super) fn drop_from(self, other: Self) -> Option<Self> {
        let part = (other.part * self.whole).checked_sub(self.part * other.whole)?;
        (part > 0).then_some(Self { part, whole: self.whole * other.whole })
    }

    /// Returns by how many points this share is greater than another, or `None` if it is not
    /// greater.
    pub(super) fn rise_from(self, other: Self) -> Option<Self> {
        other.drop_from(self)
    }

    /// Compares the share with a required percentage.
    pub(super) fn compare(self, mark: RequiredPercent) -> Ordering {
        (self.part * 100_000_000).cmp(&(mark.0 * self.whole))
    }

    /// Formats the percentage with one decimal place. More are used if rounding would put it on the
    /// wrong side of one of the marks, or exactly on it.
    pub(super) fn format(self, marks: &[RequiredPercent]) -> String {
        let all = (0..=100)
            .step_by(100)
            .map(|percent| RequiredPercent(percent * 1_000_000))
            .chain(marks.iter().copied());
        let marks: Vec<(RequiredPercent, Ordering)> = all.map(|mark| (mark, self.compare(mark))).collect();
        for digits in 1..=DIGITS {
            let (rounded, unit) = (self.rounded(digits), 10_u128.pow(DIGITS - digits));
            if marks.iter().all(|(mark, side)| (rounded * unit).cmp(&mark.0) == *side) {
                return format_decimal(rounded, digits);
            }
        }
        // The difference is too small to show: use the nearest number on the correct side of the
        // mark.
        let rounded = self.rounded(DIGITS);
        let side =
            marks.iter().find(|(mark, _)| mark.0 == rounded).map_or(Ordering::Equal, |(_, side)| *side);
        match side {
            Ordering::Less => format_decimal(rounded.saturating_sub(1), DIGITS),
            Ordering::Equal => format_decimal(rounded, DIGITS),
            Ordering::Greater => format_decimal(rounded + 1, DIGITS),
        }
    }

    /// Returns the percentage rounded to so many decimal places, in units of the last place.
    fn rounded(self, digits: u32) -> u128 {
        (self.part * 100 * 10_u128.pow(digits) * 2 + self.whole) / (self.whole * 2)
    }
}

fn format_decimal(number: u128, digits: u32) -> String {
    let unit = 10_u128.pow(digits);
    format!("{}.{:0width$}", number / unit, number % unit, width = usize::try_from(digits).unwrap_or(1))
}

/// Returns the same share in numbers that are small enough to multiply without overflow. Only
/// numbers beyond `u32::MAX` lose precision, and no report has so many lines.
fn shrink(Ratio { mut part, mut whole }: Ratio) -> Ratio {
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
        Percent::from_ratio(Ratio { part, whole }).unwrap()
    }

    #[test]
    fn rounding_never_crosses_the_limit() {
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
            assert_eq!(
                percent(part, whole).format(&[RequiredPercent::from_percent(mark)]),
                expected,
                "{part} of {whole}"
            );
        }
        assert_eq!(Percent::from_ratio(Ratio { part: 0, whole: 0 }), None);
    }

    proptest! {
        #[test]
        fn displayed_percentages_compare_like_the_exact_ones(part in 0_u64..2000, more in 0_u64..2000, mark in 0_u64..=10_000) {
            prop_assume!(part + more > 0);
            let percent = percent(part, part + more);
            #[expect(clippy::cast_precision_loss, reason = "a small number")]
            let mark = RequiredPercent::from_percent(mark as f64 / 100.0);
            let shown: f64 = percent.format(&[mark]).parse().unwrap();
            prop_assert_eq!(RequiredPercent::from_percent(shown).0.cmp(&mark.0), percent.compare(mark));
        }
    }
}
