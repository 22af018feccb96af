//! Candidates for the completion of a shell: topics, nodes and types.

use std::collections::BTreeSet;
use std::time::Duration;

use clap_complete::engine::CompletionCandidate;
use cortex_std::discovery::{Client, Topic, default_address};
use cortex_std::wire::TypeInfo;
use cortex_std::wire::standard::TYPES;

/// The variable by which a shell requests completions. It holds the name of the shell.
pub(crate) const VARIABLE: &str = "CORTEX_COMPLETE";
/// Timeout of the daemon; the user waits meanwhile.
const REQUEST_TIMEOUT: Duration = Duration::from_millis(300);

/// The registered topics.
pub(crate) fn topics() -> Vec<CompletionCandidate> {
    sorted(registered().into_iter().map(|topic| topic.name))
}

/// The nodes that publish.
pub(crate) fn nodes() -> Vec<CompletionCandidate> {
    sorted(registered().into_iter().map(|topic| topic.publisher_node))
}

/// The standard types.
pub(crate) fn types() -> Vec<CompletionCandidate> {
    sorted(TYPES.iter().map(TypeInfo::name).map(str::to_owned))
}

/// The topics that the daemon of the command line lists; none if it does not answer.
fn registered() -> Vec<Topic> {
    let address = address(std::env::args()).unwrap_or_else(default_address);
    let client = Client::connect(&address, REQUEST_TIMEOUT);
    client.and_then(|mut client| client.list()).unwrap_or_default()
}

/// The address that a command line gives with `--discovery`.
fn address(words: impl Iterator<Item = String>) -> Option<String> {
    let mut words = words.skip_while(|word| !word.starts_with("--discovery"));
    let flag = words.next()?;
    flag.strip_prefix("--discovery=").map(str::to_owned).or_else(|| words.next())
}

/// Names in order. A name with a character that a shell could interpret is left out: a node chose it,
/// and the user would execute it.
fn sorted(names: impl Iterator<Item = String>) -> Vec<CompletionCandidate> {
    let is_plain = |name: &String| {
        name.chars().all(|letter| letter.is_alphanumeric() || "_/.-:+@%".contains(letter))
    };
    let names: BTreeSet<String> = names.filter(is_plain).collect();
    names.into_iter().map(CompletionCandidate::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_a_shell_would_execute_is_not_completed() {
        let names = ["/b", "/a", "/a", "/$(reboot)", "/x;y", "/a b", "/カメラ", "", "/`id`"];
        let found = sorted(names.into_iter().map(str::to_owned));
        let found: Vec<_> = found.iter().map(|found| found.get_value().to_string_lossy()).collect();
        assert_eq!(found, ["", "/a", "/b", "/カメラ"]);
    }

    #[test]
    fn the_address_is_that_of_the_command_line() {
        let of = |line: &str| address(line.split(' ').map(str::to_owned));
        let expected = Some("tcp://host:5555".to_owned());
        assert_eq!(of("cortex --discovery tcp://host:5555 topic echo"), expected);
        assert_eq!(of("cortex topic echo --discovery=tcp://host:5555 /"), expected);
        assert_eq!(of("cortex topic echo /"), None);
    }
}
