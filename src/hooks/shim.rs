//! The shim: the shell script that we install as a hook, nearly the same for all stages. This module
//! does not know what is in the hooks folder.

use std::path::Path;

use crate::config::hook_stage::Stage;

const TEMPLATE: &str = include_str!("../../hooks/shim.sh");
/// The text by which our hooks are recognised, in all their versions.
const MARK: &str = "\n# taskgate hook ";

/// A template of our hooks that contains the path of the program.
#[derive(Clone, Debug)]
pub struct Shim {
    program: String,
}

impl Shim {
    /// Creates the template of hooks that call `program` if there is no `xtask` on `PATH`.
    pub fn new(program: &Path) -> Self {
        Self { program: program.to_string_lossy().into_owned() }
    }

    /// Returns the text of the hook for a stage.
    pub fn text(&self, stage: Stage) -> String {
        TEMPLATE
            .replace("@STAGE@", stage.name())
            .replace("@STDIN@", if stage.reads_stdin() { "yes" } else { "no" })
            .replace("@PROGRAM@", &quoted(&self.program))
    }
}

/// Returns whether this is the text of one of our hooks.
pub fn is_ours(text: &[u8]) -> bool {
    text.windows(MARK.len()).take(200).any(|window| window == MARK.as_bytes())
}

/// Quotes a text as one word for the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shim_names_stage_and_program() {
        let shim = Shim::new(Path::new("/opt/it's/xtask"));
        let text = shim.text(Stage::PRE_PUSH);
        assert!(text.starts_with("#!/bin/sh\n# taskgate hook 1: pre-push\n"));
        assert!(text.contains("installer='/opt/it'\\''s/xtask'\n") && text.contains("[ yes = yes ]"));
        assert!(shim.text(Stage::PRE_COMMIT).contains("[ no = yes ]"));
        assert!(!text.contains('@') || !text.contains("@S"));
        assert!(is_ours(text.as_bytes()));
        assert!(!is_ours(b"#!/bin/sh\nxtask hook pre-push\n"));
    }
}
