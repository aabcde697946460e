//! A config in the form in which it is kept between commands, so that most of them parse no TOML. It must not
//! know where it is kept.
//!
//! The form has no version of its own: its name is made of the identity of the program that wrote it, and no
//! other program looks for that name. The texts of the files are left out, since they are read anyway, and the
//! values of `env-file`, since they may be secrets.

use std::sync::Arc;

use crate::base::digest::{Digest, FieldHasher};
use crate::config::load::answers::{self, Answer};
use crate::config::load::include::LoadedFile;
use crate::config::load::tree::{ConfigTree, plain};
use crate::config::model::Config;

const MAGIC: &[u8] = b"taskgate config\n";

/// Where configs are kept between commands. Losing one only costs time.
pub trait ConfigMemory {
    /// Returns the identity of this program. Another build has another one.
    fn program(&self) -> &Digest;

    /// Returns what was last kept under a name.
    fn read(&self, name: &Digest) -> Option<Vec<u8>>;

    /// Keeps bytes under a name, if that is possible.
    fn write(&self, name: &Digest, bytes: &[u8]);
}

/// Returns the name of the config of these files: the outermost one, and those that it includes.
pub(crate) fn name(program: &Digest, outermost: &LoadedFile) -> Digest {
    let LoadedFile { path, name, text, .. } = outermost;
    let mut fields = FieldHasher::new("remembered config");
    fields.add(program.bytes()).add(path.bytes()).add(name.as_bytes()).add(text.as_bytes()).digest()
}

/// Encodes a config that was parsed after these answers. Returns `None` if that is impossible.
pub(crate) fn encode(name: &Digest, config: &Config, answers: &[Answer]) -> Option<Vec<u8>> {
    let mut bytes = [MAGIC, name.bytes()].concat();
    bytes = postcard::to_extend(&(answers, config), bytes).ok()?;
    let checksum = Digest::hash(&bytes);
    bytes.extend_from_slice(checksum.bytes());
    Some(bytes)
}

/// Decodes a config, and compares what it was made of with the tree. Returns `None` if the bytes are damaged
/// or the tree gives other answers.
pub(crate) fn decode<L: ConfigTree>(
    name: &Digest,
    bytes: &[u8],
    tree: &L,
    outermost: &LoadedFile,
) -> Option<Config> {
    let (content, checksum) = bytes.split_last_chunk()?;
    if Digest::hash(content) != Digest::from_bytes(*checksum) {
        return None;
    }
    let body = content.strip_prefix(MAGIC)?.strip_prefix(name.bytes())?;
    let (answers, body) = postcard::take_from_bytes::<Vec<Answer>>(body).ok()?;
    let texts = answers::texts_if_same(tree, &answers)?;
    let mut config: Config = postcard::from_bytes(body).ok()?;
    let included = texts.into_iter().map(plain).map(Arc::from);
    let texts: Vec<Arc<str>> = std::iter::once(Arc::from(&*outermost.text)).chain(included).collect();
    if texts.len() != config.files.len() {
        return None;
    }
    for (file, text) in config.files.iter_mut().zip(texts) {
        if file.name != tree.name(&file.path) {
            return None;
        }
        file.text = text;
    }
    Some(config)
}
