//! Colours. It must not know which text they are for.

use console::Style;

use crate::base::env::Env;

/// When output is coloured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set; also elsewhere with `CLICOLOR_FORCE`.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Adds colours to text, or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Paint {
    colored: bool,
}

/// What a piece of text means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    /// Success.
    Good,
    /// Failure.
    Bad,
    /// Unusual: worth a look.
    Odd,
    /// Less important.
    Faint,
    /// More important.
    Strong,
}

impl Color {
    /// Decides whether a stream has colours.
    pub fn paint(self, env: &Env, is_terminal: bool) -> Paint {
        let forced =
            env.is_set("CLICOLOR_FORCE") && env.var("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        let dumb = env.var("TERM").is_some_and(|term| term == "dumb");
        let colored = match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto if env.is_set("NO_COLOR") => false,
            Self::Auto => forced || is_terminal && !dumb,
        };
        Paint { colored }
    }
}

impl Paint {
    /// Adds no colours.
    pub const PLAIN: Self = Self { colored: false };

    /// Returns whether there are colours.
    pub fn is_colored(self) -> bool {
        self.colored
    }

    /// Returns `text` in the colour of a tone.
    pub fn tone(self, tone: Tone, text: &str) -> String {
        if !self.colored {
            return text.to_owned();
        }
        let style = Style::new().force_styling(true);
        let style = match tone {
            Tone::Good => style.green(),
            Tone::Bad => style.red().bold(),
            Tone::Odd => style.yellow(),
            Tone::Faint => style.dim(),
            Tone::Strong => style.bold(),
        };
        style.apply_to(text).to_string()
    }
}
