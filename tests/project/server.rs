//! Small C programs for tests, such as a server. Each is compiled once per test program.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// Compiles the program `server WHERE [MILLISECONDS before it listens] [--deaf]`. WHERE is a port of
/// 127.0.0.1, `[::1]:PORT`, `*:PORT` or the path of a Unix socket.
pub(crate) fn server() -> PathBuf {
    static PROGRAM: OnceLock<Compiled> = OnceLock::new();
    PROGRAM.get_or_init(|| Compiled::compile("server")).program.clone()
}

/// Compiles the program `ask PORT PATH`, which prints a server's answer.
pub(crate) fn ask() -> PathBuf {
    static PROGRAM: OnceLock<Compiled> = OnceLock::new();
    PROGRAM.get_or_init(|| Compiled::compile("ask")).program.clone()
}

/// Compiles the program `bind PORT`, which prints whether the port is free.
pub(crate) fn bind() -> PathBuf {
    static PROGRAM: OnceLock<Compiled> = OnceLock::new();
    PROGRAM.get_or_init(|| Compiled::compile("bind")).program.clone()
}

/// Compiles the program `daemon MARK`, which detaches from its parent and erases its environment.
pub(crate) fn daemon() -> PathBuf {
    static PROGRAM: OnceLock<Compiled> = OnceLock::new();
    PROGRAM.get_or_init(|| Compiled::compile("daemon")).program.clone()
}

/// Compiles the program `debugger PROGRAM [ARGUMENT…]`, which traces another program, or fails if it can't.
pub(crate) fn debugger() -> PathBuf {
    static PROGRAM: OnceLock<Compiled> = OnceLock::new();
    PROGRAM.get_or_init(|| Compiled::compile("debugger")).program.clone()
}

/// Compiles the program `threads FILE`, which prints a file that its second thread opens.
pub(crate) fn threads() -> PathBuf {
    static PROGRAM: OnceLock<Compiled> = OnceLock::new();
    PROGRAM.get_or_init(|| Compiled::compile("threads")).program.clone()
}

/// A compiled program, and the temporary folder that contains it.
struct Compiled {
    program: PathBuf,
    _dir: TempDir,
}

impl Compiled {
    fn compile(name: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let program = dir.path().join(name);
        let source = format!("{}/../tests/project/{name}.c", env!("CARGO_MANIFEST_DIR"));
        let built = Command::new("cc").args(["-pthread", "-o"]).arg(&program).arg(&source).status();
        assert!(built.unwrap().success(), "cc can't compile {source}");
        Self { program, _dir: dir }
    }
}
