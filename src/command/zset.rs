//! Sorted sets: ZADD ZINCRBY ZREM ZCARD ZSCORE ZMSCORE ZRANK ZREVRANK ZSCAN. Ranges, combinations of sets and what takes
//! members out are in files of their own.

pub(super) mod blocking;
pub(super) mod combine;
pub(super) mod pop;
pub(super) mod range;

use smallvec::SmallVec;

use super::typed::{edit, view};
use super::{Arity, Call, Effect, Effects, Event, Flags, Keys, Run, Slots, Spec, scan};
use crate::error::Error;
use crate::fault;
use crate::number::{format_f64, parse_f64};
use crate::reply::{Reply, Resp};
use crate::store::zset::{self, Change, Edit, Item, View};
use crate::store::{Deadline, Entry, Slot};

pub(super) const SPECS: &[Spec] = &[
    Spec {
        name: "zadd",
        arity: Arity::at_least(4),
        keys: Keys::ONE,
        run: Run::Write(zadd),
        flags: Flags::DENYOOM.and(Flags::FAST).and(Flags::ENDS_WITH_SCORED),
        since: "1.2.0",
        complexity: "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
        summary: "Adds one or more members to a sorted set, or updates their scores. Creates the key if it doesn't exist.",
    },
    Spec {
        name: "zincrby",
        arity: Arity::exactly(4),
        keys: Keys::ONE,
        run: Run::Write(zincrby),
        flags: Flags::DENYOOM.and(Flags::FAST).and(Flags::ENDS_WITH_MEMBER),
        since: "1.2.0",
        complexity: "O(log(N)) where N is the number of elements in the sorted set.",
        summary: "Increments the score of a member in a sorted set.",
    },
    Spec {
        name: "zrem",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Write(zrem),
        flags: Flags::FAST.and(Flags::NAMES_MEMBER),
        since: "1.2.0",
        complexity: "O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements to be removed.",
        summary: "Removes one or more members from a sorted set. Deletes the sorted set if all members were removed.",
    },
    Spec {
        name: "zcard",
        arity: Arity::exactly(2),
        keys: Keys::ONE,
        run: Run::Read(zcard),
        flags: Flags::FAST,
        since: "1.2.0",
        complexity: "O(1)",
        summary: "Returns the number of members in a sorted set.",
    },
    Spec {
        name: "zscore",
        arity: Arity::exactly(3),
        keys: Keys::ONE,
        run: Run::Read(zscore),
        flags: Flags::FAST.and(Flags::NAMES_MEMBER),
        since: "1.2.0",
        complexity: "O(1)",
        summary: "Returns the score of a member in a sorted set.",
    },
    Spec {
        name: "zmscore",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Read(zmscore),
        flags: Flags::FAST.and(Flags::NAMES_MEMBER),
        since: "6.2.0",
        complexity: "O(N) where N is the number of members being requested.",
        summary: "Returns the score of one or more members in a sorted set.",
    },
    Spec {
        name: "zrank",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Read(zrank),
        flags: Flags::FAST.and(Flags::NAMES_MEMBER),
        since: "2.0.0",
        complexity: "O(log(N))",
        summary: "Returns the index of a member in a sorted set ordered by ascending scores.",
    },
    Spec {
        name: "zrevrank",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Read(zrevrank),
        flags: Flags::FAST.and(Flags::NAMES_MEMBER),
        since: "2.0.0",
        complexity: "O(log(N))",
        summary: "Returns the index of a member in a sorted set ordered by descending scores.",
    },
    Spec {
        name: "zscan",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Read(zscan),
        flags: Flags::NONE,
        since: "2.8.0",
        complexity: "O(1) for every call. O(N) for a complete iteration, N being the number of members in the sorted set.",
        summary: "Iterates over members and scores of a sorted set.",
    },
];

/// `ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member ...` -> how many were added, with CH how many changed; with
/// INCR the new score, nil when the conditions were not met.
fn zadd(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let (conditions, first) = Conditions::parse(call)?;
    if conditions.incr {
        let by = parse_f64(call.arg(first)).ok_or(Error::NotAFloat)?;
        return increment(slot, call, conditions, by, call.arg(first + 1), reply);
    }
    // All scores are looked at before anything changes.
    let mut items = SmallVec::<[(f64, &[u8]); 4]>::new();
    let mut rest = call.args(first);
    while let (Some(score), Some(member)) = (rest.next(), rest.next()) {
        items.push((parse_f64(score).ok_or(Error::NotAFloat)?, member));
    }
    put(slot, call, conditions, &items, reply)
}

/// Adds scores and members as ZADD does.
pub(super) fn put(
    slot: &mut Slot<'_>,
    call: &Call<'_>,
    conditions: Conditions,
    items: &[(f64, &[u8])],
    reply: &mut Reply,
) -> Result<Effect, Error> {
    let limits = call.zset_limits();
    if !slot.exists() {
        if conditions.xx {
            reply.count(0);
            return Ok(Effect::None);
        }
        slot.insert(zset::create(slot.key(), call.clock()));
    }
    let mut zset = edit(slot, &limits, Edit::of)?.expect("just made");
    zset.expect(items.len());
    let (mut added, mut updated) = (0, 0);
    for &(score, member) in items {
        match zset.update(member, |old| conditions.allow(old, score).then_some(score)) {
            Change::None => {}
            Change::Added => added += 1,
            Change::Updated => updated += 1,
        }
        fault::point("zset.add");
    }
    reply.count(if conditions.ch { added + updated } else { added });
    Ok(if added + updated > 0 { Effect::Changed(Event("zadd")) } else { Effect::None })
}

/// ZINCRBY key increment member -> the new score.
fn zincrby(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    // A word that ZADD takes for an option is one here too, and then something is missing.
    Conditions::parse(call)?;
    let by = parse_f64(call.arg(2)).ok_or(Error::NotAFloat)?;
    increment(slot, call, Conditions::default(), by, call.arg(3), reply)
}

fn increment(
    slot: &mut Slot<'_>,
    call: &Call<'_>,
    conditions: Conditions,
    by: f64,
    member: &[u8],
    reply: &mut Reply,
) -> Result<Effect, Error> {
    let limits = call.zset_limits();
    if !slot.exists() {
        if conditions.xx {
            reply.nil();
            return Ok(Effect::None);
        }
        slot.insert(zset::create(slot.key(), call.clock()));
    }
    let mut zset = edit(slot, &limits, Edit::of)?.expect("just made");
    let mut sum = Ok(None);
    let change = zset.update(member, |old| {
        let new = old.map_or(by, |old| old + by);
        // NX comes first, then the sum, then the other conditions.
        if conditions.nx && old.is_some() || conditions.xx && old.is_none() {
            return None;
        }
        if new.is_nan() {
            sum = Err(Error::Other("ERR resulting score is not a number (NaN)"));
            return None;
        }
        let allowed = conditions.allow(old, new).then_some(new);
        sum = Ok(allowed);
        allowed
    });
    match sum? {
        Some(score) => reply.double(score),
        None => reply.nil(),
    }
    Ok(if change == Change::None { Effect::None } else { Effect::Changed(Event("zincr")) })
}

/// ZREM key member ... -> how many were removed.
fn zrem(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let limits = call.zset_limits();
    let Some(mut zset) = edit(slot, &limits, Edit::of)? else {
        reply.count(0);
        return Ok(Effect::None);
    };
    let removed = call.args(2).filter(|member| zset.remove(member)).count();
    if zset.is_empty() {
        slot.remove();
    }
    reply.count(removed);
    Ok(if removed > 0 { Effect::Changed(Event("zrem")) } else { Effect::None })
}

/// ZCARD key -> the number of members.
fn zcard(entry: Option<&Entry>, _: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    reply.count(view(entry, View::of)?.map_or(0, View::len));
    Ok(())
}

/// ZSCORE key member -> the score; nil when the member is missing.
fn zscore(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    write_score(view(entry, View::of)?.and_then(|zset| zset.score(call.arg(2))), reply);
    Ok(())
}

/// ZMSCORE key member ... -> an array of scores and nils.
fn zmscore(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let zset = view(entry, View::of)?;
    reply.array(call.len() - 2);
    for member in call.args(2) {
        write_score(zset.and_then(|zset| zset.score(member)), reply);
    }
    Ok(())
}

fn write_score(score: Option<f64>, reply: &mut Reply) {
    match score {
        Some(score) => reply.double(score),
        None => reply.nil(),
    }
}

/// `ZRANK key member [WITHSCORE]` -> how many members are before it; with its score as an array. Nil when it is missing.
fn zrank(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    rank(entry, call, reply, |rank, _| rank)
}

/// `ZREVRANK key member [WITHSCORE]`: the same, counted from the highest score.
fn zrevrank(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    rank(entry, call, reply, |rank, len| len - 1 - rank)
}

fn rank(
    entry: Option<&Entry>,
    call: &Call<'_>,
    reply: &mut Reply,
    seen_from: impl FnOnce(usize, usize) -> usize,
) -> Result<(), Error> {
    let with_score = match call.len() {
        3 => false,
        4 if call.is(3, "withscore") => true,
        4 => return Err(Error::Syntax),
        _ => return Err(call.arity_error()),
    };
    let found = view(entry, View::of)?.and_then(|zset| Some((zset.rank(call.arg(2))?, zset.len())));
    match found {
        Some(((rank, score), len)) => {
            if with_score {
                reply.array(2);
            }
            reply.count(seen_from(rank, len));
            if with_score {
                reply.double(score);
            }
        }
        None if with_score => reply.nil_array(),
        None => reply.nil(),
    }
    Ok(())
}

/// `ZSCAN key cursor [MATCH pattern] [COUNT count]` -> the next cursor and an array of members and scores.
fn zscan(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let cursor = scan::cursor(call, 2)?;
    let Some(zset) = view(entry, View::of)? else {
        scan::write_empty(reply);
        return Ok(());
    };
    let options = scan::Options::parse(scan::Target::Members, call, 3)?;
    let (mut found, mut count) = (reply.part(), 0);
    let next = zset.scan(cursor, options.count, |item| {
        if options.matches(item.member) {
            found.bulk(item.member);
            // A string whatever the protocol.
            found.bulk(&format_f64(item.score));
            count += 2;
        }
    });
    scan::write(next, count, &found, reply);
    Ok(())
}

/// When ZADD may set a score, and what it answers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Conditions {
    pub nx: bool,
    pub xx: bool,
    gt: bool,
    lt: bool,
    pub ch: bool,
    incr: bool,
}

impl Conditions {
    /// The options, and the place of the first score.
    fn parse(call: &Call<'_>) -> Result<(Self, usize), Error> {
        let mut it = Self::default();
        let mut first = 2;
        while first < call.len() {
            // Scores begin with no letter but those of `inf`, which is no option.
            match call.arg(first) {
                [b'0'..=b'9' | b'-' | b'+' | b'.', ..] => break,
                option if option.eq_ignore_ascii_case(b"nx") => it.nx = true,
                option if option.eq_ignore_ascii_case(b"xx") => it.xx = true,
                option if option.eq_ignore_ascii_case(b"gt") => it.gt = true,
                option if option.eq_ignore_ascii_case(b"lt") => it.lt = true,
                option if option.eq_ignore_ascii_case(b"ch") => it.ch = true,
                option if option.eq_ignore_ascii_case(b"incr") => it.incr = true,
                _ => break,
            }
            first += 1;
        }
        let rest = call.len() - first;
        if rest == 0 || !rest.is_multiple_of(2) {
            return Err(Error::Syntax);
        }
        if it.nx && it.xx {
            return Err(Error::Other("ERR XX and NX options at the same time are not compatible"));
        }
        if it.nx && (it.gt || it.lt) || it.gt && it.lt {
            return Err(Error::Other("ERR GT, LT, and/or NX options at the same time are not compatible"));
        }
        if it.incr && rest > 2 {
            return Err(Error::Other("ERR INCR option supports a single increment-element pair"));
        }
        Ok((it, first))
    }

    /// Whether a member with the score `old` (None: it is missing) may get the score `new`.
    #[inline]
    fn allow(self, old: Option<f64>, new: f64) -> bool {
        match old {
            None => !self.xx,
            Some(old) => !(self.nx || self.lt && new >= old || self.gt && new <= old),
        }
    }
}

/// Begins an array of `count` items: pairs in RESP3, when they have scores.
fn write_items_len(count: usize, with_scores: bool, reply: &mut Reply) {
    reply.array(if with_scores && reply.resp() == Resp::V2 { 2 * count } else { count });
}

fn write_item(item: Item<'_>, with_scores: bool, reply: &mut Reply) {
    if with_scores && reply.resp() == Resp::V3 {
        reply.array(2);
    }
    reply.bulk(item.member);
    if with_scores {
        reply.double(item.score);
    }
}

/// Stores a sorted set as the value of key number `i`, or removes that when there is none. Replies how many members.
pub(super) fn store(
    built: Option<zset::Built>,
    slots: &mut Slots<'_>,
    i: usize,
    stored: Event,
    reply: &mut Reply,
) -> Effects {
    let effect = slots.with(i, |slot| match built {
        Some(built) => {
            reply.count(built.len());
            built.with_content(|content| slot.set(content, Deadline::Clear));
            Effect::Changed(stored)
        }
        None => {
            reply.count(0);
            if slot.remove() { Effect::Changed(Event("del")) } else { Effect::None }
        }
    });
    [(i, effect)].into_iter().collect()
}
