//! One scripted conversation with both engines and, where it is installed, redis-server: the same bytes from all.
//!
//! The script is `oracle.txt`: one request a line, as `support::client::words` reads it; `#` begins a comment.

use crate::support::client::{encode, words};
use crate::support::{Peer, Value};

const SCRIPT: &str = include_str!("oracle.txt");

/// Commands whose replies are compared without their order. (Of SPOP and SRANDMEMBER those that return all members.)
const UNORDERED: &[&str] = &["SMEMBERS", "KEYS", "SINTER", "SUNION", "SDIFF", "SPOP", "SRANDMEMBER"];

/// The requests with their replies; in replies that have no order it is taken out.
fn conversation(peer: Peer, options: &[&str]) -> Vec<(&'static str, Vec<u8>)> {
    let server = peer.start_with(options);
    let mut client = server.client();
    let lines = SCRIPT.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let talk = |line: &'static str| {
        client.send(encode(&words(line)));
        let mut reply = client.read_raw();
        let command = line.split(' ').next().expect("never empty").to_ascii_uppercase();
        if UNORDERED.contains(&command.as_str())
            && let Some((Value::Array(mut items), _)) = Value::parse(&reply)
        {
            items.sort();
            reply = format!("{items:?}").into_bytes();
        }
        if command == "HELLO" {
            // It names the server, its version and the connection.
            reply.clear();
        }
        (line, reply)
    };
    lines.map(talk).collect()
}

fn compare(expected: &[(&str, Vec<u8>)], found: &[(&str, Vec<u8>)], who: &str) {
    assert_eq!(expected.len(), found.len());
    let differences: Vec<String> = expected
        .iter()
        .zip(found)
        .filter(|(expected, found)| expected != found)
        .map(|((request, expected), (_, found))| {
            format!("{request}\n  expected {}\n  found    {}", expected.escape_ascii(), found.escape_ascii())
        })
        .collect();
    assert!(differences.is_empty(), "{who} differs:\n{}", differences.join("\n"));
}

#[test]
fn both_engines_say_the_same() {
    compare(&conversation(Peer::Sharded, &[]), &conversation(Peer::Channel, &[]), "channel");
}

/// Nearly every command that can be is worked off on copies of its keys.
#[test]
fn copies_say_the_same() {
    let expected = conversation(Peer::Sharded, &[]);
    for peer in Peer::ENGINES {
        compare(&expected, &conversation(peer, &["--long-command-elements", "1"]), "copies");
    }
}

#[test]
fn redis_says_the_same() {
    if Peer::has_redis() {
        compare(&conversation(Peer::Redis, &[]), &conversation(Peer::Sharded, &[]), "sharded");
    }
}
