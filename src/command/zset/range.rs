//! Ranges of sorted sets: ZRANGE and its relatives, ZRANGESTORE, ZCOUNT, ZLEXCOUNT and ZREMRANGEBY*.
//!
//! Every range becomes a range of ranks first: counting is subtracting, and an offset costs nothing.

use std::ops::{Bound, Range};

use super::super::typed::{edit, view};
use super::super::{Arity, Call, Effect, Effects, Event, Flags, Keys, Long, Run, Slots, Spec};
use super::{store, write_item, write_items_len};
use crate::error::Error;
use crate::reply::Reply;
use crate::store::zset::{self, Edit, Item, LexBound, View};
use crate::store::{Entry, Slot};

pub(in super::super) const SPECS: &[Spec] = &[
    Spec {
        name: "zrange",
        arity: Arity::at_least(4),
        keys: Keys::ONE,
        run: Run::Long(&Long::read(Run::Read(zrange), work_of_zrange)),
        flags: Flags::NONE,
        since: "1.2.0",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.",
        summary: "Returns members in a sorted set within a range of indexes.",
    },
    Spec {
        name: "zrevrange",
        arity: Arity::at_least(4),
        keys: Keys::ONE,
        run: Run::Long(&Long::read(Run::Read(zrevrange), work_of_zrevrange)),
        flags: Flags::NONE,
        since: "1.2.0",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.",
        summary: "Returns members in a sorted set within a range of indexes in reverse order.",
    },
    Spec {
        name: "zrangebyscore",
        arity: Arity::at_least(4),
        keys: Keys::ONE,
        run: Run::Long(&Long::read(Run::Read(zrangebyscore), work_of_zrangebyscore)),
        flags: Flags::NONE,
        since: "1.0.5",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.",
        summary: "Returns members in a sorted set within a range of scores.",
    },
    Spec {
        name: "zrevrangebyscore",
        arity: Arity::at_least(4),
        keys: Keys::ONE,
        run: Run::Long(&Long::read(Run::Read(zrevrangebyscore), work_of_zrevrangebyscore)),
        flags: Flags::NONE,
        since: "2.2.0",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.",
        summary: "Returns members in a sorted set within a range of scores in reverse order.",
    },
    Spec {
        name: "zrangebylex",
        arity: Arity::at_least(4),
        keys: Keys::ONE,
        run: Run::Long(&Long::read(Run::Read(zrangebylex), work_of_zrangebylex)),
        flags: Flags::NONE,
        since: "2.8.9",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.",
        summary: "Returns members in a sorted set within a lexicographical range.",
    },
    Spec {
        name: "zrevrangebylex",
        arity: Arity::at_least(4),
        keys: Keys::ONE,
        run: Run::Long(&Long::read(Run::Read(zrevrangebylex), work_of_zrevrangebylex)),
        flags: Flags::NONE,
        since: "2.8.9",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.",
        summary: "Returns members in a sorted set within a lexicographical range in reverse order.",
    },
    Spec {
        name: "zrangestore",
        arity: Arity::at_least(5),
        keys: Keys::TWO,
        run: Run::Long(&Long::store(Run::WriteMany(zrangestore), work_of_zrangestore, 0)),
        flags: Flags::DENYOOM,
        since: "6.2.0",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements stored into the destination key.",
        summary: "Stores a range of members from sorted set in a key.",
    },
    Spec {
        name: "zcount",
        arity: Arity::exactly(4),
        keys: Keys::ONE,
        run: Run::Read(zcount),
        flags: Flags::FAST,
        since: "2.0.0",
        complexity: "O(log(N)) with N being the number of elements in the sorted set.",
        summary: "Returns the count of members in a sorted set that have scores within a range.",
    },
    Spec {
        name: "zlexcount",
        arity: Arity::exactly(4),
        keys: Keys::ONE,
        run: Run::Read(zlexcount),
        flags: Flags::FAST,
        since: "2.8.9",
        complexity: "O(log(N)) with N being the number of elements in the sorted set.",
        summary: "Returns the number of members in a sorted set within a lexicographical range.",
    },
    Spec {
        name: "zremrangebyrank",
        arity: Arity::exactly(4),
        keys: Keys::ONE,
        run: Run::Write(zremrangebyrank),
        flags: Flags::NONE,
        since: "2.0.0",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.",
        summary: "Removes members in a sorted set within a range of indexes. Deletes the sorted set if all members were removed.",
    },
    Spec {
        name: "zremrangebyscore",
        arity: Arity::exactly(4),
        keys: Keys::ONE,
        run: Run::Write(zremrangebyscore),
        flags: Flags::NONE,
        since: "1.2.0",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.",
        summary: "Removes members in a sorted set within a range of scores. Deletes the sorted set if all members were removed.",
    },
    Spec {
        name: "zremrangebylex",
        arity: Arity::exactly(4),
        keys: Keys::ONE,
        run: Run::Write(zremrangebylex),
        flags: Flags::NONE,
        since: "2.8.9",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.",
        summary: "Removes members in a sorted set within a lexicographical range. Deletes the sorted set if all members were removed.",
    },
];

/// `ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]` -> members, perhaps with scores.
fn zrange(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    range(entry, Form::ANY, call, reply)
}

/// `ZREVRANGE key start stop [WITHSCORES]`
fn zrevrange(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    range(entry, Form::ZREVRANGE, call, reply)
}

/// `ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]`
fn zrangebyscore(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    range(entry, Form::ZRANGEBYSCORE, call, reply)
}

/// `ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]`
fn zrevrangebyscore(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    range(entry, Form::ZREVRANGEBYSCORE, call, reply)
}

/// `ZRANGEBYLEX key min max [LIMIT offset count]`
fn zrangebylex(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    range(entry, Form::ZRANGEBYLEX, call, reply)
}

/// `ZREVRANGEBYLEX key max min [LIMIT offset count]`
fn zrevrangebylex(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    range(entry, Form::ZREVRANGEBYLEX, call, reply)
}

fn range(entry: Option<&Entry>, form: Form, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let query = Query::parse(call, 2, form)?;
    let Some(zset) = view(entry, View::of)? else {
        reply.array(0);
        return Ok(());
    };
    let ranks = query.ranks(zset);
    write_items_len(ranks.len(), query.with_scores, reply);
    let write = |item: Item<'_>| write_item(item, query.with_scores, reply);
    let items = zset.range(ranks);
    if query.reverse {
        items.rev().for_each(write);
    } else {
        items.for_each(write);
    }
    Ok(())
}

/// `ZRANGESTORE dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]` -> how many were stored.
fn zrangestore(slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    let query = Query::parse(call, 3, Form::STORE)?;
    let source = view(slots.entries().nth(1).flatten(), View::of)?;
    let items: Vec<Item<'_>> = source.map_or_else(Vec::new, |zset| zset.range(query.ranks(zset)).collect());
    let built = zset::build(&items, &call.zset_limits());
    Ok(store(built, slots, 0, Event("zrangestore"), reply))
}

/// ZCOUNT key min max -> how many scores are in the range.
fn zcount(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    count(entry, Limits::scores(call, 2, 3)?, reply)
}

/// ZLEXCOUNT key min max -> how many members are in the range.
fn zlexcount(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    count(entry, Limits::members(call, 2, 3)?, reply)
}

fn count(entry: Option<&Entry>, limits: Limits<'_>, reply: &mut Reply) -> Result<(), Error> {
    reply.count(view(entry, View::of)?.map_or(0, |zset| limits.ranks(zset, false).len()));
    Ok(())
}

/// ZREMRANGEBYRANK key start stop -> how many were removed.
fn zremrangebyrank(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    remove(slot, Limits::ranks_of(call, 2, 3)?, Event("zremrangebyrank"), call, reply)
}

/// ZREMRANGEBYSCORE key min max -> how many were removed.
fn zremrangebyscore(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    remove(slot, Limits::scores(call, 2, 3)?, Event("zremrangebyscore"), call, reply)
}

/// ZREMRANGEBYLEX key min max -> how many were removed.
fn zremrangebylex(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    remove(slot, Limits::members(call, 2, 3)?, Event("zremrangebylex"), call, reply)
}

fn remove(
    slot: &mut Slot<'_>,
    limits: Limits<'_>,
    event: Event,
    call: &Call<'_>,
    reply: &mut Reply,
) -> Result<Effect, Error> {
    let encoding = call.zset_limits();
    let Some(mut zset) = edit(slot, &encoding, Edit::of)? else {
        reply.count(0);
        return Ok(Effect::None);
    };
    let ranks = limits.ranks(zset.view(), false);
    let removed = ranks.len();
    if removed == zset.len() {
        // Freeing everything at once needs no order, and not this thread when it is much.
        slot.remove();
    } else {
        zset.remove_range(ranks);
    }
    reply.count(removed);
    Ok(if removed > 0 { Effect::Changed(event) } else { Effect::None })
}

/// What a range of a sorted set goes through: the items in it.
fn work(source: Option<&Entry>, first: usize, form: Form, call: &Call<'_>) -> usize {
    let Some(zset) = source.and_then(View::of) else { return 0 };
    Query::parse(call, first, form).map_or(0, |query| query.ranks(zset).len())
}

fn work_of_zrange(entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    work(entries[0], 2, Form::ANY, call)
}

fn work_of_zrevrange(entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    work(entries[0], 2, Form::ZREVRANGE, call)
}

fn work_of_zrangebyscore(entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    work(entries[0], 2, Form::ZRANGEBYSCORE, call)
}

fn work_of_zrevrangebyscore(entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    work(entries[0], 2, Form::ZREVRANGEBYSCORE, call)
}

fn work_of_zrangebylex(entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    work(entries[0], 2, Form::ZRANGEBYLEX, call)
}

fn work_of_zrevrangebylex(entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    work(entries[0], 2, Form::ZREVRANGEBYLEX, call)
}

fn work_of_zrangestore(entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    work(entries[1], 3, Form::STORE, call)
}

/// By what a range is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Lex,
}

/// What of a query the command's name decides; the options decide the rest.
#[derive(Clone, Copy, Debug)]
struct Form {
    by: Option<By>,
    reverse: Option<bool>,
    is_store: bool,
}

impl Form {
    const ANY: Self = Self { by: None, reverse: None, is_store: false };
    const STORE: Self = Self { is_store: true, ..Self::ANY };
    const ZREVRANGE: Self = Self::of(By::Rank, true);
    const ZRANGEBYSCORE: Self = Self::of(By::Score, false);
    const ZREVRANGEBYSCORE: Self = Self::of(By::Score, true);
    const ZRANGEBYLEX: Self = Self::of(By::Lex, false);
    const ZREVRANGEBYLEX: Self = Self::of(By::Lex, true);

    const fn of(by: By, reverse: bool) -> Self {
        Self { by: Some(by), reverse: Some(reverse), is_store: false }
    }
}

/// A range with its options.
struct Query<'a> {
    limits: Limits<'a>,
    reverse: bool,
    with_scores: bool,
    offset: i64,
    /// Negative: all.
    count: i64,
}

/// The two ends of a range.
#[derive(Clone, Copy, Debug)]
enum Limits<'a> {
    /// Negative ones count from the end.
    Rank(i64, i64),
    Score(Bound<f64>, Bound<f64>),
    Lex(LexBound<'a>, LexBound<'a>),
}

impl<'a> Query<'a> {
    /// Reads the range in the arguments `first` and the next one, and the options behind them.
    fn parse(call: &Call<'a>, first: usize, form: Form) -> Result<Self, Error> {
        let (mut by, mut reverse, mut with_scores) = (form.by, form.reverse, false);
        let (mut offset, mut count) = (0, -1);
        let mut i = first + 2;
        while i < call.len() {
            if !form.is_store && call.is(i, "withscores") {
                with_scores = true;
            } else if call.is(i, "limit") && i + 2 < call.len() {
                offset = call.integer(i + 1)?;
                count = call.integer(i + 2)?;
                i += 2;
            } else if reverse.is_none() && call.is(i, "rev") {
                reverse = Some(true);
            } else if by.is_none() && call.is(i, "bylex") {
                by = Some(By::Lex);
            } else if by.is_none() && call.is(i, "byscore") {
                by = Some(By::Score);
            } else {
                return Err(Error::Syntax);
            }
            i += 1;
        }
        let (by, reverse) = (by.unwrap_or(By::Rank), reverse.unwrap_or(false));
        if count != -1 && by == By::Rank {
            const TEXT: &str = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX";
            return Err(Error::Other(TEXT));
        }
        if with_scores && by == By::Lex {
            return Err(Error::Other("ERR syntax error, WITHSCORES not supported in combination with BYLEX"));
        }
        let (min, max) = if reverse { (first + 1, first) } else { (first, first + 1) };
        let limits = match by {
            By::Rank => Limits::ranks_of(call, first, first + 1)?,
            By::Score => Limits::scores(call, min, max)?,
            By::Lex => Limits::members(call, min, max)?,
        };
        Ok(Self { limits, reverse, with_scores, offset, count })
    }

    /// The ranks of what is asked for, ascending.
    fn ranks(&self, zset: View<'_>) -> Range<usize> {
        let all = self.limits.ranks(zset, self.reverse);
        if matches!(self.limits, Limits::Rank(..)) {
            return all;
        }
        // Nothing is before a negative offset.
        let offset = usize::try_from(self.offset).unwrap_or(usize::MAX).min(all.len());
        let count = usize::try_from(self.count).unwrap_or(usize::MAX).min(all.len() - offset);
        if self.reverse {
            let end = all.end - offset;
            end - count..end
        } else {
            let start = all.start + offset;
            start..start + count
        }
    }
}

impl<'a> Limits<'a> {
    fn ranks_of(call: &Call<'a>, start: usize, stop: usize) -> Result<Self, Error> {
        Ok(Self::Rank(call.integer(start)?, call.integer(stop)?))
    }

    fn scores(call: &Call<'a>, min: usize, max: usize) -> Result<Self, Error> {
        let bounds = score_bound(call.arg(min)).zip(score_bound(call.arg(max)));
        bounds.map(|(min, max)| Self::Score(min, max)).ok_or(Error::Other("ERR min or max is not a float"))
    }

    fn members(call: &Call<'a>, min: usize, max: usize) -> Result<Self, Error> {
        let bounds = lex_bound(call.arg(min)).zip(lex_bound(call.arg(max)));
        let error = Error::Other("ERR min or max not valid string range item");
        bounds.map(|(min, max)| Self::Lex(min, max)).ok_or(error)
    }

    /// The ranks in the range, ascending. `reverse` counts ranks from the end.
    fn ranks(self, zset: View<'_>, reverse: bool) -> Range<usize> {
        match self {
            Self::Rank(start, stop) => {
                let len = zset.len();
                let (start, end) = (from_start(start, len), from_start(stop.saturating_add(1), len));
                // Behind the last one, not the first one.
                let end = if stop == -1 { len } else { end };
                let range = start.min(end)..end;
                if reverse { len - range.end..len - range.start } else { range }
            }
            Self::Score(min, max) => zset.score_ranks(min, max),
            Self::Lex(min, max) => zset.lex_ranks(min, max),
        }
    }
}

/// A rank that may count from the end, brought into `0..=len`.
fn from_start(rank: i64, len: usize) -> usize {
    let back = usize::try_from(rank.unsigned_abs()).unwrap_or(usize::MAX);
    if rank < 0 { len.saturating_sub(back) } else { back.min(len) }
}

/// `1.5`, `(1.5` without it, `-inf`. As C reads it: nothing is zero, and what is too large is infinite.
fn score_bound(text: &[u8]) -> Option<Bound<f64>> {
    let (number, is_excluded) = match text {
        [b'(', rest @ ..] => (rest, true),
        _ => (text, false),
    };
    let number = std::str::from_utf8(number).ok()?.trim_start_matches(|it: char| it.is_ascii_whitespace());
    let number: f64 = if number.is_empty() && text.len() < 2 { 0.0 } else { number.parse().ok()? };
    let bound = if is_excluded { Bound::Excluded(number) } else { Bound::Included(number) };
    (!number.is_nan()).then_some(bound)
}

/// `-`, `+`, `[member` with it or `(member` without it.
fn lex_bound(text: &[u8]) -> Option<LexBound<'_>> {
    match text {
        b"-" => Some(LexBound::Lowest),
        b"+" => Some(LexBound::Highest),
        [b'[', member @ ..] => Some(LexBound::Included(member)),
        [b'(', member @ ..] => Some(LexBound::Excluded(member)),
        _ => None,
    }
}
