//! How to log in at a registry: what it asks for, and what the configuration of docker knows. It must not know
//! what is requested.

use std::path::PathBuf;
use std::sync::LazyLock;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use regex::Regex;
use serde_json::Value;

use crate::base::env::Env;

/// What a registry asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Challenge {
    /// The name and the password.
    Basic,
    /// A token, which this URL returns.
    Bearer(String),
}

/// A parameter of a challenge.
static PARAMETER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"(\w+)="([^"]*)""#).ok());

impl Challenge {
    /// Parses the value of the header `WWW-Authenticate`.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let (scheme, parameters) = header.split_once(' ').unwrap_or((header, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut query) = (None, String::new());
        for parameter in PARAMETER.as_ref()?.captures_iter(parameters) {
            match &parameter[1] {
                "realm" => realm = Some(parameter[2].to_owned()),
                name @ ("service" | "scope") => {
                    let separator = if query.is_empty() { '?' } else { '&' };
                    let value = utf8_percent_encode(&parameter[2], NON_ALPHANUMERIC);
                    query.push_str(&format!("{separator}{name}={value}"));
                }
                _ => {}
            }
        }
        Some(Self::Bearer(format!("{}{query}", realm?)))
    }
}

/// The credentials for one registry.
#[derive(Debug)]
pub(crate) struct Credentials {
    registry: String,
    /// The configuration of docker.
    file: Option<PathBuf>,
}

impl Credentials {
    pub(crate) fn new(registry: &str, env: &Env) -> Self {
        let folder = env.var("DOCKER_CONFIG").filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let home = || env.var("HOME").map(|home| PathBuf::from(home).join(".docker"));
        let file = folder.or_else(home).map(|folder| folder.join("config.json"));
        Self { registry: registry.to_owned(), file }
    }

    /// Returns the header with name and password, or the reason why there is none.
    pub(crate) fn basic(&self) -> Result<String, String> {
        let login = format!("hint: docker login {}", self.registry);
        let file = self.file.as_ref().ok_or_else(|| login.clone())?;
        let shown = file.display();
        let config: Value = match std::fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| format!("{shown}: {error}"))?,
            Err(_) => return Err(format!("no credentials in {shown}; {login}")),
        };
        let registry = &self.registry;
        let keys = match &**registry {
            "docker.io" => vec!["https://index.docker.io/v1/".to_owned()],
            _ => vec![registry.clone(), format!("https://{registry}"), format!("https://{registry}/v1/")],
        };
        let auth = keys.iter().find_map(|key| config["auths"][key]["auth"].as_str());
        if let Some(auth) = auth.filter(|auth| !auth.is_empty()) {
            return Ok(format!("Basic {auth}"));
        }
        let helper = config["credHelpers"][registry].as_str().or(config["credsStore"].as_str());
        Err(match helper {
            Some(helper) => format!(
                "the credentials are in docker-credential-{helper}, which is not supported; hint: write them to \
                 `auths` of {shown}, or of the file in another folder that DOCKER_CONFIG names"
            ),
            None => format!("no credentials in {shown}; {login}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_parsed() {
        let bearer = |url: &str| Some(Challenge::Bearer(url.to_owned()));
        let cases = [
            (r#"Basic realm="x""#, Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            (r#"Bearer realm="https://a.example/token""#, bearer("https://a.example/token")),
            (
                r#"Bearer realm="https://a.example/token",service="a b",scope="repository:x/y:pull,push""#,
                bearer("https://a.example/token?service=a%20b&scope=repository%3Ax%2Fy%3Apull%2Cpush"),
            ),
            (r#"Bearer service="x""#, None),
            ("Negotiate", None),
        ];
        for (header, expected) in cases {
            assert_eq!(Challenge::parse(header), expected, "{header}");
        }
    }

    #[test]
    fn credentials_come_from_the_configuration_of_docker() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.json");
        let basic = |registry: &str, config: &str| {
            std::fs::write(&file, config).unwrap();
            let env = Env::new([("DOCKER_CONFIG".into(), dir.path().into())], "/".into());
            Credentials::new(registry, &env).basic()
        };
        let auths =
            r#"{"auths": {"a.example": {"auth": "YTpi"}, "https://index.docker.io/v1/": {"auth": "YzpK"}}}"#;
        assert_eq!(basic("a.example", auths), Ok("Basic YTpi".to_owned()));
        assert_eq!(basic("docker.io", auths), Ok("Basic YzpK".to_owned()));
        assert_eq!(
            basic("b.example", auths),
            Err(format!("no credentials in {}; hint: docker login b.example", file.display()))
        );
        let helper = basic("a.example", r#"{"auths": {"a.example": {}}, "credsStore": "pass"}"#).unwrap_err();
        assert!(helper.starts_with("the credentials are in docker-credential-pass, which"), "{helper}");
        assert!(basic("a.example", "{").unwrap_err().contains("EOF"));
    }
}
