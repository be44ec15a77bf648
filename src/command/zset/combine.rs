//! Combinations of sorted sets and sets: ZUNION ZINTER ZDIFF ZINTERCARD ZUNIONSTORE ZINTERSTORE ZDIFFSTORE.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use super::super::{Arity, Call, Effects, Entries, Event, Flags, Keys, Long, Run, Slots, Spec};
use super::{store, write_item, write_items_len};
use crate::error::Error;
use crate::number::{parse_f64, parse_i64};
use crate::reply::Reply;
use crate::store::set::{self, Member};
use crate::store::zset::{self, Item, View};
use crate::store::{Entry, member_hasher};

pub(in super::super) const SPECS: &[Spec] = &[
    Spec {
        name: "zunion",
        arity: Arity::at_least(3),
        keys: Keys::Counted { has_target: false, count: 1 },
        run: Run::Long(&Long::read(Run::ReadMany(zunion), work_of_zunion)),
        flags: Flags::NONE,
        since: "6.2.0",
        complexity: "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.",
        summary: "Returns the union of multiple sorted sets.",
    },
    Spec {
        name: "zinter",
        arity: Arity::at_least(3),
        keys: Keys::Counted { has_target: false, count: 1 },
        run: Run::Long(&Long::read(Run::ReadMany(zinter), work_of_zinter)),
        flags: Flags::NONE,
        since: "6.2.0",
        complexity: "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.",
        summary: "Returns the intersect of multiple sorted sets.",
    },
    Spec {
        name: "zdiff",
        arity: Arity::at_least(3),
        keys: Keys::Counted { has_target: false, count: 1 },
        run: Run::Long(&Long::read(Run::ReadMany(zdiff), work_of_zdiff)),
        flags: Flags::NONE,
        since: "6.2.0",
        complexity: "O(N*K)+O(M*log(M)) worst case with N being the size of the first set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.",
        summary: "Returns the difference between multiple sorted sets.",
    },
    Spec {
        name: "zintercard",
        arity: Arity::at_least(3),
        keys: Keys::Counted { has_target: false, count: 1 },
        run: Run::Long(&Long::read(Run::ReadMany(zintercard), work_of_zintercard)),
        flags: Flags::NONE,
        since: "7.0.0",
        complexity: "O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted sets.",
        summary: "Returns the number of members of the intersect of multiple sorted sets.",
    },
    Spec {
        name: "zunionstore",
        arity: Arity::at_least(4),
        keys: Keys::Counted { has_target: true, count: 2 },
        run: Run::Long(&Long::store(Run::WriteMany(zunionstore), work_of_zunionstore, 0)),
        flags: Flags::DENYOOM,
        since: "2.0.0",
        complexity: "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.",
        summary: "Stores the union of multiple sorted sets in a key.",
    },
    Spec {
        name: "zinterstore",
        arity: Arity::at_least(4),
        keys: Keys::Counted { has_target: true, count: 2 },
        run: Run::Long(&Long::store(Run::WriteMany(zinterstore), work_of_zinterstore, 0)),
        flags: Flags::DENYOOM,
        since: "2.0.0",
        complexity: "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.",
        summary: "Stores the intersect of multiple sorted sets in a key.",
    },
    Spec {
        name: "zdiffstore",
        arity: Arity::at_least(4),
        keys: Keys::Counted { has_target: true, count: 2 },
        run: Run::Long(&Long::store(Run::WriteMany(zdiffstore), work_of_zdiffstore, 0)),
        flags: Flags::DENYOOM,
        since: "6.2.0",
        complexity: "O(N*K)+O(M*log(M)) worst case with N being the size of the first set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.",
        summary: "Stores the difference of multiple sorted sets in a key.",
    },
];

/// `ZUNION numkeys key ... [WEIGHTS weight ...] [AGGREGATE SUM | MIN | MAX | COUNT] [WITHSCORES]` -> members, perhaps with scores.
fn zunion(entries: &Entries<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    answer(Operation::Union, entries, call, reply)
}

/// ZINTER: the same for what is in all.
fn zinter(entries: &Entries<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    answer(Operation::Inter, entries, call, reply)
}

/// `ZDIFF numkeys key ... [WITHSCORES]` -> what is in the first only.
fn zdiff(entries: &Entries<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    answer(Operation::Diff, entries, call, reply)
}

fn answer(operation: Operation, entries: &Entries<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let Some(count) = count_keys(call, 1, reply)? else { return Ok(()) };
    let mut inputs = inputs(entries.iter())?;
    let options = Options::parse(call, 2 + count, Place::Reply, operation, &mut inputs)?;
    let result = operation.run(inputs, options.aggregate);
    write_items_len(result.len(), options.with_scores, reply);
    result.iter().for_each(|scored| write_item(scored.item(), options.with_scores, reply));
    Ok(())
}

/// `ZINTERCARD numkeys key ... [LIMIT limit]` -> how many members are in all, `limit` at most.
fn zintercard(entries: &Entries<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let Some(count) = count_keys(call, 1, reply)? else { return Ok(()) };
    let mut inputs = inputs(entries.iter())?;
    let options = Options::parse(call, 2 + count, Place::Count, Operation::Inter, &mut inputs)?;
    inputs.sort_by_key(|input| input.members.len());
    let limit = if options.limit == 0 { usize::MAX } else { options.limit };
    let [smallest, others @ ..] = &inputs[..] else { return Ok(()) };
    let is_in_all = |member: &[u8]| others.iter().all(|input| input.members.score(member).is_some());
    reply.count(smallest.members.iter().filter(|scored| is_in_all(&scored.member)).take(limit).count());
    Ok(())
}

/// `ZUNIONSTORE destination numkeys key ... [WEIGHTS weight ...] [AGGREGATE SUM | MIN | MAX | COUNT]` -> how many were stored.
fn zunionstore(slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    keep(Operation::Union, Event("zunionstore"), slots, call, reply)
}

/// ZINTERSTORE: the same for what is in all.
fn zinterstore(slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    keep(Operation::Inter, Event("zinterstore"), slots, call, reply)
}

/// ZDIFFSTORE destination numkeys key ... -> how many were stored of what is in the first only.
fn zdiffstore(slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    keep(Operation::Diff, Event("zdiffstore"), slots, call, reply)
}

fn keep(
    operation: Operation,
    event: Event,
    slots: &mut Slots<'_>,
    call: &Call<'_>,
    reply: &mut Reply,
) -> Result<Effects, Error> {
    let Some(count) = count_keys(call, 2, reply)? else { return Ok(Effects::new()) };
    let mut inputs = inputs(slots.entries().skip(1))?;
    let options = Options::parse(call, 3 + count, Place::Key, operation, &mut inputs)?;
    let result = operation.run(inputs, options.aggregate);
    let items: Vec<Item<'_>> = result.iter().map(Scored::item).collect();
    let built = zset::build(&items, &call.zset_limits());
    Ok(store(built, slots, 0, event, reply))
}

/// The number of keys in argument `at`. None when an error was written, whose text has the command's name.
fn count_keys(call: &Call<'_>, at: usize, reply: &mut Reply) -> Result<Option<usize>, Error> {
    let count = call.integer(at)?;
    if count < 1 {
        reply.error(format!("ERR at least 1 input key is needed for '{}' command", call.command.full_name));
        return Ok(None);
    }
    let count = usize::try_from(count).ok().filter(|count| *count < call.len() - at);
    count.map(Some).ok_or(Error::Syntax)
}

/// What a key has to offer; a missing key is an empty set.
fn inputs<'a>(entries: impl Iterator<Item = Option<&'a Entry>>) -> Result<Vec<Input<'a>>, Error> {
    let input = |entry: Option<&'a Entry>| {
        let members = match entry {
            None => Members::None,
            Some(entry) => match (View::of(entry), set::View::of(entry)) {
                (Some(zset), _) => Members::Scored(zset),
                (_, Some(set)) => Members::Plain(set),
                _ => return Err(Error::WrongType),
            },
        };
        Ok(Input { members, weight: 1.0 })
    };
    entries.map(input).collect()
}

struct Input<'a> {
    members: Members<'a>,
    weight: f64,
}

impl<'a> Input<'a> {
    /// The members with what their scores count for. Zero times infinity is zero.
    fn weighted(&self, aggregate: Aggregate) -> impl Iterator<Item = Scored<'a>> + use<'a> {
        let weight = self.weight;
        let weighted = move |score| number(aggregate.weighted(score, weight));
        self.members.iter().map(move |Scored { member, score }| Scored { member, score: weighted(score) })
    }
}

/// Members of a sorted set, or of a set, where each has the score 1.
#[derive(Clone, Copy)]
enum Members<'a> {
    None,
    Plain(set::View<'a>),
    Scored(View<'a>),
}

impl<'a> Members<'a> {
    fn len(self) -> usize {
        match self {
            Self::None => 0,
            Self::Plain(set) => set.len(),
            Self::Scored(zset) => zset.len(),
        }
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Self::None => None,
            Self::Plain(set) => set.contains(member).then_some(1.0),
            Self::Scored(zset) => zset.score(member),
        }
    }

    fn iter(self) -> impl Iterator<Item = Scored<'a>> + use<'a> {
        let (plain, scored) = match self {
            Self::None => (None, None),
            Self::Plain(set) => (Some(set.iter()), None),
            Self::Scored(zset) => (None, Some(zset.iter())),
        };
        let plain = plain.into_iter().flatten().map(|member| Scored { member, score: 1.0 });
        let scored = scored.into_iter().flatten();
        plain.chain(scored.map(|item| Scored { member: Member::Bytes(item.member), score: item.score }))
    }
}

/// A member of the result.
#[derive(Clone, Copy)]
struct Scored<'a> {
    member: Member<'a>,
    score: f64,
}

impl Scored<'_> {
    fn item(&self) -> Item<'_> {
        Item { member: &self.member, score: self.score }
    }
}

/// A member as the key of a map.
struct Name<'a>(Member<'a>);

impl PartialEq for Name<'_> {
    fn eq(&self, other: &Self) -> bool {
        *self.0 == *other.0
    }
}

impl Eq for Name<'_> {}

impl Hash for Name<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Union,
    Inter,
    Diff,
}

impl Operation {
    /// The result in order.
    fn run(self, mut inputs: Vec<Input<'_>>, aggregate: Aggregate) -> Vec<Scored<'_>> {
        if self != Self::Diff {
            // The smallest first: it bounds an intersection. It also is the order in which scores are added up.
            inputs.sort_by_key(|input| input.members.len());
        }
        let mut result = match self {
            Self::Union => union(&inputs, aggregate),
            Self::Inter => inter(&inputs, aggregate),
            Self::Diff => diff(&inputs),
        };
        result.sort_unstable_by(|a, b| a.item().order(&b.item()));
        result
    }
}

fn union<'a>(inputs: &[Input<'a>], aggregate: Aggregate) -> Vec<Scored<'a>> {
    let filled: Vec<_> = inputs.iter().filter(|input| input.members.len() > 0).collect();
    if let [only] = filled[..] {
        return only.weighted(aggregate).collect();
    }
    let largest = filled.last().map_or(0, |input| input.members.len());
    let mut scores = HashMap::with_capacity_and_hasher(largest, member_hasher().clone());
    for Scored { member, score } in filled.into_iter().flat_map(|input| input.weighted(aggregate)) {
        let sum = |old: &mut f64| *old = aggregate.of(*old, score);
        scores.entry(Name(member)).and_modify(sum).or_insert(score);
    }
    scores.into_iter().map(|(Name(member), score)| Scored { member, score }).collect()
}

fn inter<'a>(inputs: &[Input<'a>], aggregate: Aggregate) -> Vec<Scored<'a>> {
    let [smallest, others @ ..] = inputs else { return Vec::new() };
    let with_all = |Scored { member, score }: Scored<'a>| {
        let sum = |sum: f64, input: &Input<'a>| {
            let score = input.members.score(&member)?;
            Some(aggregate.of(sum, aggregate.weighted(score, input.weight)))
        };
        Some(Scored { member, score: others.iter().try_fold(score, sum)? })
    };
    smallest.weighted(aggregate).filter_map(with_all).collect()
}

fn diff<'a>(inputs: &[Input<'a>]) -> Vec<Scored<'a>> {
    let [first, others @ ..] = inputs else { return Vec::new() };
    let is_elsewhere = |member: &[u8]| others.iter().any(|input| input.members.score(member).is_some());
    first.members.iter().filter(|scored| !is_elsewhere(&scored.member)).collect()
}

/// What becomes of the scores of a member that is in several sets.
#[derive(Clone, Copy, Debug)]
enum Aggregate {
    Sum,
    Min,
    Max,
    /// In how many sets the member is, or the sum of their weights.
    Count,
}

impl Aggregate {
    const NAMED: [(&str, Self); 4] =
        [("sum", Self::Sum), ("min", Self::Min), ("max", Self::Max), ("count", Self::Count)];

    fn weighted(self, score: f64, weight: f64) -> f64 {
        match self {
            Self::Count => weight,
            _ => score * weight,
        }
    }

    fn of(self, sum: f64, score: f64) -> f64 {
        match self {
            Self::Sum | Self::Count => number(sum + score),
            // Not `f64::min`: of two zeros the first one stays.
            Self::Min => {
                if score < sum {
                    score
                } else {
                    sum
                }
            }
            Self::Max => {
                if score > sum {
                    score
                } else {
                    sum
                }
            }
        }
    }
}

/// What is no number, as infinity minus infinity, is zero.
fn number(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// What is done with the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Reply,
    Key,
    Count,
}

struct Options {
    aggregate: Aggregate,
    with_scores: bool,
    /// Zero: none.
    limit: usize,
}

impl Options {
    /// Reads the options from argument `first` on; weights go to the inputs.
    fn parse(
        call: &Call<'_>,
        first: usize,
        place: Place,
        operation: Operation,
        inputs: &mut [Input<'_>],
    ) -> Result<Self, Error> {
        let mut options = Self { aggregate: Aggregate::Sum, with_scores: false, limit: 0 };
        let has_scores = operation != Operation::Diff && place != Place::Count;
        let mut i = first;
        while i < call.len() {
            let behind = call.len() - i - 1;
            if has_scores && behind >= inputs.len() && call.is(i, "weights") {
                for (input, weight) in inputs.iter_mut().zip(call.args(i + 1)) {
                    input.weight = parse_f64(weight).ok_or(Error::Other("ERR weight value is not a float"))?;
                }
                i += inputs.len();
            } else if has_scores && behind >= 1 && call.is(i, "aggregate") {
                let found = Aggregate::NAMED.iter().find(|(name, _)| call.is(i + 1, name));
                options.aggregate = found.ok_or(Error::Syntax)?.1;
                i += 1;
            } else if place == Place::Reply && call.is(i, "withscores") {
                options.with_scores = true;
            } else if place == Place::Count && behind >= 1 && call.is(i, "limit") {
                let limit = parse_i64(call.arg(i + 1)).and_then(|limit| usize::try_from(limit).ok());
                options.limit = limit.ok_or(Error::Other("ERR LIMIT can't be negative"))?;
                i += 1;
            } else {
                return Err(Error::Syntax);
            }
            i += 1;
        }
        Ok(options)
    }
}
/// What an operation goes through; nothing where it fails.
fn work(operation: Operation, sources: &[Option<&Entry>]) -> usize {
    let Ok(inputs) = inputs(sources.iter().copied()) else { return 0 };
    let lens = || inputs.iter().map(|input| input.members.len());
    let first = match operation {
        Operation::Union => return lens().fold(0, usize::saturating_add),
        Operation::Inter => lens().min(),
        Operation::Diff => lens().next(),
    };
    first.unwrap_or(0).saturating_mul(inputs.len())
}

fn work_of_zunion(entries: &[Option<&Entry>], _: &Call<'_>) -> usize {
    work(Operation::Union, entries)
}

fn work_of_zinter(entries: &[Option<&Entry>], _: &Call<'_>) -> usize {
    work(Operation::Inter, entries)
}

fn work_of_zdiff(entries: &[Option<&Entry>], _: &Call<'_>) -> usize {
    work(Operation::Diff, entries)
}

/// With LIMIT it may come to more, where most is looked at in vain.
fn work_of_zintercard(entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    /// Members that are looked at for each one that is found.
    const IN_VAIN: usize = 64;
    let limit = (2 + entries.len()..call.len().saturating_sub(1)).find(|&i| call.is(i, "limit"));
    let limit = limit.and_then(|i| call.count(i + 1, 1, "").ok()).unwrap_or(usize::MAX);
    work(Operation::Inter, entries).min(limit.saturating_mul(IN_VAIN))
}

fn work_of_zunionstore(entries: &[Option<&Entry>], _: &Call<'_>) -> usize {
    work(Operation::Union, entries.get(1..).unwrap_or_default())
}

fn work_of_zinterstore(entries: &[Option<&Entry>], _: &Call<'_>) -> usize {
    work(Operation::Inter, entries.get(1..).unwrap_or_default())
}

fn work_of_zdiffstore(entries: &[Option<&Entry>], _: &Call<'_>) -> usize {
    work(Operation::Diff, entries.get(1..).unwrap_or_default())
}
