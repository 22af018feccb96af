//! One finding of `cortex doctor`: what was checked, its state, and what to do.

use serde_json::json;

use crate::failure::Result;
use crate::output::{Paint, print_json, print_wrapped};

/// Columns of the status in front of a text.
const INDENT: usize = 9;

/// The state of what was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    /// Works, but may fail under load or for some peers.
    Warning,
    /// Does not work.
    Problem,
    /// Was a problem, and `--fix` removed it.
    Fixed,
}

impl Status {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
            Self::Fixed => "fixed",
        }
    }
}

/// The result of one check.
#[derive(Debug)]
pub(super) struct Finding {
    check: &'static str,
    pub(super) status: Status,
    pub(super) text: String,
    advice: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, status: Status::Ok, text: text.into(), advice: None }
    }

    pub(super) fn warning(check: &'static str, text: impl Into<String>, advice: &str) -> Self {
        let advice = Some(advice.to_owned());
        Self { check, status: Status::Warning, text: text.into(), advice }
    }

    pub(super) fn problem(check: &'static str, text: impl Into<String>, advice: &str) -> Self {
        let advice = Some(advice.to_owned());
        Self { check, status: Status::Problem, text: text.into(), advice }
    }

    pub(super) fn fixed(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, status: Status::Fixed, text: text.into(), advice: None }
    }

    /// Prints the finding, and the advice below it.
    pub(super) fn print(&self, paint: Paint) -> Result<()> {
        let status = match self.status {
            Status::Ok => paint.good("ok     "),
            Status::Fixed => paint.good("fixed  "),
            Status::Warning => paint.warning("warning"),
            Status::Problem => paint.bad("PROBLEM"),
        };
        let text = format!("{status}  {}: {}", paint.key(self.check), self.text);
        print_wrapped(&text, INDENT)?;
        if let Some(advice) = &self.advice {
            print_wrapped(&format!("         {} {advice}", paint.faint("->")), INDENT + 3)?;
        }
        Ok(())
    }

    /// Prints the finding as a JSON object.
    pub(super) fn print_json(&self) -> Result<()> {
        print_json(&json!({
            "check": self.check,
            "status": self.status.name(),
            "text": self.text,
            "advice": self.advice,
        }))
    }
}
