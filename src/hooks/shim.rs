//! The shim: the text of a hook of ours, the same for all stages but for its name. It must not know
//! what is in the folder of hooks.

use std::path::Path;

use crate::config::stage::Stage;

const TEMPLATE: &str = include_str!("../../hooks/shim.sh");
/// What only a hook of ours has in it, whatever its version.
const MARK: &str = "\n# taskgate hook ";

/// Writes the texts of hooks.
#[derive(Clone, Debug)]
pub struct Shim {
    program: String,
}

impl Shim {
    /// Hooks that also find the program at this path.
    pub fn new(program: &Path) -> Self {
        Self { program: program.to_string_lossy().into_owned() }
    }

    /// The hook of a stage.
    pub fn text(&self, stage: Stage) -> String {
        TEMPLATE
            .replace("@STAGE@", stage.name())
            .replace("@STDIN@", if stage.reads_stdin() { "yes" } else { "no" })
            .replace("@PROGRAM@", &quoted(&self.program))
    }
}

/// Whether the text of a hook is one of ours.
pub fn is_ours(text: &[u8]) -> bool {
    text.windows(MARK.len()).take(200).any(|window| window == MARK.as_bytes())
}

/// A word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_stage_and_program() {
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
