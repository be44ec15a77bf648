//! Transfers between accounts: however they are made, what all accounts have together stays the same.

use crate::history::Entry;
use crate::model::KEYS;
use crate::model::{Command, Exec, Op, TextOp};
use crate::reply::Reply;

/// Looks at every read of all accounts. They begin with nothing and may be overdrawn, so the total is zero.
///
/// Returns a text for each read that saw another total.
pub fn check(entries: &[&Entry<Op>]) -> Vec<String> {
    let wrong = |entry: &&&Entry<Op>| total(&entry.op, entry.reply.as_ref()).is_some_and(|total| total != Some(0));
    entries.iter().filter(wrong).map(|entry| format!("  the accounts do not add up to 0\n  {entry}\n")).collect()
}

/// What the accounts had together, if this read all of them; `Some(None)` if one of them was no number.
fn total(op: &Op, reply: Option<&Reply>) -> Option<Option<i64>> {
    let items = reply?.items()?;
    let is_get = |op: &Op| matches!(op, Op::One(_, Command::Text(TextOp::Get)));
    let reads_all = match op {
        Op::MGet(keys) => keys.len() == KEYS,
        Op::Multi(ops, Exec::Exec) => ops.len() == KEYS && ops.iter().all(is_get),
        _ => false,
    };
    let money = |item: &Reply| match item {
        Reply::Nil => Some(0),
        Reply::Number(number) => Some(*number),
        _ => None,
    };
    reads_all.then(|| items.iter().map(money).sum())
}
