//! `cortex bag`.

mod arguments;
mod info;
mod play;
mod record;
mod repair;
mod status_line;

use clap::Subcommand;

use crate::failure::Result;
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Bag {
    Record(record::Record),
    Info(info::Info),
    Play(play::Play),
    Repair(repair::Repair),
}

impl Bag {
    pub(crate) fn run(&self, session: &Session) -> Result {
        match self {
            Self::Record(verb) => verb.run(session),
            Self::Info(verb) => verb.run(session),
            Self::Play(verb) => verb.run(session),
            Self::Repair(verb) => verb.run(session),
        }
    }
}
