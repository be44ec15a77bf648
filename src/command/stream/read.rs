//! XREAD and XREADGROUP: what was added to some streams behind an ID, or behind what a group was handed last.

use std::time::Duration;

use smallvec::SmallVec;

use super::super::block::timeout_millis;
use super::super::typed::view;
use super::super::{
    Arguments, Arity, Attempt, Block, Call, Effect, Effects, Entries, Finder, Flags, Keys, Nothing, On, Place, Places,
    Run, Slots, Spec, Turn, Waiting,
};
use super::group::CONSUMER_CREATED;
use super::{id, write_item};
use crate::error::Error;
use crate::reply::{Reply, Resp};
use crate::store::stream::{self, ConsumerId, Group, Id, Log, Stream};
use crate::store::waits;
use crate::store::{Entry, Slot};

pub(in super::super) const SPECS: &[Spec] = &[
    Spec {
        name: "xread",
        arity: Arity::at_least(4),
        keys: KEYS,
        run: Run::Block(Block {
            attempt: xread,
            on: On::AllKeys,
            wanted: waits::Wanted::Stream,
            nothing: Nothing::NilArray,
            waits: Some(|arguments| options(arguments).has_block),
            read: Some(xread_at_once),
        }),
        flags: Flags::READONLY.and(Flags::BLOCKING),
        since: "5.0.0",
        complexity: "O(log(N)+M) for each stream, N being the number of its entries and M the number of those returned.",
        summary: "Returns messages from multiple streams with IDs greater than the ones requested.",
    },
    Spec {
        name: "xreadgroup",
        arity: Arity::at_least(7),
        keys: KEYS,
        run: Run::Block(Block {
            attempt: xreadgroup,
            on: On::AllKeys,
            wanted: waits::Wanted::Group,
            nothing: Nothing::NilArray,
            waits: Some(|arguments| options(arguments).has_block),
            read: None,
        }),
        flags: Flags::NONE,
        since: "5.0.0",
        complexity: "O(M*log(P)) for each stream, M being the number of entries returned and P of those pending.",
        summary: "Returns new or historical messages from streams for a consumer in a group.",
    },
];

const KEYS: Keys = Keys::Found(&Finder { codes: [0, 0, 0], is_movable: true, find: keys_of_read });

/// What stands before STREAMS. The options may have any values.
struct Head {
    /// The place of STREAMS, or the number of arguments.
    streams: usize,
    has_block: bool,
    /// There is a word that is no option.
    is_wrong: bool,
}

fn options(arguments: Arguments<'_>) -> Head {
    let mut it = Head { streams: 1, has_block: false, is_wrong: false };
    while it.streams < arguments.len() && !arguments.is(it.streams, "streams") {
        let is_block = arguments.is(it.streams, "block");
        it.has_block |= is_block;
        it.streams += if arguments.is(it.streams, "group") {
            3
        } else if is_block || arguments.is(it.streams, "count") {
            2
        } else if arguments.is(it.streams, "noack") {
            1
        } else {
            it.is_wrong = true;
            break;
        };
    }
    it
}

/// The keys behind STREAMS, which are as many as the IDs behind them.
fn keys_of_read(arguments: Arguments<'_>) -> Places {
    let Head { streams: i, is_wrong, .. } = options(arguments);
    if is_wrong {
        return Places::new();
    }
    let rest = arguments.len().saturating_sub(i + 1);
    if !rest.is_multiple_of(2) {
        return Places::new();
    }
    (i + 1..i + 1 + rest / 2).map(Place::here).collect()
}

/// What XREAD and XREADGROUP are asked for.
struct Options<'a> {
    /// Most entries of each stream.
    count: usize,
    /// Group and consumer.
    group: Option<(&'a [u8], &'a [u8])>,
    is_noack: bool,
    /// How long to wait for something; `Some(None)` is for ever.
    block: Option<Option<Duration>>,
    /// The place of the first ID.
    ids: usize,
}

impl<'a> Options<'a> {
    fn parse(call: &Call<'a>, is_group: bool) -> Result<Self, Error> {
        let mut it = Self { count: usize::MAX, group: None, is_noack: false, block: None, ids: 0 };
        let mut i = 1;
        while i < call.len() {
            let more = call.len() - 1 - i;
            if call.is(i, "count") && more > 0 {
                i += 1;
                // None at all means all.
                it.count = usize::try_from(call.integer(i)?).ok().filter(|count| *count > 0).unwrap_or(usize::MAX);
            } else if call.is(i, "block") && more > 0 {
                i += 1;
                it.block = Some(timeout_millis(call, i)?);
            } else if call.is(i, "streams") && more > 0 {
                if !more.is_multiple_of(2) {
                    return Err(Error::Other(if is_group {
                        "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified."
                    } else {
                        "ERR Unbalanced 'xread' list of streams: for each stream key an ID, '+', or '$' must be specified."
                    }));
                }
                it.ids = i + 1 + more / 2;
                break;
            } else if call.is(i, "group") && more >= 2 {
                if !is_group {
                    return Err(Error::Other(
                        "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
                    ));
                }
                it.group = Some((call.arg(i + 1), call.arg(i + 2)));
                i += 2;
            } else if call.is(i, "noack") {
                if !is_group {
                    return Err(Error::Other(
                        "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
                    ));
                }
                it.is_noack = true;
            } else {
                return Err(Error::Syntax);
            }
            i += 1;
        }
        if it.ids == 0 {
            return Err(Error::Syntax);
        }
        if is_group && it.group.is_none() {
            return Err(Error::Other("ERR Missing GROUP option for XREADGROUP"));
        }
        Ok(it)
    }
}

/// `XREAD [COUNT count] [BLOCK milliseconds] STREAMS key ... id ...` -> of each stream that has entries behind its ID
/// these entries. While none has it waits, or it is nil.
fn xread(slots: &mut Slots<'_>, call: &Call<'_>, _: Turn, reply: &mut Reply) -> Result<Attempt, Error> {
    let options = Options::parse(call, false)?;
    if read(slots.entries(), &options, call, reply)? {
        return Ok(Attempt::Done(Effects::new()));
    }
    let Some(timeout) = options.block else {
        reply.nil_array();
        return Ok(Attempt::Done(Effects::new()));
    };
    let mut fixed = Vec::new();
    for (i, entry) in slots.entries().enumerate() {
        // `+` stays: it is the last entry, whichever that is when there is one.
        if call.arg(options.ids + i) == b"$" {
            let last = view(entry, stream::of)?.map_or(Id::MIN, |stream| stream.log.last_id());
            fixed.push((options.ids + i, last.text().as_ref().into()));
        }
    }
    Ok(Attempt::Wait(Waiting { timeout, fixed, effects: Effects::new() }))
}

/// XREAD without BLOCK.
fn xread_at_once(entries: &Entries<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let options = Options::parse(call, false)?;
    if !read(entries.iter(), &options, call, reply)? {
        reply.nil_array();
    }
    Ok(())
}

/// Writes of each stream what lies behind its ID; whether there is anything.
fn read<'a>(
    entries: impl ExactSizeIterator<Item = Option<&'a Entry>>,
    options: &Options<'_>,
    call: &Call<'_>,
    reply: &mut Reply,
) -> Result<bool, Error> {
    let first = options.ids - entries.len();
    let mut served = Vec::new();
    for (i, entry) in entries.enumerate() {
        let log = view(entry, stream::of)?.map(|stream| &stream.log);
        let after = after(call.arg(options.ids + i), log)?;
        if let Some(log) = log.filter(|log| !log.is_empty() && log.last() > after) {
            served.push((call.arg(first + i), log, after));
        }
    }
    if served.is_empty() {
        return Ok(false);
    }
    write_head(served.len(), reply);
    for (key, log, after) in served {
        write_key(key, reply);
        let start = after.next().unwrap_or(Id::MAX);
        let mut items = log.range(start, Id::MAX);
        let count = items.count_to(options.count);
        reply.array(count);
        items.take(count).try_for_each(|item| write_item(&item, reply));
    }
    Ok(true)
}

/// The ID behind which XREAD reads.
fn after(text: &[u8], log: Option<&Log>) -> Result<Id, Error> {
    match text {
        b"$" => Ok(log.map_or(Id::MIN, Log::last_id)),
        b"+" => Ok(log.and_then(|log| log.last().previous()).unwrap_or(Id::MIN)),
        b">" => Err(Error::Other(
            "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
        )),
        text => id::strict(text, 0),
    }
}

/// What XREADGROUP reads of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// What the group was not handed yet.
    New,
    /// What is pending for the consumer behind this ID.
    Pending(Id),
}

/// `XREADGROUP GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key ... id ...` -> of each stream
/// the entries that are now the consumer's (`>`), or that were before (an ID). While there are none it waits, or it is nil.
fn xreadgroup(slots: &mut Slots<'_>, call: &Call<'_>, turn: Turn, reply: &mut Reply) -> Result<Attempt, Error> {
    let options = Options::parse(call, true)?;
    let Some((name, consumer)) = options.group else { return Err(Error::Syntax) };
    let mut wanted = SmallVec::<[Wanted; 1]>::new();
    for i in 0..slots.len() {
        let has_group = slots.with(i, |slot| {
            view(slot.entry(), stream::of).map(|stream| stream.is_some_and(|stream| stream.groups.contains_key(name)))
        })?;
        if !has_group {
            let (head, middle) = (&b"NOGROUP No such key '"[..], &b"' or consumer group '"[..]);
            reply.error([head, slots.key(i), middle, name, b"' in XREADGROUP with GROUP option"].concat());
            return Ok(Attempt::Done(Effects::new()));
        }
        wanted.push(wanted_by(call.arg(options.ids + i))?);
    }
    let reader = Reader { group: name, consumer, options: &options, now: call.now };
    if !turn.is_first() && !(0..slots.len()).any(|i| slots.with(i, |slot| reader.has_some(slot, wanted[i]))) {
        // Its consumers are left alone: one that was deleted meanwhile comes back with an entry only.
        return Ok(Attempt::wait(options.block.flatten()));
    }
    let (mut served, mut effects) = (0, Effects::new());
    let mut serve = |i: usize, reply: &mut Reply| {
        let key = slots.key(i);
        let (is_served, effect) = slots.with(i, |slot| reader.serve(slot, key, wanted[i], reply));
        served += usize::from(is_served);
        effects.push((i, effect));
    };
    if wanted.len() == 1 {
        let mark = reply.mark();
        write_head(1, reply);
        serve(0, reply);
        if served == 0 {
            reply.rewind(mark);
        }
    } else {
        // What one key is served may be what another, which is the same, is not: the number is known in the end.
        let mut body = reply.part();
        (0..wanted.len()).for_each(|i| serve(i, &mut body));
        if served > 0 {
            write_head(served, reply);
            reply.append(&body);
        }
    }
    if served > 0 {
        return Ok(Attempt::Done(effects));
    }
    if let Some(timeout) = options.block {
        return Ok(Attempt::Wait(Waiting { timeout, effects, fixed: Vec::new() }));
    }
    reply.nil_array();
    Ok(Attempt::Done(effects))
}

fn wanted_by(text: &[u8]) -> Result<Wanted, Error> {
    match text {
        b">" => Ok(Wanted::New),
        b"$" => Err(Error::Other(
            "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by \
             specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.",
        )),
        b"+" => Err(Error::Other(
            "ERR The + ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by \
             specifying a proper ID, or use the > ID to get new messages. The + ID would just return an empty result set.",
        )),
        // Nothing lies behind the last ID, which Redis takes for the sign.
        text => id::strict(text, 0).map(|id| if id == Id::MAX { Wanted::New } else { Wanted::Pending(id) }),
    }
}

/// A consumer of a group that reads.
struct Reader<'a> {
    group: &'a [u8],
    consumer: &'a [u8],
    options: &'a Options<'a>,
    now: u64,
}

impl Wanted {
    /// Whether there is something to answer with, were it only that nothing is pending.
    fn is_there(self, log: &Log, group: &Group) -> bool {
        match self {
            Self::New => !log.is_empty() && log.last() > group.last_id,
            Self::Pending(_) => true,
        }
    }
}

impl Reader<'_> {
    /// Whether [`Reader::serve`] would write something.
    fn has_some(&self, slot: &Slot<'_>, wanted: Wanted) -> bool {
        let found = slot.entry().and_then(stream::of);
        found.is_some_and(|stream| {
            stream.groups.get(self.group).is_some_and(|group| wanted.is_there(&stream.log, group))
        })
    }

    /// Writes a key with its entries, if there are any; whether there were.
    fn serve(&self, slot: &mut Slot<'_>, key: &[u8], wanted: Wanted, reply: &mut Reply) -> (bool, Effect) {
        let Some(Stream { log, groups }) = slot.entry_mut().and_then(stream::of_mut) else {
            return (false, Effect::None);
        };
        let Some(group) = groups.get_mut(self.group) else { return (false, Effect::None) };
        let (consumer, is_new) = group.consumer_or_new(self.consumer, self.now);
        group.consumer_mut(consumer).seen = self.now;
        let is_served = wanted.is_there(log, group);
        if is_served {
            write_key(key, reply);
            match wanted {
                Wanted::New => self.hand_out(log, group, consumer, reply),
                Wanted::Pending(after) => self.repeat(log, group, after, reply),
            }
        }
        let effect = if is_new { CONSUMER_CREATED } else { Effect::Quiet };
        (is_served, effect)
    }

    /// Writes what the group was not handed yet.
    fn hand_out(&self, log: &Log, group: &mut Group, consumer: ConsumerId, reply: &mut Reply) {
        let start = group.last_id.next().unwrap_or(Id::MAX);
        let mut items = log.range(start, Id::MAX);
        let count = items.count_to(self.options.count);
        let bounds = log.bounds();
        reply.array(count);
        for item in items.take(count) {
            group.advance(&bounds, item.id);
            if !self.options.is_noack {
                group.deliver(item.id, consumer, self.now);
            }
            if write_item(&item, reply).is_none() {
                break;
            }
        }
        if !self.options.is_noack {
            group.consumer_mut(consumer).active = Some(self.now);
        }
    }

    /// Writes what is pending for the consumer.
    fn repeat(&self, log: &Log, group: &mut Group, after: Id, reply: &mut Reply) {
        let start = after.next().unwrap_or(Id::MAX);
        let consumer = group.find_consumer(self.consumer);
        let ids: Vec<Id> = consumer
            .into_iter()
            .flat_map(|consumer| consumer.pending().range(start..))
            .copied()
            .take(self.options.count)
            .collect();
        reply.array(ids.len());
        for id in ids {
            let is_written = match (log.get(id), group.pending_mut(id)) {
                (Some(item), Some(pending)) => {
                    pending.delivered = self.now;
                    pending.count = pending.count.wrapping_add(1);
                    write_item(&item, reply)
                }
                _ => {
                    // It was removed meanwhile.
                    reply.array(2);
                    reply.bulk(&id.text());
                    reply.nil_array();
                    (!reply.is_over()).then_some(())
                }
            };
            if is_written.is_none() {
                break;
            }
        }
    }
}

/// Begins the reply: so many streams.
fn write_head(streams: usize, reply: &mut Reply) {
    match reply.resp() {
        Resp::V2 => reply.array(streams),
        Resp::V3 => reply.map(streams),
    }
}

/// Writes a stream's key, behind which its entries follow.
fn write_key(key: &[u8], reply: &mut Reply) {
    if reply.resp() == Resp::V2 {
        reply.array(2);
    }
    reply.bulk(key);
}
