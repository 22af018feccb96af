//! `cortex doctor`: what is wrong, and what to do about it.

mod daemon;
mod files;
mod machine;
mod topics;

use clap::Args;
use serde_json::json;

use crate::failure::{Outcome, Result};
use crate::output::{Paint, say, say_json, say_long};
use crate::session::Session;

/// Look for what is wrong with the graph and with this machine, and say what to do.
///
/// Checked are the daemon and whose it is, the versions in use and what this libzmq can do, topics
/// whose publisher is gone, types that disagree, socket files that nobody serves, permissions and
/// path lengths, limits of the system, and the clock.
///
/// --fix does what is safe: it deletes socket files of this user that nobody serves. Exit code 1
/// where a problem remains.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cortex doctor\n  cortex doctor --fix\n  \
    cortex doctor --json | jq 'select(.status == \"problem\")'")]
pub(crate) struct Doctor {
    /// Do what is safe to do.
    #[arg(long)]
    fix: bool,
}

/// Where the texts begin, behind a mark.
const INDENT: usize = 9;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    /// It works, but may not under load, or not for everybody.
    Warning,
    /// It does not work.
    Problem,
    /// It was a problem.
    Fixed,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Finding {
    check: &'static str,
    status: Status,
    text: String,
    advice: Option<String>,
}

impl Finding {
    pub(crate) fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, status: Status::Ok, text: text.into(), advice: None }
    }

    pub(crate) fn warning(check: &'static str, text: impl Into<String>, advice: &str) -> Self {
        let advice = Some(advice.to_owned());
        Self { check, status: Status::Warning, text: text.into(), advice }
    }

    pub(crate) fn problem(check: &'static str, text: impl Into<String>, advice: &str) -> Self {
        let advice = Some(advice.to_owned());
        Self { check, status: Status::Problem, text: text.into(), advice }
    }

    pub(crate) fn fixed(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, status: Status::Fixed, text: text.into(), advice: None }
    }
}

impl Doctor {
    pub(crate) fn run(&self, session: &Session) -> Result {
        let mut findings = machine::versions();
        let (about_daemon, topics) = daemon::check(session);
        findings.extend(about_daemon);
        findings.extend(topics.as_deref().map(topics::check).unwrap_or_default());
        findings.extend(files::check(&session.discovery, topics.as_deref(), self.fix));
        findings.extend(machine::limits());
        findings.extend(machine::clock());

        let paint = Paint::stdout();
        for finding in &findings {
            if session.json {
                say_json(&json!({
                    "check": finding.check,
                    "status": finding.status.word(),
                    "text": finding.text,
                    "advice": finding.advice,
                }))?;
                continue;
            }
            let mark = match finding.status {
                Status::Ok => paint.good("ok     "),
                Status::Fixed => paint.good("fixed  "),
                Status::Warning => paint.warning("warning"),
                Status::Problem => paint.bad("PROBLEM"),
            };
            let text = format!("{mark}  {}: {}", paint.key(finding.check), finding.text);
            say_long(&text, INDENT)?;
            if let Some(advice) = &finding.advice {
                say_long(&format!("         {} {advice}", paint.faint("->")), INDENT + 3)?;
            }
        }
        let count = |status| findings.iter().filter(|finding| finding.status == status).count();
        let (problems, warnings) = (count(Status::Problem), count(Status::Warning));
        if !session.json {
            let text = match (problems, warnings) {
                (0, 0) => paint.good("all is well"),
                (0, warnings) => paint.warning(&format!("no problem, {warnings} warning(s)")),
                (problems, warnings) => {
                    paint.bad(&format!("{problems} problem(s), {warnings} warning(s)"))
                }
            };
            say(&text)?;
        }
        Ok(Outcome::found_if(problems == 0))
    }
}

impl Status {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
            Self::Fixed => "fixed",
        }
    }
}
