//! The variables that every command gets from the caller. They say where things are on this machine: programs,
//! caches, certificates, proxies, registries. It must not know tasks.
//!
//! What changes a result is not among them: `GOFLAGS`, `RUSTFLAGS`, `NODE_OPTIONS` and the choice of a version, such
//! as `RUSTUP_TOOLCHAIN`, belong in `pass-env`, and so in the key. Neither are tokens: those belong in `secret-env`.
//! The names are those of the tools' own documentation; `docs/tasks.md` has the table for users.

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::base::env::Env;

/// Names; a `*` stands for any text.
const PASSED: &[&str] = &[
    // The machine.
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
    // The homes of tools and of their version managers.
    "CARGO_HOME",
    "RUSTUP_HOME",
    "GOPATH",
    "PYENV_ROOT",
    "RBENV_ROOT",
    "NVM_DIR",
    "VOLTA_HOME",
    "PNPM_HOME",
    "COREPACK_HOME",
    "ASDF_DIR",
    "ASDF_DATA_DIR",
    "MISE_DATA_DIR",
    // Caches of packages.
    "GOCACHE",
    "GOMODCACHE",
    "PIP_CACHE_DIR",
    "UV_CACHE_DIR",
    "npm_config_cache",
    "YARN_CACHE_FOLDER",
    "BUN_INSTALL_CACHE_DIR",
    // Certificates.
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "NIX_SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "NODE_USE_SYSTEM_CA",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "UV_NATIVE_TLS",
    "UV_SYSTEM_CERTS",
    "DENO_CERT",
    "DENO_TLS_CA_STORE",
    "CARGO_HTTP_CAINFO",
    "npm_config_cafile",
    // Proxies.
    "ALL_PROXY",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "PIP_PROXY",
    "CARGO_HTTP_PROXY",
    "npm_config_proxy",
    "npm_config_https_proxy",
    "npm_config_noproxy",
    // Registries.
    "CARGO_REGISTRIES_*_INDEX",
    "CARGO_REGISTRIES_*_PROTOCOL",
    "CARGO_SOURCE_*_REGISTRY",
    "CARGO_SOURCE_*_REPLACE_WITH",
    "CARGO_NET_GIT_FETCH_WITH_CLI",
    "GOPROXY",
    "GOPRIVATE",
    "GONOPROXY",
    "GONOSUMDB",
    "GOSUMDB",
    "GOINSECURE",
    "PIP_CONFIG_FILE",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_TRUSTED_HOST",
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_INSECURE_HOST",
    "npm_config_registry",
    "npm_config_@*:registry",
    "npm_config_userconfig",
    "NPM_CONFIG_REGISTRY",
    "NPM_CONFIG_USERCONFIG",
    "NPM_CONFIG_CAFILE",
    "YARN_NPM_REGISTRY_SERVER",
    "BUN_CONFIG_REGISTRY",
    "COREPACK_NPM_REGISTRY",
];

/// Returns whether every command gets the variable with this name.
pub fn is_passed(name: &str) -> bool {
    // Each task asks for each variable.
    static PLAIN: LazyLock<HashSet<&str>> = LazyLock::new(|| PASSED.iter().copied().collect());
    static WILD: LazyLock<Vec<(&str, &str)>> =
        LazyLock::new(|| PASSED.iter().filter_map(|name| name.split_once('*')).collect());
    PLAIN.contains(name)
        || WILD.iter().any(|(start, end)| {
            name.len() > start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        })
}

/// Returns the names of the caller's variables that every command gets.
pub fn names(env: &Env) -> impl Iterator<Item = &str> {
    env.vars().filter_map(|(name, _)| name.to_str()).filter(|name| is_passed(name))
}

/// Returns the passwords in the addresses of registries and proxies that every command gets.
pub fn passwords(env: &Env) -> impl Iterator<Item = &str> {
    let values = names(env).filter_map(|name| env.var(name)?.to_str());
    values.flat_map(str::split_whitespace).filter_map(|url| {
        let (_, rest) = url.split_once("://")?;
        let (login, _) = rest.split(['/', '?', '#']).next()?.rsplit_once('@')?;
        let (_, password) = login.split_once(':')?;
        (!password.is_empty()).then_some(password)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(vars: &[(&str, &str)]) -> Env {
        Env::new(vars.iter().map(|(name, value)| (name.into(), value.into())), "/".into())
    }

    #[test]
    fn registries_are_passed_and_tokens_and_flags_are_not() {
        for name in
            ["PATH", "GOPROXY", "CARGO_REGISTRIES_OURS_INDEX", "npm_config_@ours:registry", "PIP_INDEX_URL"]
        {
            assert!(is_passed(name), "{name}");
        }
        for name in [
            "CARGO_REGISTRIES_OURS_TOKEN",
            "CARGO_REGISTRIES__INDEX_X",
            "NPM_TOKEN",
            "UV_INDEX_OURS_PASSWORD",
            "GOFLAGS",
            "RUSTFLAGS",
            "RUSTUP_TOOLCHAIN",
            "NODE_OPTIONS",
            "npm_config_ignore_scripts",
        ] {
            assert!(!is_passed(name), "{name}");
        }
    }

    #[test]
    fn passwords_of_addresses_are_found() {
        let env = env(&[
            ("PIP_EXTRA_INDEX_URL", "https://me:one@a.example/simple https://b.example/me:no@x"),
            ("HTTPS_PROXY", "http://me:tw@o@proxy:8080"),
            ("GOPROXY", "https://token@c.example,direct"),
            ("OTHER", "https://me:three@d.example"),
        ]);
        assert_eq!(passwords(&env).collect::<Vec<_>>(), ["tw@o", "one"]);
    }
}
