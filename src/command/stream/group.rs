//! XGROUP: consumer groups and their consumers.

use super::super::typed::view;
use super::super::{Arity, Call, Effect, Event, Flags, Keys, Run, Spec, help};
use super::{id, open};
use crate::error::Error;
use crate::reply::Reply;
use crate::store::Slot;
use crate::store::stream::{self, Group, Id, Log, Stream};

pub(in super::super) const SPECS: &[Spec] = &[Spec {
    name: "xgroup",
    arity: Arity::at_least(2),
    keys: Keys::None,
    run: Run::Container(SUBCOMMANDS),
    flags: Flags::NONE,
    since: "5.0.0",
    complexity: "Depends on subcommand.",
    summary: "A container for consumer groups commands.",
}];

pub(super) const KEY: Keys = Keys::Range { first: 2, last: 2, step: 1 };

const SUBCOMMANDS: &[Spec] = &[
    Spec {
        name: "create",
        arity: Arity::at_least(5),
        keys: KEY,
        run: Run::Write(create),
        flags: Flags::DENYOOM,
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Creates a consumer group.",
    },
    Spec {
        name: "createconsumer",
        arity: Arity::exactly(5),
        keys: KEY,
        run: Run::Write(create_consumer),
        flags: Flags::DENYOOM,
        since: "6.2.0",
        complexity: "O(1)",
        summary: "Creates a consumer in a consumer group.",
    },
    Spec {
        name: "delconsumer",
        arity: Arity::exactly(5),
        keys: KEY,
        run: Run::Write(delete_consumer),
        flags: Flags::NONE,
        since: "5.0.0",
        complexity: "O(N), N being the number of messages pending for the consumer.",
        summary: "Deletes a consumer from a consumer group.",
    },
    Spec {
        name: "destroy",
        arity: Arity::exactly(4),
        keys: KEY,
        run: Run::Write(destroy),
        flags: Flags::NONE,
        since: "5.0.0",
        complexity: "O(1). What was pending is freed in the background when it is much.",
        summary: "Destroys a consumer group.",
    },
    help::row(Flags::LOADING.and(Flags::STALE), "5.0.0"),
    Spec {
        name: "setid",
        arity: Arity::at_least(5),
        keys: KEY,
        run: Run::Write(set_id),
        flags: Flags::NONE,
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Sets the last-delivered ID of a consumer group.",
    },
];

const NO_KEY: Error = Error::Other(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to \
     create an empty stream automatically.",
);

/// What follows the ID of CREATE and SETID.
struct Options {
    makes_stream: bool,
    entries_read: Option<u64>,
    /// There are more words than Redis takes, though each is one that it knows.
    is_too_long: bool,
}

impl Options {
    /// `None` when there is a word that is no option.
    fn parse(call: &Call<'_>, is_create: bool) -> Result<Option<Self>, Error> {
        let is_too_long = if is_create { call.len() > 8 } else { call.len() != 5 && call.len() != 7 };
        let mut it = Self { makes_stream: false, entries_read: None, is_too_long };
        let mut i = 5;
        while i < call.len() {
            if is_create && call.is(i, "mkstream") {
                it.makes_stream = true;
                i += 1;
            } else if call.is(i, "entriesread") && i + 1 < call.len() {
                let read = call.integer(i + 1)?;
                if read < -1 {
                    return Err(Error::Other("ERR value for ENTRIESREAD must be positive or -1"));
                }
                it.entries_read = u64::try_from(read).ok();
                i += 2;
            } else {
                return Ok(None);
            }
        }
        Ok(Some(it))
    }
}

/// `XGROUP CREATE key group id | $ [MKSTREAM] [ENTRIESREAD count]` -> OK.
fn create(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let Some(options) = Options::parse(call, true)? else {
        help::wrong_form(call, reply);
        return Ok(Effect::None);
    };
    let found = view(slot.entry(), stream::of)?;
    if found.is_none() && !options.makes_stream {
        return Err(NO_KEY);
    }
    if options.is_too_long {
        help::wrong_form(call, reply);
        return Ok(Effect::None);
    }
    let last_id = match call.arg(4) {
        b"$" => found.map_or(Id::MIN, |stream| stream.log.last_id()),
        text => id::strict(text, 0)?,
    };
    let stream = open(slot, call)?;
    if stream.groups.contains_key(call.arg(3)) {
        return Err(Error::Other("BUSYGROUP Consumer Group name already exists"));
    }
    stream.groups.insert(call.arg(3).into(), Group::new(last_id, options.entries_read));
    reply.ok();
    Ok(Effect::Changed(Event("xgroup-create")))
}

/// `XGROUP SETID key group id | $ [ENTRIESREAD count]` -> OK.
fn set_id(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let Some(options) = Options::parse(call, false)? else {
        help::wrong_form(call, reply);
        return Ok(Effect::None);
    };
    let Some((log, group)) = group_of(slot, call, reply)? else { return Ok(Effect::None) };
    if options.is_too_long {
        help::wrong_form(call, reply);
        return Ok(Effect::None);
    }
    group.last_id = match call.arg(4) {
        b"$" => log.last_id(),
        text => id::any(text, 0)?,
    };
    group.entries_read = options.entries_read;
    reply.ok();
    Ok(Effect::Changed(Event("xgroup-setid")))
}

/// XGROUP DESTROY key group -> 1, or 0 when there is none.
fn destroy(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    view(slot.entry(), stream::of)?;
    let stream = slot.entry_mut().and_then(stream::of_mut).ok_or(NO_KEY)?;
    let group = stream.groups.remove(call.arg(3));
    reply.integer(i64::from(group.is_some()));
    let Some(group) = group else { return Ok(Effect::None) };
    slot.discard(group);
    Ok(Effect::Changed(Event("xgroup-destroy")))
}

/// XGROUP CREATECONSUMER key group consumer -> 1, or 0 when it is there already.
fn create_consumer(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let Some((_, group)) = group_of(slot, call, reply)? else { return Ok(Effect::None) };
    let (_, is_new) = group.consumer_or_new(call.arg(4), call.now);
    reply.integer(i64::from(is_new));
    Ok(if is_new { CONSUMER_CREATED } else { Effect::None })
}

pub(super) const CONSUMER_CREATED: Effect = Effect::Changed(Event("xgroup-createconsumer"));

/// XGROUP DELCONSUMER key group consumer -> how many entries were pending for it.
fn delete_consumer(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let Some((_, group)) = group_of(slot, call, reply)? else { return Ok(Effect::None) };
    let removed = group.remove_consumer(call.arg(4));
    reply.count(removed.unwrap_or(0));
    Ok(if removed.is_some() { Effect::Changed(Event("xgroup-delconsumer")) } else { Effect::None })
}

/// The entries and the group that the arguments name; `None` when the error was written.
fn group_of<'a>(
    slot: &'a mut Slot<'_>,
    call: &Call<'_>,
    reply: &mut Reply,
) -> Result<Option<(&'a Log, &'a mut Group)>, Error> {
    view(slot.entry(), stream::of)?;
    let Stream { log, groups } = slot.entry_mut().and_then(stream::of_mut).ok_or(NO_KEY)?;
    let group = groups.get_mut(call.arg(3));
    if group.is_none() {
        no_group_of_key(call.arg(3), call.arg(2), reply);
    }
    Ok(group.map(|group| (&*log, group)))
}

/// Writes the error for a group that a stream does not have.
pub(super) fn no_group_of_key(group: &[u8], key: &[u8], reply: &mut Reply) {
    let (head, middle) = (&b"NOGROUP No such consumer group '"[..], &b"' for key name '"[..]);
    reply.error([head, group, middle, key, b"'"].concat());
}

/// Writes the error for a group that is not there, as its stream may be.
pub(super) fn no_group(key: &[u8], group: &[u8], reply: &mut Reply) {
    let (head, middle) = (&b"NOGROUP No such key '"[..], &b"' or consumer group '"[..]);
    reply.error([head, key, middle, group, b"'"].concat());
}
