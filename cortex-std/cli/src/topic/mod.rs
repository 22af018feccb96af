//! `cortex topic`.

mod bw;
mod delay;
mod echo;
mod find;
mod hz;
mod info;
mod list;
mod publish;
mod type_of;

use clap::Subcommand;

use crate::failure::Result;
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Topic {
    List(list::List),
    Info(info::Info),
    Type(type_of::TypeOf),
    Find(find::Find),
    Echo(echo::Echo),
    Hz(hz::Hz),
    Bw(bw::Bw),
    Delay(delay::Delay),
    Pub(publish::Pub),
}

impl Topic {
    pub(crate) fn run(&self, session: &Session) -> Result {
        match self {
            Self::List(verb) => verb.run(session),
            Self::Info(verb) => verb.run(session),
            Self::Type(verb) => verb.run(session),
            Self::Find(verb) => verb.run(session),
            Self::Echo(verb) => verb.run(session),
            Self::Hz(verb) => verb.run(session),
            Self::Bw(verb) => verb.run(session),
            Self::Delay(verb) => verb.run(session),
            Self::Pub(verb) => verb.run(session),
        }
    }
}
