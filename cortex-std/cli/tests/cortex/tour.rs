//! The tour of the book, in a graph with the nodes of `examples/system.rs`.

use std::time::Duration;

use cortex_std::{Message, Node};
use cortex_tests::graph::{Folder, daemon, node};
use cortex_tests::wait_until;

use crate::{Ended, run_in};

#[derive(Message)]
#[cortex(class = "climate.msgs.Reading")]
struct Reading<'a> {
    value: f64,
    unit: &'a str,
}

/// Publishes on a topic 50 times a second.
fn publish(node: &Node, topic: &str) -> cortex_std::ThreadTimer {
    let readings = node.publisher::<Reading>(topic).create().expect("it binds");
    let timer = node.timer_builder(Duration::from_millis(20));
    let publish = move |_| readings.publish(&Reading { value: 20.5, unit: "C" });
    timer.on_thread(publish).expect("it starts")
}

/// The commands of the tour: arguments without the comment.
fn commands() -> Vec<Vec<&'static str>> {
    let (_, tour) =
        include_str!("../../../../docs/src/cli.md").split_once("## A tour").expect("a tour");
    let (_, block) = tour.split_once("```sh\n").expect("commands");
    let (block, _) = block.split_once("```").expect("an end");
    let arguments = |line: &'static str| {
        let command = line.split_once('#').map_or(line, |(command, _)| command);
        command.split_whitespace().skip(1).collect()
    };
    block.lines().map(arguments).collect()
}

#[test]
fn every_command_of_the_tour_shows_what_it_says() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let (sensor, processor) = (node(&folder, "sensor"), node(&folder, "processor"));
    let _timers = [
        publish(&sensor, "/temperature"),
        publish(&sensor, "/humidity"),
        publish(&processor, "/dew_point"),
    ];
    wait_until("all are registered", || {
        run_in(&folder, &["topic", "list", "--json"]).lines.len() == 3
    });

    for arguments in commands() {
        let ended: Ended = run_in(&folder, &arguments);
        let expected = match arguments[..] {
            ["topic", "list", "-v"] => "Reading",
            ["topic", "info", ..] => "Reading",
            ["topic", "echo", "--once", ..] => "/dew_point  Reading  #",
            ["topic", "echo", "--csv", ..] => "20.5",
            ["topic", "hz", ..] => "/temperature",
            ["topic", "delay", ..] | ["node", "info", ..] => "/dew_point",
            ["topic", "pub", ..] => "no subscribers",
            ["graph"] => "processor",
            ["doctor"] => "daemon",
            _ => panic!("an unknown command: {arguments:?}"),
        };
        let output = ended.text() + &ended.stderr;
        assert!(output.contains(expected), "{arguments:?}: {ended:?}");
        // A fault of this machine is no fault of `doctor`.
        let is_found = arguments == ["doctor"] && ended.code == Some(1);
        assert!(ended.code == Some(0) || is_found, "{ended:?}");
    }
}
