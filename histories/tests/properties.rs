//! Random histories that a sequential object really gave are accepted, and with a lie in them refused.

use fastrand::Rng;
use histories::history::{Entry, OPEN};
use histories::kinds::{Dice, Kind};
use histories::linear::{self, Verdict};
use histories::model::{Command, Exec, ListOp, Model, Op, Space};
use histories::reply::Reply;
use histories::{append, bank};
use proptest::prelude::*;

/// How many moments an operation begins before it happens, and ends after it, at most.
const SLACK: u64 = 60;

/// What `clients` saw of one object. Each operation happens at its own moment, and its call and end are somewhere around it.
///
/// * `deaths`: one operation of so many is not answered; it has happened or not, and the client connects anew.
fn history(kind: Kind, seed: u64, clients: u32, len: usize, deaths: u32) -> Vec<Entry<Op>> {
    let mut rng = Rng::with_seed(seed);
    let mut dice: Vec<Dice> = (0..clients).map(|client| Dice::new(rng.fork(), client, true)).collect();
    let mut space = Space::default();
    let mut sessions: Vec<u32> = (0..clients).collect();
    let mut spans: Vec<(u64, u64)> = vec![(0, 0); clients as usize];
    let mut entries = Vec::new();
    let mut last = 0;
    for at in 0..len {
        let moment = (at as u64 + 1) * 10;
        let client = rng.usize(..spans.len());
        let (op, _) = dice[client].draw(kind);
        // A connection's requests are called, and answered, in their order.
        let call = spans[client].0.max(moment.saturating_sub(rng.u64(..SLACK)));
        let end = spans[client].1.max(moment + rng.u64(..SLACK));
        let session = sessions[client];
        if rng.u32(..deaths) == 0 {
            if rng.bool() {
                space.apply(&op);
            }
            entries.push(Entry { session, op, call, end: OPEN, reply: None });
            last += 1;
            sessions[client] = clients + last;
            // Whoever connects again does so after that.
            spans[client] = (moment + 1, moment + 1);
            continue;
        }
        spans[client] = (call, end);
        let mut outcomes = space.outcomes(&op);
        let (next, reply) = outcomes.swap_remove(rng.usize(..outcomes.len()));
        space = next;
        entries.push(Entry { session, op, call, end, reply: Some(reply) });
    }
    entries
}

fn refs(entries: &[Entry<Op>]) -> Vec<&Entry<Op>> {
    entries.iter().collect()
}

/// All kinds whose operations are of one object.
fn kinds() -> impl Strategy<Value = Kind> {
    let whole: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Append).collect();
    proptest::sample::select(whole)
}

/// As the checker, without anything that makes it fast: every order of all operations, with and without the open ones.
fn has_order(left: &[&Entry<Op>], space: &Space) -> bool {
    let Some(limit) = left.iter().filter(|entry| !entry.is_open()).map(|entry| entry.end).min() else { return true };
    (0..left.len()).any(|at| {
        let entry = left[at];
        let is_first = !left[..at].iter().any(|other| other.session == entry.session);
        if entry.call > limit || !is_first {
            return false;
        }
        let mut rest = left.to_vec();
        rest.remove(at);
        let mut outcomes = space.outcomes(&entry.op).into_iter();
        outcomes.any(|(next, reply)| entry.reply.as_ref().is_none_or(|seen| *seen == reply) && has_order(&rest, &next))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn what_an_object_really_answered_is_accepted(
        kind in kinds(), seed: u64, clients in 1..9_u32, len in 1..400_usize,
    ) {
        let entries = history(kind, seed, clients, len, 60);
        let verdict = linear::check::<Space>(&refs(&entries));
        prop_assert!(verdict.is_linearizable(), "{verdict:?}");
    }

    #[test]
    fn an_answer_that_cannot_be_is_refused(kind in kinds(), seed: u64, clients in 1..9_u32, len in 1..60_usize, at: usize) {
        let mut entries = history(kind, seed, clients, len, 60);
        let at = at % entries.len();
        let lie = &mut entries[at];
        // No operation's answer is this.
        lie.reply = Some(Reply::Int(-123_456));
        lie.end = lie.end.min(lie.call + SLACK);
        let verdict = linear::check::<Space>(&refs(&entries));
        prop_assert!(matches!(verdict, Verdict::Refused), "{verdict:?}");
    }

    #[test]
    fn the_search_finds_what_trying_everything_finds(
        kind in kinds(), seed: u64, clients in 1..5_u32, len in 2..9_usize, swaps in 0..3_usize,
    ) {
        let mut entries = history(kind, seed, clients, len, 8);
        let mut rng = Rng::with_seed(seed ^ 1);
        // Answers of others are lies that may be true.
        for _ in 0..swaps {
            let (to, from) = (rng.usize(..entries.len()), rng.usize(..entries.len()));
            if !entries[to].is_open() && let Some(reply) = entries[from].reply.clone() {
                entries[to].reply = Some(reply);
            }
        }
        let expected = has_order(&refs(&entries), &Space::default());
        let verdict = linear::check::<Space>(&refs(&entries));
        prop_assert_eq!(verdict.is_linearizable(), expected, "{:?}", verdict);
    }

    #[test]
    fn transactions_that_really_happened_have_no_anomaly(seed: u64, clients in 1..9_u32, len in 1..400_usize) {
        let entries = history(Kind::Append, seed, clients, len, 60);
        let found = append::check(&refs(&entries));
        prop_assert!(found.is_empty(), "{found:#?}");
    }

    #[test]
    fn a_read_without_its_last_element_is_found(seed: u64, clients in 2..9_u32, len in 40..200_usize) {
        let mut entries = history(Kind::Append, seed, clients, len, 60);
        let is_answered = |value: &Reply, call: u64| {
            entries.iter().any(|entry| entry.end < call && appends(&entry.op, value))
        };
        // An element whose append had ended before the read began.
        let stale = entries.iter().rposition(|entry| {
            let Op::Multi(ops, Exec::Exec) = &entry.op else { return false };
            let Some(Reply::Array(replies)) = &entry.reply else { return false };
            let last = replies[0].items().and_then(<[Reply]>::last);
            ops.len() == 1 && last.is_some_and(|value| is_answered(value, entry.call))
        });
        prop_assume!(stale.is_some());
        if let Some(Reply::Array(replies)) = stale.and_then(|at| entries[at].reply.as_mut())
            && let Reply::Array(items) = &mut replies[0]
        {
            items.pop();
        }
        prop_assert!(!append::check(&refs(&entries)).is_empty());
    }

    #[test]
    fn transfers_that_really_happened_keep_the_total(seed: u64, clients in 1..9_u32, len in 1..400_usize) {
        let found = bank::check(&refs(&history(Kind::Bank, seed, clients, len, 60)));
        prop_assert!(found.is_empty(), "{found:#?}");
    }
}

fn appends(op: &Op, value: &Reply) -> bool {
    match op {
        Op::Multi(ops, Exec::Exec) => ops.iter().any(|op| appends(op, value)),
        Op::One(_, Command::List(ListOp::Push(_, values))) => {
            values.iter().any(|&pushed| Reply::Number(pushed.into()) == *value)
        }
        _ => false,
    }
}
