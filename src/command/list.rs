//! Lists: LPUSH RPUSH LPOP RPOP LMPOP LLEN LRANGE LINDEX LPOS LSET LINSERT LREM LTRIM; in `moving`
//! what moves elements from one list to another, in `blocking` what waits for them.

mod blocking;
mod moving;

pub(super) use blocking::SPECS as BLOCKING_SPECS;
pub(super) use moving::SPECS as MOVING_SPECS;

use smallvec::smallvec;

use super::typed::{edit, view};
use super::{Arity, Call, Effect, Effects, Event, Flags, Keys, Long, Run, Slots, Spec};
use crate::error::Error;
use crate::fault;
use crate::number::parse_i64;
use crate::reply::Reply;
use crate::store::list::{self, Edit, End, View};
use crate::store::{Entry, ListLimits, Slot};

pub(super) const SPECS: &[Spec] = &[
    Spec {
        name: "lpush",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Write(lpush),
        flags: Flags::DENYOOM.and(Flags::FAST),
        since: "1.0.0",
        complexity: "O(1) for each element added.",
        summary: "Prepends one or more elements to a list. Creates the key if it doesn't exist.",
    },
    Spec {
        name: "rpush",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Write(rpush),
        flags: Flags::DENYOOM.and(Flags::FAST),
        since: "1.0.0",
        complexity: "O(1) for each element added.",
        summary: "Appends one or more elements to a list. Creates the key if it doesn't exist.",
    },
    Spec {
        name: "lpushx",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Write(lpushx),
        flags: Flags::DENYOOM.and(Flags::FAST),
        since: "2.2.0",
        complexity: "O(1) for each element added.",
        summary: "Prepends one or more elements to a list only when the list exists.",
    },
    Spec {
        name: "rpushx",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Write(rpushx),
        flags: Flags::DENYOOM.and(Flags::FAST),
        since: "2.2.0",
        complexity: "O(1) for each element added.",
        summary: "Appends one or more elements to a list only when the list exists.",
    },
    Spec {
        name: "lpop",
        arity: Arity::at_least(2),
        keys: Keys::ONE,
        run: Run::Write(lpop),
        flags: Flags::FAST,
        since: "1.0.0",
        complexity: "O(N) where N is the number of elements returned",
        summary: "Returns the first elements in a list after removing it. Deletes the list if the last element was popped.",
    },
    Spec {
        name: "rpop",
        arity: Arity::at_least(2),
        keys: Keys::ONE,
        run: Run::Write(rpop),
        flags: Flags::FAST,
        since: "1.0.0",
        complexity: "O(N) where N is the number of elements returned",
        summary: "Returns and removes the last elements of a list. Deletes the list if the last element was popped.",
    },
    Spec {
        name: "lmpop",
        arity: Arity::at_least(4),
        keys: Keys::Counted { has_target: false, count: 1 },
        run: Run::WriteMany(lmpop),
        flags: Flags::NONE,
        since: "7.0.0",
        complexity: "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
        summary: "Returns multiple elements from a list after removing them. Deletes the list if the last element was popped.",
    },
    Spec {
        name: "llen",
        arity: Arity::exactly(2),
        keys: Keys::ONE,
        run: Run::Read(llen),
        flags: Flags::FAST,
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Returns the length of a list.",
    },
    Spec {
        name: "lrange",
        arity: Arity::exactly(4),
        keys: Keys::ONE,
        run: Run::Long(&Long::read(Run::Read(lrange), work_of_lrange)),
        flags: Flags::NONE,
        since: "1.0.0",
        complexity: "O(S+N) where S is the distance of start offset from the nearer end and N is the number of elements in the specified range.",
        summary: "Returns a range of elements from a list.",
    },
    Spec {
        name: "lindex",
        arity: Arity::exactly(3),
        keys: Keys::ONE,
        run: Run::Read(lindex),
        flags: Flags::NONE,
        since: "1.0.0",
        complexity: "O(N) where N is the number of elements to traverse to get to the element at index. This makes asking for the first or the last element of the list O(1).",
        summary: "Returns an element from a list by its index.",
    },
    Spec {
        name: "lpos",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Long(&Long::read(Run::Read(lpos), work_of_lpos)),
        flags: Flags::NONE,
        since: "6.0.6",
        complexity: "O(N) where N is the number of elements in the list, for the average case. When searching for elements near the head or the tail of the list, or when the MAXLEN option is provided, the command may run in constant time.",
        summary: "Returns the index of matching elements in a list.",
    },
    Spec {
        name: "lset",
        arity: Arity::exactly(4),
        keys: Keys::ONE,
        run: Run::Write(lset),
        flags: Flags::DENYOOM,
        since: "1.0.0",
        complexity: "O(N) where N is the length of the list. Setting either the first or the last element of the list is O(1).",
        summary: "Sets the value of an element in a list by its index.",
    },
    Spec {
        name: "linsert",
        arity: Arity::exactly(5),
        keys: Keys::ONE,
        run: Run::Write(linsert),
        flags: Flags::DENYOOM,
        since: "2.2.0",
        complexity: "O(N) where N is the number of elements to traverse before seeing the value pivot.",
        summary: "Inserts an element before or after another element in a list.",
    },
    Spec {
        name: "lrem",
        arity: Arity::exactly(4),
        keys: Keys::ONE,
        run: Run::Write(lrem),
        flags: Flags::NONE,
        since: "1.0.0",
        complexity: "O(N+M) where N is the length of the list and M is the number of elements removed.",
        summary: "Removes elements from a list. Deletes the list if the last element was removed.",
    },
    Spec {
        name: "ltrim",
        arity: Arity::exactly(4),
        keys: Keys::ONE,
        run: Run::Write(ltrim),
        flags: Flags::NONE,
        since: "1.0.0",
        complexity: "O(N) where N is the number of elements to be removed by the operation.",
        summary: "Removes elements from both ends a list. Deletes the list if all elements were trimmed.",
    },
];

/// LPUSH key element ... -> the list's length.
fn lpush(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    push(slot, End::Front, call, reply)
}

/// RPUSH key element ... -> the list's length.
fn rpush(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    push(slot, End::Back, call, reply)
}

/// LPUSHX key element ... -> the list's length; 0 when the key is missing, which it stays.
fn lpushx(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    push_if_there(slot, End::Front, call, reply)
}

/// RPUSHX key element ... -> as LPUSHX, at the other end.
fn rpushx(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    push_if_there(slot, End::Back, call, reply)
}

/// `LPOP key [count]` -> the element, or an array of up to `count`; nil when the key is missing.
fn lpop(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    pop(slot, End::Front, call, reply)
}

/// `RPOP key [count]` -> as LPOP, from the other end.
fn rpop(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    pop(slot, End::Back, call, reply)
}

/// `LMPOP numkeys key ... LEFT | RIGHT [COUNT count]` -> the first key that holds a list, and an array of up to
/// `count` elements of it; nil when there is none.
fn lmpop(slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    let (end, count) = parse_mpop(call, 1)?;
    for i in 0..slots.len() {
        let key = slots.key(i);
        let effect = slots.with(i, |slot| {
            let limits = call.list_limits();
            let Some(list) = edit(slot, &limits, Edit::of)? else { return Ok(None) };
            reply.array(2);
            reply.bulk(key);
            write_popped(list, end, count, reply);
            remove_if_empty(slot);
            Ok(Some(Effect::Changed(popped(end))))
        })?;
        if let Some(effect) = effect {
            return Ok(smallvec![(i, effect)]);
        }
    }
    reply.nil_array();
    Ok(Effects::new())
}

/// Where to pop and how many, of LMPOP and its like, whose number of keys is argument `at`.
fn parse_mpop(call: &Call<'_>, at: usize) -> Result<(End, usize), Error> {
    let keys = call.count(at, 1, "ERR numkeys should be greater than 0")?;
    // Behind the keys; with too few arguments there is nothing.
    let place = keys.checked_add(at + 1).filter(|place| *place < call.len()).ok_or(Error::Syntax)?;
    let end = end_at(call, place)?;
    match call.len() - place {
        1 => Ok((end, 1)),
        // A count that is no number is worse than whatever follows it.
        3.. if call.is(place + 1, "count") => {
            let count = call.count(place + 2, 1, "ERR count should be greater than 0")?;
            if call.len() - place > 3 { Err(Error::Syntax) } else { Ok((end, count)) }
        }
        _ => Err(Error::Syntax),
    }
}

/// LLEN key -> the length; 0 when the key is missing.
fn llen(entry: Option<&Entry>, _: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    reply.count(view(entry, View::of)?.map_or(0, View::len));
    Ok(())
}

/// LRANGE key start stop -> the elements from `start` to `stop`, both included; negative ones count from the end.
fn lrange(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let (start, stop) = (call.integer(2)?, call.integer(3)?);
    let Some(list) = view(entry, View::of)? else {
        reply.array(0);
        return Ok(());
    };
    let (start, count) = clamp(start, stop, list.len());
    reply.array(count);
    for element in list.range(start, count) {
        reply.bulk(element);
    }
    Ok(())
}

/// LINDEX key index -> the element; nil when there is none.
fn lindex(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    // The key is looked at before the index.
    let found = match view(entry, View::of)? {
        Some(list) => position(call.integer(2)?, list.len()).and_then(|index| list.get(index)),
        None => None,
    };
    match found {
        Some(element) => reply.bulk(element),
        None => reply.nil(),
    }
    Ok(())
}

/// `LPOS key element [RANK rank] [COUNT count] [MAXLEN len]` -> the element's index, nil when it is not there; with COUNT
/// an array of indices.
fn lpos(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let search = Search::parse(call)?;
    let found = view(entry, View::of)?.map(|list| search.positions(list)).unwrap_or_default();
    if search.count.is_some() {
        reply.array(found.len());
        found.iter().for_each(|&index| reply.count(index));
    } else {
        match found.first() {
            Some(&index) => reply.count(index),
            None => reply.nil(),
        }
    }
    Ok(())
}

/// LSET key index element -> OK.
fn lset(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let limits = call.list_limits();
    let mut list = edit(slot, &limits, Edit::of)?.ok_or(Error::NoSuchKey)?;
    let index = position(call.integer(2)?, list.len());
    if !index.is_some_and(|index| list.set(index, call.arg(3))) {
        return Err(Error::IndexOutOfRange);
    }
    reply.ok();
    Ok(Effect::Changed(Event("lset")))
}

/// LINSERT key BEFORE | AFTER pivot element -> the list's length; -1 without the pivot, 0 without the key.
fn linsert(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let behind = match () {
        () if call.is(2, "before") => 0,
        () if call.is(2, "after") => 1,
        () => return Err(Error::Syntax),
    };
    let limits = call.list_limits();
    let Some(mut list) = edit(slot, &limits, Edit::of)? else {
        reply.count(0);
        return Ok(Effect::None);
    };
    let Some(pivot) = list.view().iter().position(|element| element == call.arg(3)) else {
        reply.integer(-1);
        return Ok(Effect::None);
    };
    list.insert(pivot + behind, call.arg(4));
    reply.count(list.len());
    Ok(Effect::Changed(Event("linsert")))
}

/// LREM key count element -> how many were removed: up to `count` from the front, from the back when it is negative, all
/// when it is zero.
fn lrem(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let (max, end) = match call.signed(2)? {
        0 => (usize::MAX, End::Front),
        count @ 1.. => (count as usize, End::Front),
        count => (count.unsigned_abs() as usize, End::Back),
    };
    let limits = call.list_limits();
    let removed = match edit(slot, &limits, Edit::of)? {
        Some(mut list) => list.remove_equal(call.arg(3), max, end),
        None => 0,
    };
    reply.count(removed);
    if removed == 0 {
        return Ok(Effect::None);
    }
    remove_if_empty(slot);
    Ok(Effect::Changed(Event("lrem")))
}

/// LTRIM key start stop -> OK. Keeps what LRANGE would return.
fn ltrim(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let (start, stop) = (call.integer(2)?, call.integer(3)?);
    let limits = call.list_limits();
    let list = edit(slot, &limits, Edit::of)?;
    reply.ok();
    let Some(mut list) = list else { return Ok(Effect::None) };
    let (start, count) = clamp(start, stop, list.len());
    list.trim(start, count);
    remove_if_empty(slot);
    // A change even when everything was kept, as in Redis.
    Ok(Effect::Changed(Event("ltrim")))
}

fn push(slot: &mut Slot<'_>, end: End, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    reply.count(push_to(slot, end, call.args(2), &call.list_limits(), call)?);
    Ok(Effect::Changed(pushed(end)))
}

fn push_if_there(slot: &mut Slot<'_>, end: End, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    if slot.exists() {
        return push(slot, end, call, reply);
    }
    reply.count(0);
    Ok(Effect::None)
}

/// Pushes onto the list in a slot, which is made if it is missing. Returns its new length.
fn push_to<'a>(
    slot: &mut Slot<'_>,
    end: End,
    values: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    limits: &ListLimits,
    call: &Call<'_>,
) -> Result<usize, Error> {
    if !slot.exists() {
        slot.insert(list::create(slot.key(), call.clock()));
    }
    let mut list = edit(slot, limits, Edit::of)?.expect("just made");
    fault::point("list.made");
    let len = list.push_all(end, values);
    fault::point("list.push");
    Ok(len)
}

fn pop(slot: &mut Slot<'_>, end: End, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let count = match call.len() {
        2 => None,
        3 => Some(parse_i64(call.arg(2)).and_then(|count| usize::try_from(count).ok()).ok_or(Error::MustBePositive)?),
        _ => return Err(call.arity_error()),
    };
    let limits = call.list_limits();
    let Some(mut list) = edit(slot, &limits, Edit::of)? else {
        if count.is_some() {
            reply.nil_array()
        } else {
            reply.nil()
        }
        return Ok(Effect::None);
    };
    fault::point("list.pop");
    let is_changed = match count {
        None => list.pop(end, |element| reply.bulk(element)).is_some(),
        Some(count) => write_popped(list, end, count, reply) > 0,
    };
    remove_if_empty(slot);
    Ok(if is_changed { Effect::Changed(popped(end)) } else { Effect::None })
}

/// Pops up to `count` elements and writes them as an array. Returns how many.
fn write_popped(mut list: Edit<'_>, end: End, count: usize, reply: &mut Reply) -> usize {
    let count = count.min(list.len());
    reply.array(count);
    list.pop_many(end, count, |element| reply.bulk(element))
}

fn remove_if_empty(slot: &mut Slot<'_>) {
    if slot.entry().and_then(View::of).is_some_and(View::is_empty) {
        slot.remove();
    }
}

fn pushed(end: End) -> Event {
    Event(if end == End::Front { "lpush" } else { "rpush" })
}

fn popped(end: End) -> Event {
    Event(if end == End::Front { "lpop" } else { "rpop" })
}

/// LEFT or RIGHT in argument `i`.
fn end_at(call: &Call<'_>, i: usize) -> Result<End, Error> {
    match () {
        () if call.is(i, "left") => Ok(End::Front),
        () if call.is(i, "right") => Ok(End::Back),
        () => Err(Error::Syntax),
    }
}

/// The place of an index that may count from the end; None when it is before the first element.
fn position(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 { index.saturating_add(len as i64) } else { index };
    usize::try_from(index).ok()
}

/// Turns a range with ends from either side into a start and a number of elements.
fn clamp(start: i64, stop: i64, len: usize) -> (usize, usize) {
    let len = len as i64;
    let from_end = |index: i64| if index < 0 { index.saturating_add(len) } else { index };
    let (start, stop) = (from_end(start).max(0), from_end(stop).min(len - 1));
    if start > stop { (0, 0) } else { (start as usize, (stop - start + 1) as usize) }
}

/// What LPOS looks for.
struct Search<'a> {
    element: &'a [u8],
    from: End,
    /// Matches to pass over.
    skipped: usize,
    /// Matches to return, 0 for all; None when only one was asked for.
    count: Option<usize>,
    /// Elements to compare with.
    compared_max: usize,
}

impl<'a> Search<'a> {
    fn parse(call: &Call<'a>) -> Result<Self, Error> {
        let mut search =
            Self { element: call.arg(2), from: End::Front, skipped: 0, count: None, compared_max: usize::MAX };
        let mut i = 3;
        while i < call.len() {
            let has_value = i + 1 < call.len();
            if call.is(i, "rank") && has_value {
                let rank = call.signed(i + 1)?;
                if rank == 0 {
                    return Err(Error::Other(
                        "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use \
                         negative to start from the end of the list",
                    ));
                }
                search.from = if rank < 0 { End::Back } else { End::Front };
                search.skipped = rank.unsigned_abs() as usize - 1;
            } else if call.is(i, "count") && has_value {
                search.count = Some(call.count(i + 1, 0, "ERR COUNT can't be negative")?);
            } else if call.is(i, "maxlen") && has_value {
                search.compared_max = match call.count(i + 1, 0, "ERR MAXLEN can't be negative")? {
                    0 => usize::MAX,
                    len => len,
                };
            } else {
                return Err(Error::Syntax);
            }
            i += 2;
        }
        Ok(search)
    }

    /// How many elements it compares in vain.
    fn work(&self, len: usize) -> usize {
        len.min(self.compared_max)
    }

    /// The indices of the matches, in the order of the search.
    fn positions(&self, list: View<'_>) -> Vec<usize> {
        let wanted = match self.count {
            None => 1,
            Some(0) => usize::MAX,
            Some(count) => count,
        };
        let elements = list.iter().enumerate();
        match self.from {
            End::Front => self.matches(elements).take(wanted).collect(),
            End::Back => self.matches(elements.rev()).take(wanted).collect(),
        }
    }

    fn matches<'l>(&self, elements: impl Iterator<Item = (usize, &'l [u8])>) -> impl Iterator<Item = usize> {
        let matches = elements.take(self.compared_max).filter(|(_, element)| *element == self.element);
        matches.skip(self.skipped).map(|(index, _)| index)
    }
}

/// What LRANGE goes through: the elements in the range.
fn work_of_lrange(entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    let len = entries.first().copied().flatten().and_then(View::of).map_or(0, View::len);
    call.integer(2).and_then(|start| Ok(clamp(start, call.integer(3)?, len).1)).unwrap_or(0)
}

/// What LPOS goes through: elements from one end on, perhaps all.
fn work_of_lpos(entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    let len = entries.first().copied().flatten().and_then(View::of).map_or(0, View::len);
    Search::parse(call).map_or(0, |search| search.work(len))
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::{clamp, position};

    #[test]
    fn indices_count_from_either_end() {
        let cases = [(0, Some(0)), (4, Some(4)), (5, Some(5)), (-1, Some(4)), (-5, Some(0)), (-6, None)];
        for (index, expected) in cases {
            assert_eq!(position(index, 5), expected, "{index}");
        }
        assert_eq!((position(i64::MIN, 5), position(i64::MAX, 5)), (None, Some(i64::MAX as usize)));
    }

    #[test]
    fn ranges_are_clamped() {
        let cases = [
            ((0, -1), (0, 5)),
            ((1, 3), (1, 3)),
            ((-2, -1), (3, 2)),
            ((-100, 100), (0, 5)),
            ((3, 1), (0, 0)),
            ((5, 10), (0, 0)),
            ((0, -6), (0, 0)),
            ((i64::MIN, i64::MAX), (0, 5)),
            ((i64::MAX, i64::MIN), (0, 0)),
        ];
        for ((start, stop), expected) in cases {
            assert_eq!(clamp(start, stop, 5), expected, "{start} {stop}");
        }
    }
}
