//! Replaces secret values in a stream of bytes by `***`. This module does not know where the values come
//! from, and never shows one, not even in `Debug` output or errors.
//!
//! The search finds the leftmost match and, at the same position, the longest. A stream is masked piece
//! by piece. Only a suffix that may be the start of a value is held back, so the result is the same as
//! if the whole stream had been masked at once.

use std::collections::BTreeMap;
use std::fmt;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

/// The replacement of a value.
const COVER: &[u8] = b"***";
/// The shortest line of a multi-line value that is masked. Shorter ones, such as `{`, are not secret.
const SHORTEST_LINE: usize = 4;
/// The shortest base64 form that is masked. Shorter ones would match other text by chance.
const SHORTEST_BASE64: usize = 6;
/// The mark at the end of a truncated text.
const CUT: &str = "…";
/// The shortest start of a value that is masked at the end of a truncated text. Shorter ones would match
/// by chance.
const SHORTEST_CUT: usize = 4;
/// The line lengths at which programs wrap base64: 64 in PEM files, 76 in MIME and in `base64`.
const WRAPS: [usize; 2] = [64, 76];

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The values to mask. Without values, masking does nothing and costs nothing.
#[derive(Clone, Default)]
pub struct Mask(Option<MaskValues>);

/// The search for the values can't be built.
#[derive(Clone, Debug, thiserror::Error)]
#[error("can't prepare the masking of secret values")]
pub struct MaskError {
    /// The error of the search, which doesn't contain any value.
    source: aho_corasick::BuildError,
}

#[derive(Clone)]
struct MaskValues {
    search: AhoCorasick,
    /// All masked values and forms, sorted, so that their starts can be looked up.
    sorted: Vec<Vec<u8>>,
    /// The number of each entry of `sorted`. The given values come first, in their order, from 1.
    numbers: Vec<usize>,
    /// The length of the longest entry, in bytes.
    longest: usize,
    /// Whether an entry starts with the byte that is the index.
    firsts: [bool; 256],
}

impl Mask {
    /// Creates a mask for the values, their lines, and the forms in which programs write them. Values that
    /// contain only white space are ignored.
    ///
    /// # Errors
    /// Fails if the values are too long for the search, which values of an environment never are.
    pub fn new(values: Vec<Vec<u8>>) -> Result<Self, MaskError> {
        let mut numbered: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        let forms = values.clone().into_iter().chain(values.into_iter().flat_map(forms));
        for form in forms.filter(|form| !form.trim_ascii().is_empty()) {
            let next = numbered.len() + 1;
            numbered.entry(form).or_insert(next);
        }
        let (sorted, numbers): (Vec<Vec<u8>>, Vec<usize>) = numbered.into_iter().unzip();
        let Some(longest) = sorted.iter().map(Vec::len).max() else { return Ok(Self(None)) };
        // This kind needs little memory even for long values.
        let search = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&sorted)
            .map_err(|source| MaskError { source })?;
        let mut firsts = [false; 256];
        for value in &sorted {
            firsts[usize::from(value[0])] = true;
        }
        Ok(Self(Some(MaskValues { search, sorted, numbers, longest, firsts })))
    }

    /// Returns whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns whether `bytes` contains a value or one of its forms.
    pub fn contains(&self, bytes: &[u8]) -> bool {
        self.0.as_ref().is_some_and(|values| values.search.is_match(bytes))
    }

    /// Returns `text` with each value replaced.
    pub fn text(&self, text: &str) -> String {
        let mut masker = self.masker();
        let mut masked = masker.push(text.as_bytes()).to_vec();
        masked.extend_from_slice(masker.finish());
        String::from_utf8_lossy(&masked).into_owned()
    }

    /// Returns `text` with each value replaced, so that different texts stay different: all values except
    /// the first get a number, as in `***(2)`. If the text was truncated inside a value, the start of the
    /// value is replaced too.
    pub fn distinct(&self, text: &str) -> String {
        let Some(values) = &self.0 else { return text.to_owned() };
        let bytes = text.as_bytes();
        let mut masked = Vec::with_capacity(bytes.len());
        let mut done = 0;
        for found in values.search.find_iter(bytes) {
            values.add_plain(&bytes[done..found.start()], &mut masked);
            masked.extend_from_slice(COVER);
            let number = values.numbers[found.pattern().as_usize()];
            if number > 1 {
                masked.extend_from_slice(format!("({number})").as_bytes());
            }
            done = found.end();
        }
        values.add_plain(&bytes[done..], &mut masked);
        String::from_utf8_lossy(&masked).into_owned()
    }

    /// Creates a masker for a stream.
    pub fn masker(&self) -> Masker<'_> {
        Masker { values: self.0.as_ref(), held: Vec::new(), masked: Vec::new() }
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.0.as_ref().map_or(0, |values| values.sorted.len());
        write!(f, "Mask({values} hidden)")
    }
}

impl MaskValues {
    /// Returns whether an entry starts with `bytes` and is longer.
    fn may_begin(&self, bytes: &[u8]) -> bool {
        self.firsts[usize::from(bytes[0])] && {
            let next = self.sorted.partition_point(|value| value.as_slice() <= bytes);
            self.sorted.get(next).is_some_and(|value| value.starts_with(bytes))
        }
    }

    /// Returns the first position, starting at `from`, after which all bytes may be the start of a value.
    fn hold(&self, bytes: &[u8], from: usize) -> usize {
        let from = from.max(bytes.len().saturating_sub(self.longest - 1));
        (from..bytes.len()).find(|start| self.may_begin(&bytes[*start..])).unwrap_or(bytes.len())
    }

    /// Appends bytes that contain no complete value to `masked`. The start of a value before a
    /// truncation mark is replaced.
    fn add_plain(&self, bytes: &[u8], masked: &mut Vec<u8>) {
        let mut done = 0;
        let cuts = bytes.windows(CUT.len()).enumerate().filter(|(_, window)| *window == CUT.as_bytes());
        for (cut, _) in cuts {
            let piece = &bytes[done..cut];
            let held = self.hold(piece, 0);
            let is_covered = piece.len() - held >= SHORTEST_CUT;
            masked.extend_from_slice(if is_covered { &piece[..held] } else { piece });
            masked.extend_from_slice(if is_covered { COVER } else { &[] });
            done = cut;
        }
        masked.extend_from_slice(&bytes[done..]);
    }
}

/// A stream that is being masked. It may hold the start of a value, so it doesn't implement `Debug`.
pub struct Masker<'a> {
    values: Option<&'a MaskValues>,
    held: Vec<u8>,
    masked: Vec<u8>,
}

impl Masker<'_> {
    /// Takes the next bytes and returns the masked part of the stream up to what must be held back.
    pub fn push<'b>(&'b mut self, bytes: &'b [u8]) -> &'b [u8] {
        let Some(values) = self.values else { return bytes };
        self.held.extend_from_slice(bytes);
        let done = self.cover(values, values.hold(&self.held, 0));
        self.held.drain(..done);
        &self.masked
    }

    /// Returns the bytes that are held back. They may be the start of a value and must not be shown.
    pub(super) fn held(&self) -> &[u8] {
        &self.held
    }

    /// Ends the stream and returns the masked rest.
    pub fn finish(&mut self) -> &[u8] {
        let Some(values) = self.values else { return &[] };
        self.cover(values, self.held.len());
        self.held.clear();
        &self.masked
    }

    /// Masks all values that start before `hold`. None of them can become a longer value with more
    /// bytes, because its start would be held back. Returns the start of the held part, which is after
    /// `hold` if a value extends past it.
    fn cover(&mut self, values: &MaskValues, mut hold: usize) -> usize {
        self.masked.clear();
        let mut done = 0;
        for found in values.search.find_iter(&self.held) {
            if found.start() >= hold {
                break;
            }
            self.masked.extend_from_slice(&self.held[done..found.start()]);
            self.masked.extend_from_slice(COVER);
            done = found.end();
            if done > hold {
                hold = values.hold(&self.held, done);
            }
        }
        self.masked.extend_from_slice(&self.held[done..hold]);
        hold
    }
}

/// Returns all forms of a value that are masked, including the value.
fn forms(value: Vec<u8>) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    let lines: Vec<&[u8]> = value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).collect();
    if lines.len() > 1 {
        forms.extend(lines.iter().filter(|line| line.len() >= SHORTEST_LINE).map(|line| line.to_vec()));
    }
    let trimmed = value.trim_ascii().to_vec();
    for plain in [&value, &trimmed] {
        forms.extend(std::str::from_utf8(plain).ok().into_iter().flat_map(text_forms));
        for alphabet in [STANDARD, URL_SAFE] {
            forms.extend((0..3).map(|before| base64(plain, before, alphabet)));
        }
        let whole = base64(plain, 0, STANDARD);
        for wrap in WRAPS.into_iter().filter(|wrap| whole.len() > *wrap) {
            let rows: Vec<&[u8]> = whole.chunks(wrap).collect();
            forms.push(rows.join(&b'\n'));
            forms.extend(rows.iter().filter(|row| row.len() >= SHORTEST_BASE64).map(|row| row.to_vec()));
        }
    }
    forms.extend([value, trimmed]);
    forms.retain(|form| !form.trim_ascii().is_empty());
    forms
}

/// Returns a value as a JSON string without its quotes, and with each run of white space replaced by one
/// space. The second form is empty for a value of several lines, whose lines are masked separately.
fn text_forms(value: &str) -> [Vec<u8>; 2] {
    let json = serde_json::to_string(value).unwrap_or_default();
    let words = value.split_whitespace().filter(|_| !value.trim().contains('\n'));
    let line = words.collect::<Vec<_>>().join(" ");
    let json = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or_default();
    [json.as_bytes().to_vec(), line.into_bytes()]
}

/// Returns the base64 digits that encode only bits of `value`, if `before` other bytes (modulo 3) come
/// before it. These digits don't depend on the bytes around the value.
fn base64(value: &[u8], before: usize, alphabet: &[u8; 64]) -> Vec<u8> {
    let first = (8 * before).div_ceil(6);
    let end = 8 * (before + value.len()) / 6;
    let letter = |index: usize| {
        let bit = 6 * index - 8 * before;
        let high = u16::from(value[bit / 8]) << 8;
        let low = value.get(bit / 8 + 1).copied().map_or(0, u16::from);
        alphabet[usize::from((high | low) >> (10 - bit % 8) & 63)]
    };
    let letters: Vec<u8> = (first..end).map(letter).collect();
    if letters.len() >= SHORTEST_BASE64 { letters } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mask(values: &[&str]) -> Mask {
        Mask::new(values.iter().map(|value| value.as_bytes().to_vec()).collect()).unwrap()
    }

    fn split(mask: &Mask, chunks: &[&[u8]]) -> Vec<u8> {
        let mut masker = mask.masker();
        let mut masked = Vec::new();
        for chunk in chunks {
            masked.extend_from_slice(masker.push(chunk));
        }
        masked.extend_from_slice(masker.finish());
        masked
    }

    #[test]
    fn leftmost_longest_value_is_masked() {
        let cases: [(&[&str], &str, &str); 8] = [
            (&[], "abc", "abc"),
            (&[""], "abc", "abc"),
            (&["hunter2"], "a hunter2 b hunter", "a *** b hunter"),
            (&["ab", "abcd"], "abcd abc ab", "*** ***c ***"),
            (&["abcd", "bc"], "abc abcd", "a*** ***"),
            (&["aa"], "aaaaa", "******a"),
            (&["first line\nlast line\n"], "x last line y first line\n", "x *** y ***\n"),
            (&["{\n  secret\n}\n"], "{ secret }", "{ *** }"),
        ];
        for (values, text, expected) in cases {
            assert_eq!(mask(values).text(text), expected, "{values:?} in {text:?}");
        }
    }

    #[test]
    fn value_with_a_line_end_is_masked_without_it() {
        assert_eq!(mask(&["hunter2\r\n"]).text("x hunter2 y"), "x *** y");
    }

    #[test]
    fn only_a_possible_start_of_a_value_is_held_back() {
        let mask = mask(&["secret", "secretive agent"]);
        let mut masker = mask.masker();
        assert_eq!(masker.push(b"plain sec"), b"plain ");
        assert_eq!(masker.push(b"ond "), b"second ");
        assert_eq!(masker.push(b"secret"), b"");
        assert_eq!(masker.push(b"ive a"), b"");
        assert_eq!(masker.push(b"x"), b"***ive ax");
        assert_eq!(masker.push(b"secretive agent s"), b"*** ");
        assert_eq!(masker.finish(), b"s");
    }

    #[test]
    fn base64_is_masked_at_each_alignment() {
        let value = "s3cr?t>va~ue~~";
        let mask = mask(&[value]);
        // Made with coreutils: printf '%s' "$before$value$after" | base64
        let cases = [
            "czNjcj90PnZhfnVlfn4=",
            "eHMzY3I/dD52YX51ZX5+eXo=",
            "eHhzM2NyP3Q+dmF+dWV+fnl6",
            "eHMzY3I_dD52YX51ZX5-eXo=",
        ];
        for case in cases {
            assert!(mask.contains(case.as_bytes()), "{case}");
            let left = mask.text(case).replace("***", "");
            assert!(left.len() <= 8, "{case}: {left}");
        }
        assert!(!mask.contains(b"c3VwZXIgZnJlZSB0ZXh0"));
    }

    #[test]
    fn wrapped_base64_of_a_long_value_is_masked() {
        let value: Vec<u8> = (0..195u8).map(|n| n.wrapping_mul(37)).collect();
        let mask = Mask::new(vec![value.clone()]).unwrap();
        let whole = base64(&value, 0, STANDARD);
        for wrap in WRAPS {
            let text = whole.chunks(wrap).collect::<Vec<_>>().join(&b'\n');
            let masked = split(&mask, &[&text]);
            let longest = masked.split(|byte| b"*\n".contains(byte)).map(<[u8]>::len).max();
            assert_eq!(longest, Some(0), "{wrap}: {}", String::from_utf8_lossy(&masked));
        }
    }

    #[test]
    fn different_texts_stay_different() {
        let cases: [(&[&str], &str, &str); 8] = [
            (&[], "src/shop.py", "src/shop.py"),
            (&["shop", "store"], "src/shop.py", "src/***.py"),
            (&["shop", "store"], "src/store.py", "src/***(2).py"),
            (&["store", "shop", "store"], "store shop", "*** ***(2)"),
            (&["s3cr3t-t0ken"], "it is s3cr3t-t0…", "it is ***…"),
            (&["s3cr3t-t0ken"], "s3cr3t-t0kens…\ns3cr… s3c…", "***s…\n***… s3c…"),
            (&["a\"b\\c"], r#"{"token":"a\"b\\c"}"#, r#"{"token":"***(2)"}"#),
            (&["a  b\tc"], "a b c", "***(2)"),
        ];
        for (values, text, expected) in cases {
            let masked = mask(values).distinct(text);
            assert_eq!(masked.replace("***(3)", "***(2)"), expected, "{values:?} in {text:?}");
        }
    }

    #[test]
    fn values_never_appear() {
        let shown = format!("{:?}", mask(&["hunter2"]));
        assert!(shown.starts_with("Mask(") && !shown.contains("hunter"), "{shown}");
        assert_eq!(format!("{:?}", Mask::default()), "Mask(0 hidden)");
    }

    fn cut<'a>(text: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
        places.extend([0, text.len()]);
        places.sort_unstable();
        places.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn split_stream_is_masked_like_the_whole(
            values in prop::collection::vec("[ab\n]{0,6}", 0..5),
            text in "[abc\n]{0,60}",
            cuts in prop::collection::vec(0..60usize, 0..12),
        ) {
            let values: Vec<Vec<u8>> = values.into_iter().map(String::into_bytes).collect();
            let mask = Mask::new(values.clone()).unwrap();
            let whole = split(&mask, &[text.as_bytes()]);
            prop_assert_eq!(&split(&mask, &cut(text.as_bytes(), &cuts)), &whole);
            for value in values.iter().filter(|value| !value.trim_ascii().is_empty()) {
                prop_assert!(!whole.windows(value.len()).any(|window| window == value.as_slice()));
            }
            prop_assert!(!mask.contains(&whole));
        }

        #[test]
        fn base64_of_a_value_inside_any_bytes_is_masked(
            before in prop::collection::vec(any::<u8>(), 0..9),
            value in prop::collection::vec(any::<u8>(), 6..40),
            after in prop::collection::vec(any::<u8>(), 0..9),
            cuts in prop::collection::vec(0..100usize, 0..6),
        ) {
            let mask = Mask::new(vec![value.clone()]).unwrap();
            let text = base64(&[before, value.clone(), after].concat(), 0, STANDARD);
            let masked = split(&mask, &cut(&text, &cuts));
            prop_assert!(mask.contains(&text));
            prop_assert!(!mask.contains(&masked));
        }
    }
}
