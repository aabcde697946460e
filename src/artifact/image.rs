//! Reads which image a task has built from the files that it wrote. It must not know who runs the image, nor
//! where it is.
//!
//! The digest is the only name of an image that can't change its meaning. An image that is in no registry is
//! named by its id, which `docker build --iidfile` writes in the same form.

use std::collections::BTreeSet;
use std::io::Read as _;

use serde_json::Value;

use crate::artifact::outputs::TaskOutputs;
use crate::base::file::FileError;
use crate::base::path::RepoPath;
use crate::cache::OutputContent;
use crate::deploy::release::ArtifactDigest;

/// Why it is unknown which image a task has built.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// No output contains a digest.
    #[error(
        "no output of the task contains the digest of {0}; hint: write it to a declared output, such as \
         `docker buildx build --push --metadata-file image.json`, `podman push --digestfile image.digest`, or \
         `docker build --iidfile image.id` for an image that is not pushed"
    )]
    Missing(String),
    /// Outputs contain different digests.
    #[error("the outputs contain several digests of {image}: {}", .found.join(", "))]
    Several {
        /// The image.
        image: String,
        /// The digests, each with its file.
        found: Vec<String>,
    },
    /// An output contains the digest of another image.
    #[error("{path} contains the digest of {found}, not of {image}")]
    OtherImage {
        /// The output.
        path: RepoPath,
        /// The image in the output.
        found: String,
        /// The image of the artifact.
        image: String,
    },
    /// An output can't be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Files up to this size are searched for a digest.
const MAX_SIZE: u64 = 64 << 10;

/// Returns the digest of the image `image` that the outputs of its task contain: in a file with nothing but
/// `sha256:…` or `NAME@sha256:…`, or in the JSON that `docker buildx build --metadata-file` writes.
///
/// # Errors
/// The outputs contain no digest, several ones, or that of another image.
pub fn image_digest(outputs: &TaskOutputs, image: &str) -> Result<ArtifactDigest, ImageError> {
    let mut digests = BTreeSet::new();
    let mut found = Vec::new();
    for output in outputs.outputs() {
        if !matches!(output.content, OutputContent::File { size, .. } if size <= MAX_SIZE) {
            continue;
        }
        let mut bytes = Vec::new();
        let read = outputs.open(output)?.take(MAX_SIZE).read_to_end(&mut bytes);
        read.map_err(FileError::context("read", output.path.as_path()))?;
        let Some(reference) = std::str::from_utf8(&bytes).ok().and_then(find_reference) else { continue };
        if let Some(name) = reference.name.filter(|name| name != image) {
            let path = output.path.clone();
            return Err(ImageError::OtherImage { path, found: name, image: image.to_owned() });
        }
        found.push(format!("{} in {}", reference.digest, output.path));
        digests.insert(reference.digest);
    }
    match (digests.len(), digests.pop_first()) {
        (1, Some(digest)) => Ok(digest),
        (0, _) => Err(ImageError::Missing(image.to_owned())),
        _ => Err(ImageError::Several { image: image.to_owned(), found }),
    }
}

/// An image in a file.
struct Reference {
    /// Its name without tag, if the file contains it.
    name: Option<String>,
    digest: ArtifactDigest,
}

fn find_reference(text: &str) -> Option<Reference> {
    let text = text.trim();
    if text.starts_with('{') {
        let metadata: Value = serde_json::from_str(text).ok()?;
        let digest = parse_digest(metadata.get("containerimage.digest")?.as_str()?)?;
        return Some(Reference { name: None, digest });
    }
    match text.split_once('@') {
        Some((name, digest)) => {
            let start = name.rfind('/').unwrap_or(0);
            let end = name[start..].find(':').map_or(name.len(), |position| start + position);
            Some(Reference { name: Some(name[..end].to_owned()), digest: parse_digest(digest)? })
        }
        None => Some(Reference { name: None, digest: parse_digest(text)? }),
    }
}

fn parse_digest(text: &str) -> Option<ArtifactDigest> {
    let digest = ArtifactDigest(text.to_owned());
    digest.is_valid().then_some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::tests::Fixture;

    const IMAGE: &str = "registry.example.org:5000/shop/web";

    fn digest(files: &[(&str, &str)]) -> Result<String, String> {
        let fixture = Fixture::new();
        for (path, content) in files {
            fixture.write(&format!("dist/{path}"), content);
        }
        let digest = image_digest(&fixture.outputs().unwrap(), IMAGE);
        digest.map(|digest| digest.0).map_err(|error| error.to_string())
    }

    #[test]
    fn digest_is_read_from_what_tools_write() {
        let expected = format!("sha256:{}", "5a".repeat(32));
        let other = format!("sha256:{}", "00".repeat(32));
        let json = format!(
            r#"{{"buildx.build.ref": "x", "containerimage.config.digest": "{other}", "containerimage.digest": "{expected}"}}"#
        );
        let texts = [
            expected.clone(),
            format!("{expected}\n"),
            format!("{IMAGE}@{expected}\n"),
            format!("{IMAGE}:1.0@{expected}"),
            json,
        ];
        for text in &texts {
            assert_eq!(digest(&[("log", "built"), ("image", text)]), Ok(expected.clone()), "{text}");
        }
        assert_eq!(digest(&[("a", &texts[0]), ("b", &texts[4])]), Ok(expected));
    }

    #[test]
    fn outputs_without_one_digest_of_the_image_are_refused() {
        let [one, two] = ["11", "22"].map(|digits| format!("sha256:{}", digits.repeat(32)));
        let missing =
            digest(&[("image", "sha256:12"), ("metadata", "{}"), ("log", &format!("pushed {one}"))]);
        assert!(missing.unwrap_err().starts_with("no output of the task contains the digest of registry"));
        assert_eq!(
            digest(&[("a", &one), ("b", &two)]),
            Err(format!("the outputs contain several digests of {IMAGE}: {one} in dist/a, {two} in dist/b"))
        );
        assert_eq!(
            digest(&[("a", &format!("example.org/api:2@{one}"))]),
            Err(format!("dist/a contains the digest of example.org/api, not of {IMAGE}"))
        );
    }
}
