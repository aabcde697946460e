//! A store in a repository of an OCI registry, by the HTTP API of the distribution specification. It must not
//! know which artifacts are needed.
//!
//! An artifact is a manifest with one layer, the gzipped archive. Its tag contains the digest of the uncompressed
//! archive. A tag is set when all else is there, so nobody finds a part of an artifact.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use ureq::http::Request;
use ureq::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use ureq::{Agent, Body};

use crate::artifact::archive::{PackedArtifact, sha256};
use crate::artifact::store::download::{Copy, Downloads};
use crate::artifact::store::error::StoreError;
use crate::artifact::store::object::{check_packed, object_name};
use crate::artifact::store::oci_auth::{Challenge, Credentials};
use crate::base::env::Env;
use crate::base::file::FileError;
use crate::base::random;
use crate::deploy::release::ArtifactDigest;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const ARTIFACT: &str = "application/vnd.taskgate.artifact.v1";
/// The type of the configuration that the specification wants.
const CONFIG: &str = "application/vnd.taskgate.artifact.config.v1+json";
/// The maximum size of a manifest, of a token and of an error in bytes.
const MAX_TEXT: u64 = 4 << 20;
/// How long a registry may take to accept a connection, to begin an answer, or to go on with it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A store in a repository of a registry.
#[derive(Debug)]
pub(crate) struct OciStore {
    /// The scheme and the host.
    origin: String,
    registry: String,
    repository: String,
    agent: Agent,
    credentials: Credentials,
    /// The header with which the registry has let us in.
    authorization: Mutex<Option<String>>,
    downloads: Downloads,
}

/// A response whose body has not been read.
type Response = ureq::http::Response<Body>;

/// What a request sends.
enum Content<'a> {
    None,
    Bytes(&'static str, &'a [u8]),
    File(&'a File),
}

impl OciStore {
    pub(crate) fn new(registry: &str, repository: &str, env: &Env, temp: PathBuf) -> Self {
        // The registry that the name stands for.
        let host = if registry == "docker.io" { "registry-1.docker.io" } else { registry };
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let scheme = if matches!(name, "localhost" | "127.0.0.1" | "[::1]") { "http" } else { "https" };
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            .timeout_per_write(Some(PATIENCE))
            .build()
            .new_agent();
        Self {
            origin: format!("{scheme}://{host}"),
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            agent,
            credentials: Credentials::new(registry, env),
            authorization: Mutex::default(),
            downloads: Downloads::new(temp),
        }
    }

    pub(crate) fn has(&self, digest: &ArtifactDigest) -> Result<bool, StoreError> {
        // Only the content shows whether an artifact is undamaged, and whoever asks is about to read it.
        match self.read(digest) {
            Ok(_) => Ok(true),
            Err(StoreError::Missing { .. } | StoreError::Damaged { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn read(&self, digest: &ArtifactDigest) -> Result<Copy, StoreError> {
        let tag = tag(digest)?;
        let object = format!("{}:{tag}", self.name());
        self.downloads.open(digest, &object, |file| {
            let missing = || StoreError::Missing { store: self.name(), digest: digest.clone() };
            let damaged =
                |damage: &str| StoreError::Damaged { object: object.clone(), damage: damage.to_owned() };
            let response = self.send("GET", &self.url(&format!("manifests/{tag}")), &Content::None)?;
            let Some(manifest) = self.expect(response, &[200], true)? else { return Err(missing()) };
            let manifest: Value = serde_json::from_slice(&self.text(manifest)?).unwrap_or_default();
            let layer =
                manifest["layers"][0]["digest"].as_str().map(|digest| ArtifactDigest(digest.to_owned()));
            let size = manifest["layers"][0]["size"].as_u64();
            let (Some(layer), Some(size)) = (layer.filter(ArtifactDigest::is_valid), size) else {
                return Err(damaged("its manifest is not that of an artifact"));
            };
            let response = self.send("GET", &self.url(&format!("blobs/{layer}")), &Content::None)?;
            let Some(blob) = self.expect(response, &[200], true)? else {
                return Err(damaged("its layer is missing"));
            };
            let mut content = blob.into_body().into_reader().take(size + 1);
            let mut buffer = vec![0; 1 << 16];
            loop {
                let length = content.read(&mut buffer).map_err(|error| self.failed(&error.to_string()))?;
                if length == 0 {
                    return Ok(());
                }
                let written = file.write_all(&buffer[..length]);
                written.map_err(FileError::context("write", object.as_ref()))?;
            }
        })
    }

    pub(crate) fn put(&self, packed: &PackedArtifact) -> Result<(), StoreError> {
        if self.has(packed.digest())? {
            return Ok(());
        }
        check_packed(packed)?;
        let tag = tag(packed.digest())?;
        let mut file = self.downloads.new_file()?;
        let write = |source| FileError::context("write", packed.path())(source);
        io::copy(&mut packed.open()?, &mut file).map_err(write)?;
        // A registry may keep a damaged blob and take the same one for present. So each upload gets a digest of
        // its own: these bytes of the header of gzip are a time, which nobody needs.
        random::bytes().and_then(|bytes| file.write_all_at(&bytes[..4], 4)).map_err(write)?;
        file.rewind().map_err(write)?;
        let layer = sha256(&file).map_err(write)?;
        let size = file.metadata().map_err(write)?.len();
        self.upload(&layer, &Content::File(&file))?;
        // While several upload the same blob, a registry may say that it is unknown. So each has a configuration of
        // its own too.
        let content = json!({ "layer": layer }).to_string();
        let config = sha256(content.as_bytes()).map_err(write)?;
        self.upload(&config, &Content::Bytes("application/octet-stream", content.as_bytes()))?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": ARTIFACT,
            "config": { "mediaType": CONFIG, "digest": config, "size": content.len() },
            "layers": [{ "mediaType": LAYER, "digest": layer, "size": size }],
        });
        let manifest = manifest.to_string();
        let content = Content::Bytes(MANIFEST, manifest.as_bytes());
        let response = self.send("PUT", &self.url(&format!("manifests/{tag}")), &content)?;
        self.expect(response, &[200, 201], false).map(drop)
    }

    /// Uploads a blob in one piece.
    fn upload(&self, digest: &ArtifactDigest, content: &Content<'_>) -> Result<(), StoreError> {
        let response = self.send("POST", &self.url("blobs/uploads/"), &Content::Bytes("", b""))?;
        let Some(response) = self.expect(response, &[202], false)? else { return Ok(()) };
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.ok_or_else(|| self.failed("it does not say where to upload to"))?;
        let location = if location.starts_with('/') {
            format!("{}{location}", self.origin)
        } else {
            location.to_owned()
        };
        let separator = if location.contains('?') { '&' } else { '?' };
        let response = self.send("PUT", &format!("{location}{separator}digest={digest}"), content)?;
        self.expect(response, &[200, 201], false).map(drop)
    }

    /// Sends a request, and once more with credentials if the registry asks for them.
    fn send(&self, method: &str, url: &str, content: &Content<'_>) -> Result<Response, StoreError> {
        let known = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let response = self.send_once(method, url, content, known.as_deref())?;
        if response.status() != 401 {
            return Ok(response);
        }
        let challenges = response.headers().get_all(WWW_AUTHENTICATE).iter();
        let challenge = challenges.filter_map(|value| value.to_str().ok()).find_map(Challenge::parse);
        let authorization = match challenge {
            Some(Challenge::Basic) => self.credentials.basic().map_err(|reason| self.failed(&reason))?,
            Some(Challenge::Bearer(request)) => self.token(&request)?,
            None => return Err(self.failed("it does not say how to log in")),
        };
        let response = self.send_once(method, url, content, Some(&authorization))?;
        *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(authorization);
        Ok(response)
    }

    fn send_once(
        &self,
        method: &str,
        url: &str,
        content: &Content<'_>,
        authorization: Option<&str>,
    ) -> Result<Response, StoreError> {
        let mut request = Request::builder().method(method).uri(url).header(ACCEPT, MANIFEST);
        // An upload may go to another host, which must not get our credentials.
        let is_own = url.strip_prefix(&self.origin).is_some_and(|path| path.starts_with('/'));
        if let Some(authorization) = authorization.filter(|_| is_own) {
            request = request.header(AUTHORIZATION, authorization);
        }
        let body = match content {
            Content::None => return self.run(request.body(())),
            Content::Bytes(content_type, bytes) => {
                if !content_type.is_empty() {
                    request = request.header(CONTENT_TYPE, *content_type);
                }
                return self.run(request.body(*bytes));
            }
            Content::File(file) => *file,
        };
        let mut start = body;
        start.rewind().map_err(|error| self.failed(&error.to_string()))?;
        self.run(request.header(CONTENT_TYPE, "application/octet-stream").body(body))
    }

    fn run(
        &self,
        request: ureq::http::Result<Request<impl ureq::AsSendBody>>,
    ) -> Result<Response, StoreError> {
        let request = request.map_err(|error| self.failed(&error.to_string()))?;
        self.agent.run(request).map_err(|error| self.failed(&error.to_string()))
    }

    /// Gets a token of the service that the registry names.
    fn token(&self, url: &str) -> Result<String, StoreError> {
        if !url.starts_with("https://") && self.origin.starts_with("https://") {
            return Err(self.failed("it asks to log in without encryption"));
        }
        let mut request = Request::builder().uri(url);
        if let Ok(basic) = self.credentials.basic() {
            request = request.header(AUTHORIZATION, basic);
        }
        let response = self.run(request.body(()))?;
        let Some(response) = self.expect(response, &[200], false)? else { return Ok(String::new()) };
        let answer: Value = serde_json::from_slice(&self.text(response)?).unwrap_or_default();
        let token = answer["token"].as_str().or(answer["access_token"].as_str());
        token.map(|token| format!("Bearer {token}")).ok_or_else(|| self.failed("it gives no token"))
    }

    /// Returns a response with one of these statuses, or `None` if it is 404 and something may be missing.
    fn expect(
        &self,
        response: Response,
        statuses: &[u16],
        may_be_missing: bool,
    ) -> Result<Option<Response>, StoreError> {
        let status = response.status().as_u16();
        if statuses.contains(&status) {
            return Ok(Some(response));
        }
        let answer: Value = serde_json::from_slice(&self.text(response)?).unwrap_or_default();
        let error = &answer["errors"][0];
        // A repository without artifacts is unknown.
        if status == 404 && may_be_missing {
            return Ok(None);
        }
        let message = error["message"].as_str().or(error["code"].as_str()).unwrap_or("no reason is given");
        let hint = if matches!(status, 401 | 403) {
            match self.credentials.basic() {
                Ok(_) => format!("; hint: docker login {}", self.registry),
                Err(reason) => format!("; {reason}"),
            }
        } else {
            String::new()
        };
        Err(self.failed(&format!("status {status}: {message}{hint}")))
    }

    fn text(&self, response: Response) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        let read = response.into_body().into_reader().take(MAX_TEXT).read_to_end(&mut bytes);
        read.map_err(|error| self.failed(&error.to_string()))?;
        Ok(bytes)
    }

    fn url(&self, path: &str) -> String {
        format!("{}/v2/{}/{path}", self.origin, self.repository)
    }

    fn name(&self) -> String {
        format!("oci://{}/{}", self.registry, self.repository)
    }

    fn failed(&self, reason: &str) -> StoreError {
        StoreError::Failed { store: self.name(), reason: reason.to_owned() }
    }
}

/// Returns the tag of an artifact.
fn tag(digest: &ArtifactDigest) -> Result<String, StoreError> {
    object_name(digest).map(|_| format!("tar-{}", digest.hex()))
}
