//! `cortex completions`.

use std::io::Write;

use clap::{Args, Command};
use clap_complete::Shell;

use crate::failure::{Outcome, Result};
use crate::output::refuse_json;
use crate::session::Session;

/// Write completions for a shell.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cortex completions bash > ~/.local/share/bash-completion/completions/cortex\n  \
    cortex completions zsh > ~/.zfunc/_cortex\n  \
    cortex completions fish > ~/.config/fish/completions/cortex.fish")]
pub(crate) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    /// Writes the completions of `command`.
    pub(crate) fn run(&self, session: &Session, mut command: Command) -> Result {
        refuse_json(session.json, "a completion script")?;
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "cortex", &mut script);
        let mut out = std::io::stdout().lock();
        out.write_all(&script)?;
        out.flush()?;
        Ok(Outcome::Found)
    }
}
