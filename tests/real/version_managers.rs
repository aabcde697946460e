//! Tests that the remembered answer of a tool probe follows real version managers: each chooses between two
//! tools that only print their version, in every way that it offers.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::installed;
use crate::project::Project;

/// A repository with a probe, and a folder for a version manager.
struct Fixture {
    project: Project,
    vars: Vec<(&'static str, String)>,
}

impl Fixture {
    fn new(probe: &str, pass: &str) -> Self {
        let project = Project::new(&format!(
            r#"
            [tools]
            tool = "{probe}"
            [tasks.t]
            run = "true"
            inputs = ["tasks.toml"]
            tools = ["tool"]
            pass-env = ["?{pass}"]
            "#
        ));
        Self { project, vars: Vec::new() }
    }

    /// Returns a folder outside of the repository.
    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.project.parent_folder().join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Sets a variable for all commands.
    fn set(&mut self, name: &'static str, value: &Path) {
        self.vars.push((name, value.to_str().unwrap().to_owned()));
    }

    fn put_first_in_path(&mut self, folder: &Path) {
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        self.set("PATH", Path::new(&path));
    }

    /// Runs a command of the version manager.
    #[track_caller]
    fn manage(&self, program: impl AsRef<Path>, args: &[&str]) {
        let mut command: Command = self.project.command(program.as_ref());
        let vars = self.vars.iter().map(|(name, value)| (*name, value.as_str()));
        let output = command.args(args).envs(vars).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Expects this answer from the probe, and that it is remembered the next time. A version manager may
    /// fill a cache at first.
    #[track_caller]
    fn expect(&self, answer: &str, vars: &[(&str, &str)]) {
        let own = self.vars.iter().map(|(name, value)| (*name, value.as_str()));
        let vars: Vec<(&str, &str)> = own.chain(vars.iter().copied()).collect();
        for run in 0.. {
            self.project.settle();
            let (found, is_remembered) = self.project.probe_answer(&vars);
            assert_eq!(found, answer);
            assert!(run > 0 || !is_remembered, "it was switched");
            if is_remembered {
                return;
            }
            assert!(run < 3, "{}", self.project.xtask_env(&["why", "t"], &vars).ends(0).out);
        }
    }
}

/// Writes a program that prints a version.
fn install(path: &Path, version: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\necho tool {version}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn rustup_is_followed() {
    let mut fixture = Fixture::new("rustc --version", "RUSTUP_TOOLCHAIN");
    let home = fixture.folder("rustup");
    fixture.set("RUSTUP_HOME", &home);
    let toolchains = fixture.folder("toolchains");
    for version in ["one", "two"] {
        install(&toolchains.join(version).join("bin/rustc"), version);
        fs::create_dir(toolchains.join(version).join("lib")).unwrap();
        fixture.manage("rustup", &["toolchain", "link", version, toolchains.join(version).to_str().unwrap()]);
    }
    fixture.manage("rustup", &["default", "one"]);
    fixture.expect("tool one", &[]);
    fixture.manage("rustup", &["default", "two"]);
    fixture.expect("tool two", &[]);
    fixture.expect("tool one", &[("RUSTUP_TOOLCHAIN", "one")]);
    fixture.manage("rustup", &["override", "set", "one"]);
    fixture.expect("tool one", &[]);
    fixture.manage("rustup", &["override", "unset"]);
    fixture.expect("tool two", &[]);
    fixture.project.write("rust-toolchain.toml", "[toolchain]\nchannel = \"one\"\n");
    fixture.expect("tool one", &[]);
    fs::remove_file(fixture.project.path("rust-toolchain.toml")).unwrap();
    fixture.project.write("rust-toolchain", "two\n");
    fixture.expect("tool two", &[]);
    // Installed again in place, and linked to another folder.
    install(&toolchains.join("two/bin/rustc"), "six");
    fixture.expect("tool six", &[]);
    fixture.manage("rustup", &["toolchain", "link", "two", toolchains.join("one").to_str().unwrap()]);
    fixture.expect("tool one", &[]);
}

#[test]
fn mise_is_followed() {
    let mise = installed("node/node_modules/@jdxcode/mise-linux-x64/bin/mise");
    let mut fixture = Fixture::new("node --version", "MISE_NODE_VERSION");
    let data = fixture.folder("mise");
    fixture.set("MISE_DATA_DIR", &data);
    let tools = fixture.folder("tools");
    for version in ["1.0.0", "2.0.0"] {
        install(&tools.join(version).join("bin/node"), version);
        fixture.manage(&mise, &["link", &format!("node@{version}"), tools.join(version).to_str().unwrap()]);
    }
    fixture.manage(&mise, &["use", "-g", "node@1.0.0"]);
    fixture.manage(&mise, &["reshim"]);
    fixture.put_first_in_path(&data.join("shims"));
    fixture.expect("tool 1.0.0", &[]);
    fixture.manage(&mise, &["use", "-g", "node@2.0.0"]);
    fixture.expect("tool 2.0.0", &[]);
    fixture.expect("tool 1.0.0", &[("MISE_NODE_VERSION", "1.0.0")]);
    fs::write(fixture.project.parent_folder().join(".tool-versions"), "node 1.0.0\n").unwrap();
    fixture.expect("tool 1.0.0", &[]);
    fixture.project.write("mise.toml", "[tools]\nnode = \"2.0.0\"\n");
    fixture.expect("tool 2.0.0", &[]);
    install(&tools.join("2.0.0/bin/node"), "3.0.0");
    fixture.expect("tool 3.0.0", &[]);
}

#[test]
fn corepack_is_followed() {
    // Its cache of compiled code is written each time, so without this no answer would be remembered.
    let mut fixture = Fixture::new("yarn --version", "DISABLE_V8_COMPILE_CACHE");
    fixture.set("DISABLE_V8_COMPILE_CACHE", Path::new("1"));
    let home = fixture.folder("corepack");
    fixture.set("COREPACK_HOME", &home);
    for version in ["1.22.21", "1.22.22"] {
        let folder = home.join("v1/yarn").join(version);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("yarn.js"), format!("console.log('tool {version}')\n")).unwrap();
        let locator = format!(
            r#"{{"locator":{{"name":"yarn","reference":"{version}"}},"bin":{{"yarn":"yarn.js"}},"hash":"sha1.0"}}"#
        );
        fs::write(folder.join(".corepack"), locator).unwrap();
    }
    let shims = fixture.folder("shims");
    fixture.manage(
        installed("node/node_modules/.bin/corepack"),
        &["enable", "--install-directory", shims.to_str().unwrap()],
    );
    fixture.put_first_in_path(&shims);
    let package = |version: &str| format!("{{\"packageManager\":\"yarn@{version}\"}}\n");
    fs::write(fixture.project.parent_folder().join("package.json"), package("1.22.21")).unwrap();
    fixture.expect("tool 1.22.21", &[]);
    fixture.project.write("package.json", package("1.22.22"));
    fixture.expect("tool 1.22.22", &[]);
    fixture.project.write("package.json", package("1.22.21"));
    fixture.expect("tool 1.22.21", &[]);
    fs::write(home.join("v1/yarn/1.22.21/yarn.js"), "console.log('tool 7')\n").unwrap();
    fixture.expect("tool 7", &[]);
}

#[test]
fn pyenv_is_followed() {
    let mut fixture = Fixture::new("python --version", "PYENV_VERSION");
    if fixture.project.command("pyenv").arg("--version").output().is_err() {
        println!("pyenv is not installed");
        return;
    }
    let root = fixture.folder("pyenv");
    fixture.set("PYENV_ROOT", &root);
    for version in ["3.1.0", "3.2.0"] {
        install(&root.join("versions").join(version).join("bin/python"), version);
    }
    fixture.manage("pyenv", &["rehash"]);
    fixture.manage("pyenv", &["global", "3.1.0"]);
    fixture.put_first_in_path(&root.join("shims"));
    fixture.expect("tool 3.1.0", &[]);
    fixture.manage("pyenv", &["global", "3.2.0"]);
    fixture.expect("tool 3.2.0", &[]);
    fixture.expect("tool 3.1.0", &[("PYENV_VERSION", "3.1.0")]);
    fixture.project.write(".python-version", "3.1.0\n");
    fixture.expect("tool 3.1.0", &[]);
    // A version that is an alias.
    symlink("3.2.0", root.join("versions/current")).unwrap();
    fixture.project.write(".python-version", "current\n");
    fixture.expect("tool 3.2.0", &[]);
    fs::remove_file(root.join("versions/current")).unwrap();
    symlink("3.1.0", root.join("versions/current")).unwrap();
    fixture.expect("tool 3.1.0", &[]);
}
