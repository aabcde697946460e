//! A TOML file, queried by paths of keys. It must not know which keys there are.

use toml::de::{DeTable, DeValue};

/// A parsed TOML file.
pub(super) struct TomlManifest<'t>(DeTable<'t>);

impl<'t> TomlManifest<'t> {
    /// Parses a file; `None` if it is not TOML.
    pub(super) fn read(text: &'t str) -> Option<Self> {
        DeTable::parse(text).ok().map(|table| Self(table.into_inner()))
    }

    fn at(&self, path: &[&str]) -> Option<&DeValue<'t>> {
        let (first, rest) = path.split_first()?;
        let mut value = self.0.get(*first)?.get_ref();
        for key in rest {
            let DeValue::Table(table) = value else { return None };
            value = table.get(*key)?.get_ref();
        }
        Some(value)
    }

    /// Returns whether there is a value at a path.
    pub(super) fn has(&self, path: &[&str]) -> bool {
        self.at(path).is_some()
    }

    /// Returns whether there is a text at a path.
    pub(super) fn has_text(&self, path: &[&str]) -> bool {
        matches!(self.at(path), Some(DeValue::String(_)))
    }

    /// Returns the text at a path.
    pub(super) fn text(&self, path: &[&str]) -> Option<&str> {
        match self.at(path) {
            Some(DeValue::String(text)) => Some(text),
            _ => None,
        }
    }

    /// Returns the texts of the array at a path; none if there is no array.
    pub(super) fn texts(&self, path: &[&str]) -> Vec<&str> {
        texts(self.at(path))
    }

    /// Returns the texts of all arrays in the table at a path.
    pub(super) fn texts_below(&self, path: &[&str]) -> Vec<&str> {
        match self.at(path) {
            Some(DeValue::Table(table)) => {
                table.values().flat_map(|value| texts(Some(value.get_ref()))).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Returns whether the list at a path has an item such as `{ include-group = "NAME" }`.
    pub(super) fn includes(&self, path: &[&str], group: &str) -> bool {
        let Some(DeValue::Array(array)) = self.at(path) else { return false };
        array.iter().any(|item| match item.get_ref() {
            DeValue::Table(table) => table
                .get("include-group")
                .is_some_and(|name| matches!(name.get_ref(), DeValue::String(name) if *name == group)),
            _ => false,
        })
    }

    /// Returns the keys of the table at a path.
    pub(super) fn keys(&self, path: &[&str]) -> Vec<&str> {
        match self.at(path) {
            Some(DeValue::Table(table)) => table.keys().map(|key| &**key.get_ref()).collect(),
            _ => Vec::new(),
        }
    }
}

fn texts<'a>(value: Option<&'a DeValue<'_>>) -> Vec<&'a str> {
    let Some(DeValue::Array(array)) = value else { return Vec::new() };
    let text = |value: &'a toml::Spanned<DeValue<'_>>| match value.get_ref() {
        DeValue::String(text) => Some(&**text),
        _ => None,
    };
    array.iter().filter_map(text).collect()
}
