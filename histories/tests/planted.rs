//! Histories in which something is wrong are refused, and such that only look so are not.

use histories::history::{Entry, OPEN};
use histories::linear::{self, Verdict};
use histories::model::{Command, End, Exec, ListOp, Op, SetOp, Space, Store, TextOp};
use histories::reply::{OK, Reply};
use histories::{append, bank};
use smallvec::smallvec;

const A: u8 = 0;
const B: u8 = 1;

/// An operation of a connection, from and to these moments.
fn done(session: u32, call: u64, end: u64, op: Op, reply: Reply) -> Entry<Op> {
    Entry { session, op, call, end, reply: Some(reply) }
}

fn open(session: u32, call: u64, op: Op) -> Entry<Op> {
    Entry { session, op, call, end: OPEN, reply: None }
}

fn verdict(entries: &[Entry<Op>]) -> Verdict {
    linear::check::<Space>(&entries.iter().collect::<Vec<_>>())
}

#[track_caller]
fn accepted(entries: &[Entry<Op>]) {
    let verdict = verdict(entries);
    assert!(verdict.is_linearizable(), "{verdict:?}");
}

/// Returns what is said about it.
#[track_caller]
fn refused(entries: &[Entry<Op>]) -> String {
    match verdict(entries) {
        Verdict::Refused => linear::explain::<Space>(&entries.iter().collect::<Vec<_>>()),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn anomalies(entries: &[Entry<Op>], expected: &[&str]) {
    let found = append::check(&entries.iter().collect::<Vec<_>>());
    let mut names: Vec<&str> = found.iter().map(|anomaly| anomaly.name.as_str()).collect();
    names.dedup();
    assert_eq!(names, expected, "{found:#?}");
}

fn text(key: u8, op: TextOp) -> Op {
    Op::One(key, Command::Text(op))
}

fn get(key: u8) -> Op {
    text(key, TextOp::Get)
}

fn set(key: u8, value: u32) -> Op {
    text(key, TextOp::Set(value))
}

fn incr(key: u8) -> Op {
    text(key, TextOp::Incr(1))
}

fn push(key: u8, value: u32) -> Op {
    Op::One(key, Command::List(ListOp::Push(End::Back, smallvec![value])))
}

fn range(key: u8) -> Op {
    Op::One(key, Command::List(ListOp::Range))
}

fn number(number: i64) -> Reply {
    Reply::Number(number)
}

fn list<const N: usize>(items: [i64; N]) -> Reply {
    Reply::numbers(items)
}

/// A transaction and its answers.
fn multi<const N: usize>(deeds: [(Op, Reply); N]) -> (Op, Reply) {
    let (ops, replies): (Vec<Op>, Vec<Reply>) = deeds.into_iter().unzip();
    (Op::Multi(ops, Exec::Exec), Reply::Array(replies))
}

/// A transaction of its own connection.
fn transaction<const N: usize>(session: u32, call: u64, end: u64, deeds: [(Op, Reply); N]) -> Entry<Op> {
    let (op, reply) = multi(deeds);
    done(session, call, end, op, reply)
}

#[test]
fn a_stale_read_is_refused() {
    let text = refused(&[
        done(1, 0, 1, set(A, 1), OK),
        done(1, 2, 3, set(A, 2), OK),
        done(2, 2, 3, get(A), number(1)),
        done(2, 4, 5, get(A), number(1)),
    ]);
    // The read that may be old is not part of the story.
    assert_eq!(text.matches("GET a -> 1").count(), 2, "once in the list, once as what cannot follow:\n{text}");
    assert!(text.contains("(would be 2)"), "{text}");
}

#[test]
fn an_old_value_during_a_write_is_accepted() {
    accepted(&[done(1, 0, 1, set(A, 1), OK), done(1, 2, 9, set(A, 2), OK), done(2, 4, 5, get(A), number(1))]);
}

#[test]
fn a_new_value_before_an_old_one_is_refused() {
    refused(&[
        done(1, 0, 1, set(A, 1), OK),
        done(1, 2, 9, set(A, 2), OK),
        done(2, 3, 4, get(A), number(2)),
        done(3, 5, 6, get(A), number(1)),
    ]);
}

#[test]
fn a_lost_update_is_refused() {
    refused(&[done(1, 0, 9, incr(A), Reply::Int(1)), done(2, 0, 9, incr(A), Reply::Int(1))]);
    refused(&[
        done(1, 0, 1, incr(A), Reply::Int(1)),
        done(1, 2, 9, incr(A), Reply::Int(2)),
        done(2, 10, 11, get(A), number(1)),
    ]);
    accepted(&[done(1, 0, 9, incr(A), Reply::Int(2)), done(2, 0, 9, incr(A), Reply::Int(1))]);
}

#[test]
fn a_torn_mset_is_refused() {
    let old = done(1, 0, 1, Op::MSet(vec![(A, 1), (B, 1)]), OK);
    let new = done(1, 2, 9, Op::MSet(vec![(A, 2), (B, 2)]), OK);
    let read = |values| done(2, 3, 4, Op::MGet(vec![A, B]), list(values));
    refused(&[old.clone(), new.clone(), read([2, 1])]);
    accepted(&[old.clone(), new.clone(), read([2, 2])]);
    // Two reads of one key each tell the same.
    refused(&[old, new, done(2, 3, 4, get(A), number(2)), done(3, 5, 6, get(B), number(1))]);
}

#[test]
fn an_early_acknowledgement_is_refused() {
    refused(&[done(1, 0, 1, set(A, 1), OK), done(2, 2, 3, get(A), Reply::Nil), done(2, 4, 5, get(A), number(1))]);
}

#[test]
fn a_pipeline_out_of_order_is_refused() {
    refused(&[done(1, 0, 9, set(A, 1), OK), done(1, 0, 9, get(A), Reply::Nil)]);
    accepted(&[done(1, 0, 9, set(A, 1), OK), done(2, 0, 9, get(A), Reply::Nil)]);
}

#[test]
fn an_open_write_may_happen_late_or_never() {
    let write = open(1, 0, set(A, 1));
    accepted(&[write.clone(), done(2, 2, 3, get(A), Reply::Nil)]);
    accepted(&[write.clone(), done(2, 2, 3, get(A), Reply::Nil), done(2, 50, 51, get(A), number(1))]);
    refused(&[write.clone(), done(2, 2, 3, get(A), number(1)), done(2, 50, 51, get(A), Reply::Nil)]);
    refused(&[open(1, 10, set(A, 1)), done(2, 2, 3, get(A), number(1))]);
}

#[test]
fn an_open_write_happens_once_at_most() {
    let open_incr = open(1, 0, incr(A));
    accepted(&[open_incr.clone(), done(2, 2, 3, get(A), number(1))]);
    refused(&[open_incr, done(2, 2, 3, get(A), number(2))]);
}

#[test]
fn open_writes_of_a_connection_happen_in_its_order() {
    let both = [open(1, 0, set(A, 1)), open(1, 0, set(B, 1))];
    let read = |values: [Reply; 2]| done(2, 2, 3, Op::MGet(vec![A, B]), Reply::Array(values.into()));
    accepted(&[&both[..], &[read([number(1), Reply::Nil])]].concat());
    accepted(&[&both[..], &[read([number(1), number(1)])]].concat());
    refused(&[&both[..], &[read([Reply::Nil, number(1)])]].concat());
}

#[test]
fn an_open_spop_takes_any_member_and_only_one() {
    let add = |member| Op::One(A, Command::Set(SetOp::Add(member)));
    let members = |members: &[i64]| Reply::numbers(members.iter().copied());
    let read = |left: &[i64]| done(3, 8, 9, Op::One(A, Command::Set(SetOp::Members)), members(left));
    let before = [
        done(1, 0, 1, add(1), Reply::Int(1)),
        done(1, 2, 3, add(2), Reply::Int(1)),
        open(2, 4, Op::One(A, Command::Set(SetOp::Pop))),
    ];
    for left in [&[1][..], &[2], &[1, 2]] {
        accepted(&[&before[..], &[read(left)]].concat());
    }
    refused(&[&before[..], &[read(&[])]].concat());
}

#[test]
fn half_of_a_transaction_is_refused() {
    let (op, reply) = multi([(set(A, 1), OK), (set(B, 1), OK)]);
    let halves = |first, second| {
        let write = done(1, 0, 9, op.clone(), reply.clone());
        [write, done(2, 1, 2, get(A), first), done(2, 3, 4, get(B), second)]
    };
    refused(&halves(number(1), Reply::Nil));
    accepted(&halves(Reply::Nil, number(1)));
}

#[test]
fn what_was_discarded_and_is_seen_is_refused() {
    for (exec, reply) in [(Exec::Discard, OK), (Exec::Refused, Reply::error("EXECABORT"))] {
        let write = done(1, 0, 1, Op::Multi(vec![set(A, 1)], exec), reply);
        refused(&[write.clone(), done(2, 0, 1, get(A), number(1))]);
        accepted(&[write, done(2, 0, 1, get(A), Reply::Nil)]);
    }
}

#[test]
fn exec_after_a_watched_key_has_changed_is_refused() {
    let guarded = |reply| done(1, 4, 5, Op::Guarded(vec![(get(A), Reply::Nil)], vec![set(A, 2)]), reply);
    let other = done(2, 2, 3, set(A, 1), OK);
    refused(&[other.clone(), guarded(Reply::Array(vec![OK]))]);
    accepted(&[other, guarded(Reply::Nil)]);
    // Nothing that can be seen has changed, and EXEC may say no nevertheless.
    accepted(&[guarded(Reply::Nil)]);
    accepted(&[guarded(Reply::Array(vec![OK]))]);
}

#[test]
fn what_moves_is_at_one_place_at_a_time() {
    let start = done(1, 0, 1, push(A, 1), Reply::Int(1));
    let moved = done(1, 2, 9, Op::Move(A, B, End::Front, End::Back), number(1));
    let (op, reply) = multi([(range(A), list([1])), (range(B), list([1]))]);
    refused(&[start.clone(), moved.clone(), done(2, 3, 4, op.clone(), reply)]);
    let nowhere = Reply::Array(vec![list([]), list([])]);
    refused(&[start.clone(), moved.clone(), done(2, 3, 4, op.clone(), nowhere)]);
    let there = Reply::Array(vec![list([]), list([1])]);
    accepted(&[start.clone(), moved, done(2, 3, 4, op, there)]);

    let renamed = done(1, 2, 9, Op::Rename(A, B), OK);
    let exists = |key| Op::One(key, Command::Exists);
    let both = multi([(exists(A), Reply::Int(1)), (exists(B), Reply::Int(1))]);
    refused(&[start, renamed, done(2, 3, 4, both.0, both.1)]);
}

#[test]
fn an_element_that_two_clients_pop_is_refused() {
    let start = done(1, 0, 1, push(A, 1), Reply::Int(1));
    let pop = |session, reply| done(session, 2, 9, Op::One(A, Command::List(ListOp::Pop(End::Front))), reply);
    refused(&[start.clone(), pop(1, number(1)), pop(2, number(1))]);
    accepted(&[start, pop(1, number(1)), pop(2, Reply::Nil)]);
}

#[test]
fn an_intersection_of_two_moments_is_refused() {
    let add =
        |key, call, member| done(1, call, call + 1, Op::One(key, Command::Set(SetOp::Add(member))), Reply::Int(1));
    // 1 leaves one set before it comes to the other.
    let moves = done(1, 4, 9, Op::SMove(A, B, 1), Reply::Int(1));
    let store = |len| done(2, 5, 6, Op::Store(Store::Inter, 2, [A, B]), Reply::Int(len));
    refused(&[add(A, 0, 1), add(B, 2, 2), moves.clone(), store(1)]);
    accepted(&[add(A, 0, 1), add(B, 2, 2), moves, store(0)]);
}

#[test]
fn eight_clients_on_one_hot_key_are_quickly_judged() {
    let mut entries = Vec::new();
    for turn in 0..200 {
        for client in 0..8 {
            let value = Reply::Int(i64::from(turn * 8 + client + 1));
            // Each overlaps with all others of its turn, and of the next one.
            let call = u64::from(turn) * 10;
            entries.push(done(client, call, call + 15, incr(A), value));
        }
    }
    match verdict(&entries) {
        Verdict::Linearizable(configurations) => assert!(configurations < 100_000, "{configurations}"),
        other => panic!("{other:?}"),
    }
    // The last is the one before again.
    entries.last_mut().expect("there are some").reply = Some(Reply::Int(1599));
    let text = refused(&entries);
    assert!(text.contains(":1599"), "{text}");
    assert!(text.lines().count() < 120, "{text}");
}

#[test]
fn transactions_in_an_order_have_no_anomaly() {
    anomalies(
        &[
            transaction(1, 0, 9, [(push(A, 1), Reply::Int(1)), (push(B, 1), Reply::Int(1))]),
            transaction(2, 5, 15, [(range(A), list([1])), (push(B, 2), Reply::Int(2)), (range(B), list([1, 2]))]),
            transaction(3, 1, 20, [(range(A), list([])), (range(B), list([]))]),
            transaction(4, 30, 31, [(range(A), list([1])), (range(B), list([1, 2]))]),
        ],
        &[],
    );
}

#[test]
fn open_transactions_may_have_happened_or_not() {
    let unknown = open(1, 0, Op::Multi(vec![push(A, 1), push(B, 1)], Exec::Exec));
    anomalies(&[unknown.clone(), transaction(2, 5, 6, [(range(A), list([1])), (range(B), list([1]))])], &[]);
    anomalies(&[unknown.clone(), transaction(2, 5, 6, [(range(A), list([])), (range(B), list([]))])], &[]);
    anomalies(&[unknown, transaction(2, 5, 6, [(range(A), list([1])), (range(B), list([]))])], &["G-single"]);
}

#[test]
fn g0_is_found() {
    let reads = [(range(A), list([1, 2])), (range(B), list([2, 1]))];
    anomalies(
        &[
            transaction(1, 0, 9, [(push(A, 1), Reply::Int(1)), (push(B, 1), Reply::Int(2))]),
            transaction(2, 0, 9, [(push(A, 2), Reply::Int(2)), (push(B, 2), Reply::Int(1))]),
            transaction(3, 0, 9, reads),
        ],
        &["G0"],
    );
}

#[test]
fn g1a_is_found() {
    anomalies(
        &[done(1, 0, 1, Op::Multi(vec![push(A, 1)], Exec::Discard), OK), transaction(2, 2, 3, [(range(A), list([1]))])],
        &["G1a"],
    );
    let guarded = Op::Guarded(vec![(range(A), list([]))], vec![push(A, 1)]);
    anomalies(&[done(1, 0, 1, guarded, Reply::Nil), transaction(2, 2, 3, [(range(A), list([1]))])], &["G1a"]);
}

#[test]
fn g1b_is_found() {
    anomalies(
        &[
            transaction(1, 0, 9, [(push(A, 1), Reply::Int(1)), (push(A, 2), Reply::Int(2))]),
            transaction(2, 0, 9, [(range(A), list([1]))]),
            transaction(3, 10, 11, [(range(A), list([1, 2]))]),
        ],
        &["G1b"],
    );
}

#[test]
fn g1c_is_found() {
    anomalies(
        &[
            transaction(1, 0, 9, [(push(A, 1), Reply::Int(1)), (range(B), list([2]))]),
            transaction(2, 0, 9, [(push(B, 2), Reply::Int(1)), (range(A), list([1]))]),
        ],
        &["G1c"],
    );
}

#[test]
fn g_single_is_found() {
    anomalies(
        &[
            transaction(1, 0, 9, [(push(A, 1), Reply::Int(1)), (push(B, 1), Reply::Int(1))]),
            transaction(2, 0, 9, [(range(A), list([])), (range(B), list([1]))]),
            transaction(3, 10, 11, [(range(A), list([1])), (range(B), list([1]))]),
        ],
        &["G-single"],
    );
}

#[test]
fn g2_is_found() {
    anomalies(
        &[
            transaction(1, 0, 9, [(range(A), list([])), (push(B, 1), Reply::Int(1))]),
            transaction(2, 0, 9, [(range(B), list([])), (push(A, 2), Reply::Int(1))]),
            transaction(3, 10, 11, [(range(A), list([2])), (range(B), list([1]))]),
        ],
        &["G2"],
    );
}

#[test]
fn a_transaction_that_reads_the_past_is_found_by_the_clock() {
    let write = transaction(1, 0, 1, [(push(A, 1), Reply::Int(1))]);
    let last = transaction(3, 6, 7, [(range(A), list([1]))]);
    anomalies(&[write.clone(), transaction(2, 2, 3, [(range(A), list([]))]), last.clone()], &["G-single-realtime"]);
    anomalies(&[write, transaction(2, 0, 3, [(range(A), list([]))]), last], &[]);
}

#[test]
fn transactions_of_a_connection_out_of_order_are_found() {
    // They were sent at once, so the clock says nothing.
    anomalies(
        &[
            transaction(1, 0, 9, [(push(A, 1), Reply::Int(1))]),
            transaction(1, 0, 9, [(range(A), list([]))]),
            transaction(2, 0, 9, [(range(A), list([1]))]),
        ],
        &["G-single-realtime"],
    );
}

#[test]
fn an_append_that_was_answered_and_lost_is_found() {
    anomalies(
        &[
            transaction(1, 0, 1, [(push(A, 1), Reply::Int(1))]),
            transaction(1, 2, 3, [(push(A, 2), Reply::Int(2))]),
            transaction(2, 9, 10, [(range(A), list([1]))]),
        ],
        &["G-single-realtime"],
    );
}

#[test]
fn lists_that_contradict_each_other_are_found() {
    let one = transaction(1, 0, 9, [(push(A, 1), Reply::Int(1))]);
    let two = transaction(2, 0, 9, [(push(A, 2), Reply::Int(2))]);
    let read = |session, reply| transaction(session, 0, 9, [(range(A), reply)]);
    anomalies(&[one.clone(), two.clone(), read(3, list([1, 2])), read(4, list([2]))], &["incompatible order"]);
    anomalies(&[one.clone(), read(3, list([1, 1]))], &["duplicate"]);
    anomalies(&[one.clone(), read(3, list([1, 5]))], &["garbage"]);
    anomalies(&[one, two, read(3, list([2, 1]))], &["wrong length"]);
    anomalies(&[transaction(1, 0, 9, [(push(A, 1), Reply::Int(1)), (range(A), list([]))])], &["internal"]);
}

#[test]
fn a_total_that_is_not_zero_is_found() {
    let read = |replies: [Reply; 4]| done(1, 0, 1, Op::MGet(vec![0, 1, 2, 3]), Reply::Array(replies.into()));
    let good = read([number(-5), Reply::Nil, number(5), Reply::Nil]);
    let bad = read([number(-5), Reply::Nil, number(4), Reply::Nil]);
    assert_eq!(bank::check(&[&good]), Vec::<String>::new());
    assert_eq!(bank::check(&[&good, &bad]).len(), 1);
}
