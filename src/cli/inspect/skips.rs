//! `xtask log --skips`: prints the gates that were skipped, by whom and why. It must not know how a gate is
//! skipped.

use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::reporters::Format;
use crate::cli::session::Session;
use crate::history::skips::{Skip, Skips};
use crate::reporter::style::{Paint, Tone};
use crate::reporter::text::{self, Keep};

/// Prints the skips, newest first.
///
/// # Errors
/// There is no repository, or the record can't be read.
pub fn run(session: &Session, format: Format) -> Result<End, Failure> {
    let repository = session.repository()?;
    let mut skips = Skips::new(&repository.common_dir().join("xtask")).all()?;
    skips.reverse();
    let text: String = match format {
        Format::Human if skips.is_empty() => "no gate was skipped yet\n".to_owned(),
        Format::Human => skips.iter().map(|skip| skip_lines(skip, session.paint_out())).collect(),
        Format::Json => {
            let rows = skips.iter().map(|skip| serde_json::to_string(skip).unwrap_or_default() + "\n");
            rows.collect()
        }
    };
    session.print(&text)?;
    Ok(End::Passed)
}

/// Returns the lines of one skip: `2026-11-21T09:30:00Z  pre-push  A <a@example.com>: the server is down`,
/// and what was let through.
fn skip_lines(skip: &Skip, paint: Paint) -> String {
    // Control characters in somebody else's words must not reach the terminal.
    let plain = |words: &str| text::safe(words, Keep::Nothing).replace('\n', " ");
    let stage = paint.tone(Tone::Strong, &skip.stage);
    let mut line =
        format!("{}  {stage}  {}: {}\n", skip.at.rfc3339(), plain(&skip.user), plain(&skip.reason));
    for tree in &skip.trees {
        let short = |id: &str| id.chars().take(10).collect::<String>();
        let commit = tree.commit.as_ref().map(|id| format!("commit {} ", short(id))).unwrap_or_default();
        let refs = if tree.refs.is_empty() { String::new() } else { format!(" to {}", tree.refs.join(", ")) };
        let text = format!("  {commit}tree {}{}", short(&tree.tree), plain(&refs));
        line.push_str(&format!("{}\n", paint.tone(Tone::Faint, &text)));
    }
    line
}
