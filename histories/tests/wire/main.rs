//! Real clients, the recorder and the checkers against a server that does something wrong, and against one that does not.

mod faulty;

use faulty::{Fault, Faulty};
use histories::check::check;
use histories::kinds::Kind;
use histories::record::{Plan, record};

/// Rounds until a fault has to be found; nearly always it is in the first.
const ROUNDS: u64 = 10;

const SEED: u64 = 0x6b69_6261;

/// The names of what is found in rounds of these kinds, and what the first finding says.
fn findings(fault: Fault, kinds: &[Kind]) -> (Vec<String>, String) {
    let server = Faulty::start(fault);
    for seed in SEED..SEED + ROUNDS {
        let plan = Plan {
            address: server.address,
            seed,
            clients: 8,
            operations: 6_000,
            kinds: kinds.into(),
            is_deadly: fault == Fault::None,
        };
        let objects = record(&plan).expect("the server answers");
        let (work, findings) = check(&objects);
        assert!(work.operations >= 6_000, "{work:?}");
        if let Some(first) = findings.first() {
            return (findings.iter().map(|finding| finding.name.clone()).collect(), first.text.clone());
        }
    }
    (Vec::new(), String::new())
}

/// What is found begins with one of these: which cycle it is, and whether it takes the clock, is up to the dice.
#[track_caller]
fn is_caught(fault: Fault, kind: Kind, names: &[&str]) {
    let (found, text) = findings(fault, &[kind]);
    let expected = |name: &String| names.iter().any(|wanted| name.starts_with(wanted));
    assert!(found.iter().any(expected), "{fault:?} was not found: {found:?}");
    assert!(!text.is_empty());
}

#[test]
fn a_server_that_does_nothing_wrong_passes() {
    let (found, text) = findings(Fault::None, &[Kind::Text, Kind::Texts, Kind::Append, Kind::Bank]);
    assert_eq!(found, Vec::<String>::new(), "{text}");
}

#[test]
fn stale_reads_are_caught() {
    is_caught(Fault::StaleRead, Kind::Text, &["not linearizable"]);
    is_caught(Fault::StaleRead, Kind::Append, &["G-single", "G2", "internal"]);
}

#[test]
fn lost_updates_are_caught() {
    is_caught(Fault::LostUpdate, Kind::Text, &["not linearizable"]);
    is_caught(Fault::LostUpdate, Kind::Append, &["wrong length", "G", "internal"]);
    is_caught(Fault::LostUpdate, Kind::Bank, &["bank"]);
}

#[test]
fn torn_msets_are_caught() {
    is_caught(Fault::TornMset, Kind::Texts, &["not linearizable"]);
}

#[test]
fn early_acknowledgements_are_caught() {
    is_caught(Fault::EarlyReply, Kind::Text, &["not linearizable"]);
}

#[test]
fn transactions_that_others_run_into_are_caught() {
    is_caught(Fault::TornExec, Kind::Append, &["G", "internal"]);
    is_caught(Fault::TornExec, Kind::Bank, &["bank"]);
}

#[test]
fn watch_without_effect_is_caught() {
    is_caught(Fault::BlindExec, Kind::Append, &["G-single", "G2"]);
    is_caught(Fault::BlindExec, Kind::Bank, &["bank"]);
    is_caught(Fault::BlindExec, Kind::Text, &["not linearizable"]);
}
