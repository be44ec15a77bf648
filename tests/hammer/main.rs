//! Nothing is lost, and nothing comes twice.
//!
//! A hundred connections push, wait, publish, subscribe, count and keep copies at once, and are killed at random all the
//! time. Everything has a number, and in the end everything is accounted for, to the last element: see `account`.
//!
//! `KIBA_HAMMER_SECONDS` says how long each engine is hammered, `KIBA_HAMMER_SEED` with which dice. The threads' order is
//! the machine's, so a seed repeats who does what and not when.

#[path = "../support/mod.rs"]
mod support;

mod account;
mod caches;
mod faults;
mod link;
mod pools;
mod pubsub;
mod record;
mod stage;
mod streams;
mod trouble;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use account::{Finding, Kind};
use record::Log;
use support::{Peer, Server, each_engine};

/// The traffic of one round. Then everybody goes home, and everything is added up.
const ROUND: Duration = Duration::from_secs(3);

/// What is kept for the sake of speed when nobody is there any more, at most; and what a round may leave behind.
const MEMORY: u64 = 4 << 20;

fn number_from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

fn start(peer: Peer) -> Server {
    peer.start_with(&["--notify-keyspace-events", "KEA", "--client-output-buffer-limit", "pubsub 0 0 0"])
}

/// Hammers a server for so long, or until something is wrong. Prints what it has done.
fn hammer(address: SocketAddr, seed: u64, time: Duration) -> Vec<Finding> {
    let since = Instant::now();
    let mut memory = Vec::new();
    for number in 0.. {
        let left = time.saturating_sub(since.elapsed());
        if left < ROUND / 3 {
            break;
        }
        let (mut findings, logs) = stage::round(address, seed.wrapping_add(number), ROUND.min(left));
        eprintln!("round {number}: {}", summary(&logs));
        memory.push(support::Client::connect(address).info("used_memory"));
        let (first, last) = (memory[0], memory[memory.len() - 1]);
        if last > first + MEMORY {
            findings.push(Finding::new(Kind::LeftBehind, format!("{last} bytes of memory, {first} after one round")));
        }
        if !findings.is_empty() {
            return findings;
        }
    }
    eprintln!("memory in use after each round: {memory:?}");
    Vec::new()
}

fn summary(logs: &[Log]) -> String {
    let sum = |count: fn(&Log) -> usize| logs.iter().map(count).sum::<usize>();
    format!(
        "{} elements pushed, {} taken, {} perhaps; {} entries, {} read, {} new to the group, {} taken over; {} messages, \
         {} heard by {} subscriptions; {} increments, {} invalidations, {} copies; {} lives, {} unblocked",
        sum(|log| log.pushed.len()),
        sum(|log| log.taken.len()),
        sum(|log| log.vanished_pops as usize),
        sum(|log| log.added.len()),
        sum(|log| log.readings.iter().map(|it| it.entries.len()).sum()),
        sum(|log| log.fresh.len()),
        sum(|log| log.taken_over.len()),
        sum(|log| log.published.len()),
        sum(|log| log.subscriptions.iter().map(|it| it.got.len()).sum()),
        sum(|log| log.subscriptions.len()),
        sum(|log| log.increments.len()),
        sum(|log| log.invalidations as usize),
        sum(|log| log.copies.len()),
        sum(|log| log.deaths as usize),
        sum(|log| log.unblocked as usize),
    )
}

each_engine! {
    fn nothing_is_lost_and_nothing_comes_twice(peer) {
        let seconds = number_from_environment("KIBA_HAMMER_SECONDS").unwrap_or(8);
        let seed = number_from_environment("KIBA_HAMMER_SEED").unwrap_or_else(|| fastrand::u64(..));
        let server = start(peer);
        eprintln!("{peer:?}: seed {seed}");
        let findings = hammer(server.address, seed, Duration::from_secs(seconds));
        assert!(findings.is_empty(), "{peer:?}, seed {seed}: {}", account::report(&findings));
    }
}
