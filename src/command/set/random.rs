//! Members at random: SPOP SRANDMEMBER.

use crate::command::typed::{edit, view};
use crate::command::{Arity, Call, Effect, Event, Flags, Keys, Long, Run, Spec};
use crate::error::Error;
use crate::number::parse_i64;
use crate::reply::Reply;
use crate::store::set::{Edit, View};
use crate::store::{Entry, Slot};

pub(in crate::command) const SPECS: &[Spec] = &[
    Spec {
        name: "spop",
        arity: Arity::at_least(2),
        keys: Keys::ONE,
        run: Run::Write(spop),
        flags: Flags::FAST,
        since: "1.0.0",
        complexity: "Without the count argument O(1), otherwise O(N) where N is the value of the passed count.",
        summary: "Returns one or more random members from a set after removing them. Deletes the set if the last member was popped.",
    },
    Spec {
        name: "srandmember",
        arity: Arity::at_least(2),
        keys: Keys::ONE,
        run: Run::Long(&Long { repeats: true, ..Long::read(Run::Read(srandmember), work_of_srandmember) }),
        flags: Flags::NONE,
        since: "1.0.0",
        complexity: "Without the count argument O(1), otherwise O(N) where N is the absolute value of the passed count.",
        summary: "Returns one or more random members of a set.",
    },
];

/// Bytes of the shortest member in a reply.
const MEMBER_LEAST: usize = b"$0\r\n\r\n".len();

/// `SPOP key [count]` -> a random member, nil when the key is missing; with a count a set of up to so many.
fn spop(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let count = match call.len() {
        2 => None,
        3 => Some(parse_i64(call.arg(2)).and_then(|count| usize::try_from(count).ok()).ok_or(Error::MustBePositive)?),
        _ => return Err(Error::Syntax),
    };
    let limits = call.set_limits();
    let (key, deadline) = (slot.key(), slot.deadline());
    let Some(mut set) = edit(slot, &limits, Edit::of)? else {
        match count {
            Some(_) => reply.set(0),
            None => reply.nil(),
        }
        return Ok(Effect::None);
    };
    match count {
        None => {
            set.pop_random(below, |member| reply.bulk(member));
        }
        Some(0) => {
            reply.set(0);
            return Ok(Effect::None);
        }
        Some(count) if count < set.len() && !set.is_mostly(count) => {
            reply.set(count);
            set.pop_sample(count, below, |member| reply.bulk(member));
        }
        Some(count) => {
            // Nearly all go, or all: those that stay are fewer to move than those that go.
            let left = set.len().saturating_sub(count);
            let kept = (left > 0).then(|| set.split_off(key, left, below));
            let gone = set.view();
            reply.set(gone.len());
            gone.iter().for_each(|member| reply.bulk(&member));
            slot.remove();
            if let Some(mut kept) = kept {
                kept.set_deadline(deadline);
                slot.insert(kept);
            }
            return Ok(Effect::Changed(SPOP));
        }
    }
    if set.is_empty() {
        slot.remove();
    }
    Ok(Effect::Changed(SPOP))
}

const SPOP: Event = Event("spop");

/// `SRANDMEMBER key [count]` -> a random member, nil when the key is missing; with a count an array of up to so many
/// different ones, with a negative count exactly so many, among which the same may come again.
fn srandmember(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let count = match call.len() {
        2 => None,
        3 => Some(call.signed(2)?),
        _ => return Err(Error::Syntax),
    };
    let set = view(entry, View::of)?;
    match (count, set) {
        (None, None) => reply.nil(),
        (None, Some(set)) => {
            if let Some(member) = set.random(below) {
                reply.bulk(&member);
            }
        }
        (Some(0), _) | (Some(_), None) => reply.array(0),
        (Some(count @ 1..), Some(set)) => {
            let count = usize::try_from(count).unwrap_or(usize::MAX).min(set.len());
            reply.array(count);
            set.sample(count, below, |member| reply.bulk(&member));
        }
        (Some(count), Some(set)) => {
            let count = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
            if !reply.has_room(count, MEMBER_LEAST) {
                return Ok(());
            }
            reply.array(count);
            set.draw(count, below, |member| {
                reply.bulk(&member);
                !reply.is_over()
            });
        }
    }
    Ok(())
}

/// A random number less than `bound`, which is not zero.
fn below(bound: usize) -> usize {
    fastrand::usize(..bound)
}
/// What SRANDMEMBER goes through: as many members as it gives.
fn work_of_srandmember(entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    call.drawn(entries.first().copied().flatten().and_then(View::of).map_or(0, View::len))
}
