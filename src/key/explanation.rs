//! The explanation of a key: its fields and input files, in the form in which they are stored beside the
//! result, and the differences between two explanations. It must not know where it is stored.

use std::collections::BTreeMap;

use crate::base::path::RepoPath;
use crate::decision_reason::{Change, FileChange};
use crate::git::snapshot::{ContentId, Mode, SnapshotEntry};
use crate::key::{Field, FieldKind};
use crate::process::secret_mask::Mask;

const MAGIC: &[u8; 8] = b"tgwhy 1\n";

/// The fields of a key and its input files.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Explanation {
    /// The fields, in the order in which they are hashed.
    pub fields: Vec<Field>,
    /// The input files, sorted by path.
    pub files: Vec<InputFile>,
}

/// One input file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InputFile {
    /// The path.
    pub path: RepoPath,
    /// Its mode.
    pub mode: Mode,
    /// The id of its content.
    pub id: ContentId,
}

impl Explanation {
    /// Returns the explanation of a key with these fields and input files. Secrets in `mask` are left out.
    pub fn new<'e>(
        fields: &[Field],
        files: impl IntoIterator<Item = &'e SnapshotEntry>,
        mask: &Mask,
    ) -> Self {
        let files = files.into_iter().map(|e| InputFile { path: e.path.clone(), mode: e.mode, id: e.id });
        let fields = fields.iter().map(|field| Field {
            kind: field.kind,
            name: field.name.clone(),
            value: displayed_value(field.kind, &field.value, mask),
        });
        Self { fields: fields.collect(), files: files.collect() }
    }

    /// Encodes the explanation for [`Self::decode`].
    pub fn encode(&self) -> Vec<u8> {
        let fields = serde_json::to_vec(&self.fields).unwrap_or_default();
        let mut bytes = Vec::with_capacity(16 + fields.len() + self.files.len() * 64);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&length(fields.len()));
        bytes.extend_from_slice(&fields);
        for file in &self.files {
            bytes.push(match file.mode {
                Mode::File => 0,
                Mode::Executable => 1,
                Mode::Symlink => 2,
                Mode::Submodule => 3,
            });
            bytes.extend_from_slice(&file.id.0);
            bytes.extend_from_slice(&length(file.path.bytes().len()));
            bytes.extend_from_slice(file.path.bytes());
        }
        bytes
    }

    /// Decodes what [`Self::encode`] wrote; returns `None` if the bytes are invalid.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(MAGIC)?;
        let fields = serde_json::from_slice(take_counted(&mut rest)?).ok()?;
        let mut files = Vec::new();
        while !rest.is_empty() {
            let mode = match take(&mut rest, 1)?[0] {
                0 => Mode::File,
                1 => Mode::Executable,
                2 => Mode::Symlink,
                3 => Mode::Submodule,
                _ => return None,
            };
            let id = ContentId(take(&mut rest, 20)?.try_into().ok()?);
            files.push(InputFile { mode, id, path: RepoPath::from_git(take_counted(&mut rest)?) });
        }
        Some(Self { fields, files })
    }

    /// Returns the differences from an earlier explanation, in the order of the fields. Values in `mask` may
    /// not have been secret then: they are not shown, and don't count as differences.
    pub fn changes_since(&self, earlier: &Self, mask: &Mask) -> Vec<Change> {
        let mut changes = Vec::new();
        let name = |field: &Field| (field.kind as u8, field.name.clone());
        let old: BTreeMap<_, &Field> = earlier.fields.iter().map(|field| (name(field), field)).collect();
        let new: BTreeMap<_, &Field> = self.fields.iter().map(|field| (name(field), field)).collect();
        for field in &self.fields {
            let was = old.get(&name(field)).map_or("", |field| &field.value);
            if was == field.value {
                continue;
            }
            let was = displayed_value(field.kind, was, mask);
            if was != field.value {
                self.add_change(&mut changes, earlier, field, &was, &field.value);
            }
        }
        for field in earlier.fields.iter().filter(|field| !new.contains_key(&name(field))) {
            if !field.value.is_empty() {
                let was = displayed_value(field.kind, &field.value, mask);
                self.add_change(&mut changes, earlier, field, &was, "");
            }
        }
        changes
    }

    fn add_change(&self, changes: &mut Vec<Change>, earlier: &Self, field: &Field, from: &str, to: &str) {
        let name = field.name.clone();
        let variable = |value: &str| value.strip_prefix('=').map(str::to_owned);
        match field.kind {
            FieldKind::Inputs => file_changes(&earlier.files, &self.files, changes),
            FieldKind::Variable => {
                changes.push(Change::Variable { name, from: variable(from), to: variable(to) });
            }
            FieldKind::Secret => changes.push(Change::Secret { name }),
            FieldKind::Tool => {
                let (from, to) = differing_line(from, to);
                changes.push(Change::Tool { name, from, to });
            }
            FieldKind::Need => changes.push(Change::Need { task: name }),
            FieldKind::Definition => {
                changes.push(Change::Definition { name, from: from.to_owned(), to: to.to_owned() });
            }
            FieldKind::Platform => {
                let name = "platform".to_owned();
                changes.push(Change::Definition { name, from: from.to_owned(), to: to.to_owned() });
            }
        }
    }
}

/// Returns the fields of a key as they may be stored and shown: without secrets, and without those that
/// are empty.
pub fn displayed_fields(fields: &[Field], mask: &Mask) -> Vec<Field> {
    let filled: Vec<Field> = fields.iter().filter(|field| !field.value.is_empty()).cloned().collect();
    Explanation::new(&filled, [], mask).fields
}

/// Returns a field's value as it may be stored and shown.
fn displayed_value(kind: FieldKind, value: &str, mask: &Mask) -> String {
    match kind {
        // A secret's digest is shortened, so that the secret can't be guessed from it; the rest is enough to
        // see that the value has changed.
        FieldKind::Secret => value.chars().take(8).collect(),
        // These are digests, too.
        FieldKind::Inputs | FieldKind::Need => value.to_owned(),
        FieldKind::Variable => match value.strip_prefix('=') {
            Some(value) => format!("={}", mask.text(value)),
            None => mask.text(value),
        },
        FieldKind::Definition | FieldKind::Tool | FieldKind::Platform => mask.text(value),
    }
}

fn file_changes(old: &[InputFile], new: &[InputFile], changes: &mut Vec<Change>) {
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        let order = match (old.get(i), new.get(j)) {
            (Some(a), Some(b)) => a.path.cmp(&b.path),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, _) => std::cmp::Ordering::Greater,
        };
        let (path, how) = match order {
            std::cmp::Ordering::Less => (&old[i].path, Some(FileChange::Removed)),
            std::cmp::Ordering::Greater => (&new[j].path, Some(FileChange::Added)),
            std::cmp::Ordering::Equal if old[i].id != new[j].id => (&new[j].path, Some(FileChange::Changed)),
            std::cmp::Ordering::Equal if old[i].mode != new[j].mode => (&new[j].path, Some(FileChange::Mode)),
            std::cmp::Ordering::Equal => (&new[j].path, None),
        };
        if let Some(how) = how {
            changes.push(Change::File { path: path.clone(), how });
        }
        i += usize::from(order.is_le());
        j += usize::from(order.is_ge());
    }
}

/// Returns the first line in which two texts differ, from both.
fn differing_line(from: &str, to: &str) -> (String, String) {
    let mut old = from.lines();
    let mut new = to.lines();
    loop {
        match (old.next(), new.next()) {
            (None, None) => return (from.to_owned(), to.to_owned()),
            (a, b) if a == b => {}
            (a, b) => return (a.unwrap_or_default().to_owned(), b.unwrap_or_default().to_owned()),
        }
    }
}

fn length(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes()
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    Some(head)
}

fn take_counted<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = u32::from_le_bytes(take(rest, 4)?.try_into().ok()?);
    take(rest, len as usize)
}
