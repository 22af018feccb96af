//! `cortex completions` and `cortex man`.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;
use clap_complete::env::Shells;

use crate::candidates::VARIABLE;
use crate::failure::{Failure, Outcome, Result};
use crate::output::refuse_json;
use crate::session::Session;

/// Write completions for a shell.
///
/// The shell then completes verbs, flags, standard types, and the topics and nodes of the running graph.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cortex completions bash > ~/.local/share/bash-completion/completions/cortex\n  \
    cortex completions zsh > ~/.zfunc/_cortex\n  \
    cortex completions fish > ~/.config/fish/completions/cortex.fish")]
pub(crate) struct Completions {
    /// The shell.
    shell: Shell,
}

/// Write the manual pages.
///
/// Without FOLDER the page of cortex itself goes to stdout; with FOLDER a page for each verb is written
/// there.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cortex man | man -l -\n  \
    cortex man ~/.local/share/man/man1 && man cortex-topic-echo")]
pub(crate) struct Man {
    /// Folder for the pages of all verbs.
    folder: Option<PathBuf>,
}

impl Completions {
    /// Writes a script that requests completions from this program.
    pub(crate) fn run(&self, session: &Session) -> Result {
        refuse_json(session.json, "a completion script")?;
        let name = self.shell.to_string();
        let shells = Shells::builtins();
        let Some(shell) = shells.completer(&name) else {
            return Err(Failure::Usage(format!("{name} is not supported")));
        };
        let mut script = Vec::new();
        shell.write_registration(VARIABLE, "cortex", "cortex", "cortex", &mut script)?;
        write(&script)
    }
}

impl Man {
    /// Writes the pages of `command`.
    pub(crate) fn run(&self, session: &Session, command: Command) -> Result {
        refuse_json(session.json, "a manual page")?;
        let Some(folder) = &self.folder else {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            return write(&page);
        };
        let failed = |error: std::io::Error| Failure::with_context(folder.display(), &error);
        std::fs::create_dir_all(folder).map_err(failed)?;
        clap_mangen::generate_to(command, folder).map_err(failed)?;
        Ok(Outcome::Found)
    }
}

fn write(text: &[u8]) -> Result {
    let mut out = std::io::stdout().lock();
    out.write_all(text)?;
    out.flush()?;
    Ok(Outcome::Found)
}
