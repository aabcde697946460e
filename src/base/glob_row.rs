//! A glob without braces as a row of path parts, and whether two parts match a common name. This
//! module must not know of lists, nor of the folders that contain the row.

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GlobPart {
    /// `**`: any number of parts.
    Deep,
    /// Exactly these bytes.
    Literal(Box<[u8]>),
    /// A part with wildcards.
    Wild(Vec<Token>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// One byte of a set.
    One(ByteSet),
    /// Any number of bytes.
    Many,
}

/// A set of bytes, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct ByteSet([u64; 4]);

/// Appends the parts of a glob without braces. Returns `false` if the row matches more than the
/// glob because it was cut short or simplified.
pub(super) fn parse_row(glob: &[u8], row: &mut Vec<GlobPart>) -> bool {
    let mut at = 0;
    let mut exact = true;
    let mut tokens: Vec<Token> = Vec::new();
    while at <= glob.len() {
        let byte = glob.get(at).copied();
        at += 1;
        match byte {
            None | Some(b'/') => match part(std::mem::take(&mut tokens)) {
                ParsedPart::Part(part) => row.push(part),
                ParsedPart::Empty => exact &= glob.is_empty(),
                ParsedPart::Odd => return false,
            },
            Some(b'*') => tokens.push(Token::Many),
            Some(b'?') => tokens.push(Token::One(ByteSet::any())),
            Some(b'[') => match parse_class(glob, at - 1) {
                Some((set, end, plain)) => {
                    exact &= plain;
                    tokens.push(Token::One(set));
                    at = end;
                }
                None => return false,
            },
            Some(b'\\') => {
                let Some(escaped) = glob.get(at) else { return false };
                exact &= is_plain_escape(*escaped);
                let set =
                    if is_plain_escape(*escaped) { ByteSet::single_byte(*escaped) } else { ByteSet::any() };
                tokens.push(Token::One(set));
                at += 1;
            }
            Some(byte) => tokens.push(Token::One(ByteSet::single_byte(byte))),
        }
    }
    exact
}

enum ParsedPart {
    Part(GlobPart),
    /// An empty part between two slashes.
    Empty,
    /// `**` next to other characters. Matchers disagree about its meaning.
    Odd,
}

fn part(tokens: Vec<Token>) -> ParsedPart {
    if tokens.is_empty() {
        return ParsedPart::Empty;
    }
    if tokens == [Token::Many, Token::Many] {
        return ParsedPart::Part(GlobPart::Deep);
    }
    if tokens.windows(2).any(|pair| pair == [Token::Many, Token::Many]) {
        return ParsedPart::Odd;
    }
    let literal: Option<Vec<u8>> =
        tokens.iter().map(|token| if let Token::One(set) = token { set.single() } else { None }).collect();
    ParsedPart::Part(match literal {
        Some(bytes) => GlobPart::Literal(bytes.into()),
        None => GlobPart::Wild(tokens),
    })
}

/// Returns whether a backslash before this byte means the byte itself. Matchers read `\n` and the
/// like either as a letter or as a control character.
fn is_plain_escape(byte: u8) -> bool {
    !byte.is_ascii_alphanumeric() && byte != b'/'
}

/// Returns the set of the character class that starts at `start`, the position after it, and
/// whether the set is exact.
fn parse_class(glob: &[u8], start: usize) -> Option<(ByteSet, usize, bool)> {
    let end = class_end(glob, start)?;
    let mut at = start + 1;
    let negated = matches!(glob[at], b'^' | b'!');
    at += usize::from(negated);
    let mut set = ByteSet::default();
    let mut plain = true;
    let mut member = |at: &mut usize| {
        if glob[*at] == b'\\' {
            *at += 1;
            plain &= is_plain_escape(glob[*at]);
        }
        *at += 1;
        glob[*at - 1]
    };
    while at < end - 1 {
        let low = member(&mut at);
        let mut high = low;
        if glob[at] == b'-' && at + 1 < end - 1 {
            at += 1;
            high = member(&mut at);
        }
        set.insert(low, high);
    }
    if !plain {
        return Some((ByteSet::any(), end, false));
    }
    let set = if negated { set.inverse() } else { set };
    Some((set.without(b'/'), end, true))
}

/// Returns the position after the character class that starts at `start`.
pub(super) fn class_end(glob: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    if matches!(glob.get(at), Some(b'^' | b'!')) {
        at += 1;
    }
    let first = at;
    loop {
        match glob.get(at)? {
            b']' if at > first => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

impl ByteSet {
    fn single_byte(byte: u8) -> Self {
        let mut set = Self::default();
        set.insert(byte, byte);
        set
    }

    fn any() -> Self {
        Self([u64::MAX; 4]).without(b'/')
    }

    fn insert(&mut self, low: u8, high: u8) {
        for byte in low..=high {
            self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
        }
    }

    fn without(mut self, byte: u8) -> Self {
        self.0[usize::from(byte >> 6)] &= !(1 << (byte & 63));
        self
    }

    fn inverse(self) -> Self {
        Self(self.0.map(|word| !word))
    }

    fn meets(self, other: Self) -> bool {
        self.0.iter().zip(other.0).any(|(a, b)| a & b != 0)
    }

    fn covers(self, other: Self) -> bool {
        self.0.iter().zip(other.0).all(|(a, b)| b & !a == 0)
    }

    fn single(self) -> Option<u8> {
        let ones: u32 = self.0.iter().map(|word| word.count_ones()).sum();
        let word = self.0.iter().position(|word| *word != 0)?;
        let bit = usize::try_from(self.0[word].trailing_zeros()).ok()?;
        if ones == 1 { u8::try_from(word * 64 + bit).ok() } else { None }
    }
}

/// Computes an answer for each pair of suffixes of two rows, from the shortest to the longest. Each
/// answer may depend on those of shorter pairs. Returns the answer for the two complete rows.
pub(super) fn from_the_back(
    rows: usize,
    columns: usize,
    mut answer: impl FnMut(usize, usize, &dyn Fn(usize, usize) -> bool) -> bool,
) -> bool {
    let width = columns + 1;
    let mut known = vec![false; (rows + 1) * width];
    for i in (0..=rows).rev() {
        for j in (0..=columns).rev() {
            let now = answer(i, j, &|i, j| known[i * width + j]);
            known[i * width + j] = now;
        }
    }
    known[0]
}

pub(super) fn parts_meet(a: &GlobPart, b: &GlobPart) -> bool {
    match (a, b) {
        (GlobPart::Deep, _) | (_, GlobPart::Deep) => true,
        (GlobPart::Literal(a), GlobPart::Literal(b)) => a == b,
        (GlobPart::Literal(a), GlobPart::Wild(b)) | (GlobPart::Wild(b), GlobPart::Literal(a)) => {
            tokens_meet(&literal_tokens(a), b)
        }
        (GlobPart::Wild(a), GlobPart::Wild(b)) => tokens_meet(a, b),
    }
}

pub(super) fn part_covers(a: &GlobPart, b: &GlobPart) -> bool {
    match (a, b) {
        (GlobPart::Deep, _) => true,
        (_, GlobPart::Deep) | (GlobPart::Literal(_), GlobPart::Wild(_)) => false,
        (GlobPart::Literal(a), GlobPart::Literal(b)) => a == b,
        (GlobPart::Wild(a), GlobPart::Literal(b)) => tokens_cover(a, &literal_tokens(b)),
        (GlobPart::Wild(a), GlobPart::Wild(b)) => tokens_cover(a, b),
    }
}

fn literal_tokens(bytes: &[u8]) -> Vec<Token> {
    bytes.iter().map(|byte| Token::One(ByteSet::single_byte(*byte))).collect()
}

/// Returns whether some name matches both.
fn tokens_meet(a: &[Token], b: &[Token]) -> bool {
    let fits = |(x, y): (&Token, &Token)| match (x, y) {
        (Token::One(x), Token::One(y)) => Some(x.meets(*y)),
        _ => None,
    };
    // Most names differ at the start or the end. This is found without the table.
    let front = a.iter().zip(b).map_while(fits).all(|fit| fit);
    let back = a.iter().rev().zip(b.iter().rev()).map_while(fits).all(|fit| fit);
    front
        && back
        && from_the_back(a.len(), b.len(), |i, j, known| match (a.get(i), b.get(j)) {
            (None, None) => true,
            (Some(Token::Many), None) => known(i + 1, j),
            (None, Some(Token::Many)) => known(i, j + 1),
            (None, _) | (_, None) => false,
            (Some(Token::Many), _) | (_, Some(Token::Many)) => known(i + 1, j) || known(i, j + 1),
            (Some(Token::One(x)), Some(Token::One(y))) => known(i + 1, j + 1) && x.meets(*y),
        })
}

/// Returns whether every name that matches `b` certainly matches `a`.
fn tokens_cover(a: &[Token], b: &[Token]) -> bool {
    from_the_back(a.len(), b.len(), |i, j, known| match (a.get(i), b.get(j)) {
        (None, None) => true,
        (Some(Token::Many), None) => known(i + 1, j),
        (Some(Token::Many), Some(_)) => known(i + 1, j) || known(i, j + 1),
        (None, _) | (_, None | Some(Token::Many)) => false,
        (Some(Token::One(x)), Some(Token::One(y))) => known(i + 1, j + 1) && x.covers(*y),
    })
}
