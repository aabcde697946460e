//! Reads JSON as a stream.
//!
//! A format implements [`Object`] and [`Array`] for what it needs; all other values are skipped without
//! being kept. The parser always keeps one string, so the length of strings is limited, and so is the
//! depth of nesting.
//!
//! Deserializing whole SARIF files with serde's derive was tried: a file of 207 MB took 655 MiB instead
//! of 424 MiB, and one of 9 MB with three million empty results took 2 GiB instead of being rejected.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io::{BufReader, Read};
use std::marker::PhantomData;

use serde::de::{
    self, Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess,
    Visitor,
};

use super::budget::Budget;
use super::facts::content_digest;
use super::source::{Body, Source};
use super::{ParseError, text};

/// The maximum number of bytes of one string.
const STRING: usize = 64 << 20;
/// The maximum depth of nesting.
const DEPTH: usize = 100;

/// Reads the keys of a JSON object one by one.
pub(crate) trait Object<'de> {
    /// Reads the value of a key. Returns `false` without reading the value if the key is not
    /// needed.
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error>;
}

/// Reads the items of a JSON array one by one.
pub(crate) trait Array<'de> {
    /// Reads the next item. Returns `false` at the end.
    fn item<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error>;
}

/// Deserializes an object. The result is `false` if it is `null`.
pub(crate) struct Keys<'o, O>(pub(crate) &'o mut O);

/// Deserializes an array. The result is `false` if it is `null`.
pub(crate) struct Items<'o, O>(pub(crate) &'o mut O);

impl<'de, O: Object<'de>> DeserializeSeed<'de> for Keys<'_, O> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, O: Object<'de>> Visitor<'de> for Keys<'_, O> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E: de::Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut taken = HashSet::new();
        while let Some(Cut::<200>(key)) = map.next_key()? {
            if !self.0.field(&key, &mut map)? {
                map.next_value::<IgnoredAny>()?;
            } else if let Some(key) = taken.replace(key) {
                return Err(duplicate_key(&key));
            }
        }
        Ok(true)
    }
}

impl<'de, O: Array<'de>> DeserializeSeed<'de> for Items<'_, O> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, O: Array<'de>> Visitor<'de> for Items<'_, O> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_unit<E: de::Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        while self.0.item(&mut seq)? {}
        Ok(true)
    }
}

/// Calls a function for each item of an array.
pub(crate) struct Each<'b, T, F> {
    budget: &'b Budget,
    take: F,
    item: PhantomData<T>,
}

impl<'b, T, F: FnMut(T) -> Result<(), ParseError>> Each<'b, T, F> {
    /// Creates a reader that calls the function for each item.
    pub(crate) fn new(budget: &'b Budget, take: F) -> Self {
        Self { budget, take, item: PhantomData }
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> Result<(), ParseError>> Array<'de> for Each<'_, T, F> {
    fn item<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        match seq.next_element()? {
            Some(item) => (self.take)(item).map(|()| true).map_err(|error| self.budget.stop(error)),
            None => Ok(false),
        }
    }
}

/// The first item of an array. The others are skipped.
#[derive(Debug)]
pub(crate) struct First<T>(pub(crate) Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for First<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Taking<T>(Option<T>);
        impl<'de, T: Deserialize<'de>> Array<'de> for Taking<T> {
            fn item<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
                if self.0.is_none() {
                    self.0 = seq.next_element()?;
                    return Ok(self.0.is_some());
                }
                Ok(seq.next_element::<IgnoredAny>()?.is_some())
            }
        }
        let mut taking = Taking(None);
        Items(&mut taking).deserialize(deserializer)?;
        Ok(Self(taking.0))
    }
}

/// An object with arbitrary keys. Each must be unique, because only one of two values could count.
#[derive(Debug)]
pub(crate) struct Named<T>(pub(crate) BTreeMap<String, T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Taking<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Taking<T> {
            type Value = Named<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<T>, A::Error> {
                let mut named = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, T>()? {
                    match named.entry(key) {
                        Entry::Occupied(known) => return Err(duplicate_key(known.key())),
                        Entry::Vacant(place) => place.insert(value),
                    };
                }
                Ok(Named(named))
            }
        }
        deserializer.deserialize_map(Taking(PhantomData))
    }
}

fn duplicate_key<E: de::Error>(key: &str) -> E {
    E::custom(format_args!("duplicate key `{}`", text::one_line(key, 200)))
}

/// A string of which only the first bytes are kept.
#[derive(Debug, Default)]
pub(crate) struct Cut<const MOST: usize>(pub(crate) String);

impl<'de, const MOST: usize> Deserialize<'de> for Cut<MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Taking<const MOST: usize>;
        impl<const MOST: usize> Visitor<'_> for Taking<MOST> {
            type Value = Cut<MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Cut<MOST>, E> {
                Ok(Cut(text::start(value, MOST).to_owned()))
            }
        }
        deserializer.deserialize_str(Taking)
    }
}

/// A complete string in one line; `None` if it is too long to be judged.
#[derive(Debug)]
pub(crate) struct Whole(pub(crate) Option<String>);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Taking;
        impl Visitor<'_> for Taking {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Whole, E> {
                Ok(Whole(text::whole_line(value)))
            }
        }
        deserializer.deserialize_str(Taking)
    }
}

/// The digest of a text. The text itself may be a secret, so it is not kept.
pub(crate) struct Digested(pub(crate) String);

impl<'de> Deserialize<'de> for Digested {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digesting;
        impl Visitor<'_> for Digesting {
            type Value = Digested;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Digested, E> {
                Ok(Digested(content_digest(value)))
            }
        }
        deserializer.deserialize_str(Digesting)
    }
}

/// Reads a JSON document, which must be an object.
pub(crate) fn read<'de, O: Object<'de>>(
    source: Source<'_>,
    format: &'static str,
    budget: &Budget,
    object: &mut O,
) -> Result<(), ParseError> {
    parse(source, format, budget, Keys(object)).map(|_| ())
}

/// Reads a JSON document of at most `most` bytes into memory.
pub(crate) fn read_small<T: DeserializeOwned>(
    source: Source<'_>,
    format: &'static str,
    most: u64,
) -> Result<T, ParseError> {
    read_known(source, format, most).map(|(value, _)| value)
}

/// Reads a document as [`read_small`] does, and also returns the paths of unknown keys, such as
/// `tests.faild`.
pub(crate) fn read_known<T: DeserializeOwned>(
    source: Source<'_>,
    format: &'static str,
    most: u64,
) -> Result<(T, Vec<String>), ParseError> {
    /// The maximum number of unknown keys that are returned.
    const UNKNOWN: usize = 10;
    struct Noting<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Noting<T> {
        type Value = (T, Vec<String>);

        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            let mut unknown = Vec::new();
            let value = serde_ignored::deserialize(deserializer, |path| {
                if unknown.len() < UNKNOWN {
                    // The path contains `?` for an optional value.
                    unknown.push(path.to_string().replace(".?", ""));
                }
            })?;
            Ok((value, unknown))
        }
    }
    let mut bytes = Vec::new();
    let Source { mut body, lines, columns } = source;
    (&mut body).take(most + 1).read_to_end(&mut bytes).map_err(ParseError::unreadable)?;
    if bytes.len() as u64 > most {
        return Err(ParseError::TooLarge { what: format!("it has more than {} MiB", most >> 20) });
    }
    let mut rest: &[u8] = &bytes;
    let held = Source { lines, columns, ..Source::open(&mut rest)? };
    parse(held, format, &Budget::new(), Noting(PhantomData))
}

fn parse<'de, S: DeserializeSeed<'de>>(
    source: Source<'_>,
    format: &'static str,
    budget: &Budget,
    seed: S,
) -> Result<S::Value, ParseError> {
    let start = Start { format, lines: source.lines, columns: source.columns };
    let bounded = Bounded { bytes: source.body, budget, string: None, escaped: false, depth: 0 };
    let mut parser = serde_json::Deserializer::from_reader(BufReader::with_capacity(64 << 10, bounded));
    let value = seed.deserialize(&mut parser).and_then(|value| parser.end().map(|()| value));
    value.map_err(|error| budget.take_error().unwrap_or_else(|| start.parse_error(&error)))
}

/// What error messages need: the name of the format, and where the JSON starts.
struct Start {
    format: &'static str,
    lines: usize,
    columns: usize,
}

impl Start {
    fn parse_error(&self, error: &serde_json::Error) -> ParseError {
        let line = self.lines + error.line();
        let column = if error.line() <= 1 { self.columns } else { 0 } + error.column();
        if error.is_eof() {
            return ParseError::Truncated { what: format!("it ends in line {line}, inside a value") };
        }
        if error.is_io() {
            return ParseError::unreadable(error);
        }
        let text = error.to_string();
        let what = text.rsplit_once(" at line ").map_or(&*text, |(what, _)| what);
        ParseError::malformed(
            self.format,
            format!("{} (line {line}, column {column})", without_strings(what)),
        )
    }
}

/// Removes the string that a message quotes, as it may be a secret.
fn without_strings(what: &str) -> String {
    let shown = match (what.find("string \""), what.rfind("\", expected")) {
        (Some(from), Some(to)) if from < to => format!("{}a string{}", &what[..from], &what[to + 1..]),
        _ => what.to_owned(),
    };
    text::one_line(&shown, 300)
}

/// Limits the length of strings and the depth of nesting.
struct Bounded<'a, 'b> {
    bytes: Body<'a>,
    budget: &'b Budget,
    /// The number of bytes read so far of the current string.
    string: Option<usize>,
    escaped: bool,
    depth: usize,
}

impl Read for Bounded<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        for byte in &buffer[..count] {
            match self.string {
                Some(length) => {
                    if !self.escaped && *byte == b'"' {
                        self.string = None;
                        continue;
                    }
                    self.escaped = !self.escaped && *byte == b'\\';
                    self.string = Some(length + 1);
                    if length > STRING {
                        return Err(self.stop(format!("a string in it has more than {} MiB", STRING >> 20)));
                    }
                }
                None => match byte {
                    b'"' => self.string = Some(0),
                    b'[' | b'{' => {
                        self.depth += 1;
                        if self.depth > DEPTH {
                            return Err(self.stop(format!("values are nested more than {DEPTH} times")));
                        }
                    }
                    b']' | b'}' => self.depth = self.depth.saturating_sub(1),
                    _ => {}
                },
            }
        }
        Ok(count)
    }
}

impl Bounded<'_, '_> {
    fn stop(&self, what: String) -> std::io::Error {
        let error: serde_json::Error = self.budget.stop(ParseError::TooLarge { what });
        std::io::Error::other(error)
    }
}
