//! `cortex doctor`: checks of the graph and of this machine, with advice.

mod daemon;
mod files;
mod finding;
mod machine;
mod topics;

use clap::Args;

use crate::failure::{Outcome, Result};
use crate::output::{Paint, print};
use crate::session::Session;
use finding::Status;

/// Check the graph and this machine for problems, and say how to solve them.
///
/// Checks which daemon answers, the versions in use and the capabilities of this libzmq, topics
/// whose publisher is dead, conflicting types, stale socket files, permissions and path lengths,
/// system limits, and the clock.
///
/// --fix makes safe repairs: it deletes stale socket files of this user. Exit code 1 if a problem
/// remains.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cortex doctor\n  cortex doctor --fix\n  \
    cortex doctor --json | jq 'select(.status == \"problem\")'")]
pub(crate) struct Doctor {
    /// Make safe repairs.
    #[arg(long)]
    fix: bool,
}

impl Doctor {
    pub(crate) fn run(&self, session: &Session) -> Result {
        let mut findings = machine::versions();
        let (about_daemon, topics) = daemon::check(session);
        findings.extend(about_daemon);
        let check = |topics: &[_]| topics::check(&session.discovery, topics);
        findings.extend(topics.as_deref().map(check).unwrap_or_default());
        findings.extend(files::check(&session.discovery, topics.as_deref(), self.fix));
        findings.extend(machine::limits());
        findings.push(machine::shared_memory());
        findings.extend(machine::clock());

        let paint = Paint::stdout();
        for finding in &findings {
            match session.json {
                true => finding.print_json()?,
                false => finding.print(paint)?,
            }
        }
        let count = |status| findings.iter().filter(|finding| finding.status == status).count();
        let (problems, warnings) = (count(Status::Problem), count(Status::Warning));
        if !session.json {
            let text = match (problems, warnings) {
                (0, 0) => paint.good("no problems"),
                (0, warnings) => paint.warning(&format!("no problems, {warnings} warning(s)")),
                (problems, warnings) => {
                    paint.bad(&format!("{problems} problem(s), {warnings} warning(s)"))
                }
            };
            print(&text)?;
        }
        Ok(Outcome::found_if(problems == 0))
    }
}
