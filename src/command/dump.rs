//! DUMP RESTORE: values as Redis writes them, to be taken elsewhere.

use super::{Arity, Call, Effect, Event, Flags, Keys, Long, Run, Spec};
use crate::error::Error;
use crate::reply::Reply;
use crate::store::copy::elements;
use crate::store::rdb::{self, Making, Refused};
use crate::store::uses::{counted, seconds};
use crate::store::{Entry, Slot};

pub(super) const SPECS: &[Spec] = &[
    Spec {
        name: "dump",
        arity: Arity::exactly(2),
        keys: Keys::ONE,
        run: Run::Long(&Long::read(Run::Read(dump), work_of_dump)),
        flags: Flags::NONE,
        since: "2.6.0",
        complexity: "O(1) to access the key and additional O(N*M) to serialize it, where N is the number of Redis objects \
                     composing the value and M their average size. For small string values the time complexity is thus \
                     O(1)+O(1*M) where M is small, so simply O(1).",
        summary: "Returns a serialized representation of the value stored at a key.",
    },
    Spec {
        name: "restore",
        arity: Arity::at_least(4),
        keys: Keys::ONE,
        run: Run::Write(restore),
        flags: Flags::DENYOOM,
        since: "2.6.0",
        complexity: "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N is the \
                     number of Redis objects composing the value and M their average size. The key is held meanwhile.",
        summary: "Creates a key from the serialized representation of a value.",
    },
];

/// DUMP key -> the payload; nil when the key is missing.
fn dump(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    match entry {
        Some(entry) => reply.bulk(&rdb::dump(entry, call.now)),
        None => reply.nil(),
    }
    Ok(())
}

/// `RESTORE key ttl payload [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]` -> OK.
fn restore(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let options = RestoreOptions::parse(call)?;
    if slot.exists() && !options.replaces {
        return Err(Error::Other("BUSYKEY Target key name already exists."));
    }
    let ttl = u64::try_from(call.integer(2)?).map_err(|_| Error::Other("ERR Invalid TTL value, must be >= 0"))?;
    let limits = call.limits();
    let string_max = usize::try_from(call.server.config.proto_max_bulk_len()).unwrap_or(usize::MAX);
    let making = Making { key: slot.key(), clock: call.clock(), limits: &limits, string_max };
    let mut entry = rdb::restore(call.arg(3), &making).map_err(|refused| match refused {
        Refused::Footer => Error::Other("ERR DUMP payload version or checksum are wrong"),
        Refused::Content => Error::Other("ERR Bad data format"),
    })?;
    reply.ok();
    let existed = slot.remove();
    let deadline = match ttl {
        0 => None,
        ttl if options.is_absolute => Some(ttl),
        // Not beyond what other commands can set.
        ttl => Some(ttl.saturating_add(call.now).min(i64::MAX as u64)),
    };
    entry.set_deadline(deadline);
    // The time of all fields of a hash may be over as well.
    if entry.is_expired(call.now) {
        return Ok(if existed { Effect::Changed(Event("del")) } else { Effect::None });
    }
    // Of the two, what the policy asks for.
    match (call.server.env.uses().are_counted(), options.frequency, options.idle_seconds) {
        (true, Some(frequency), _) => entry.touch(counted(call.now, frequency)),
        (false, _, Some(idle)) => entry.set_idle(idle, seconds(call.now)),
        _ => {}
    }
    slot.insert(entry);
    Ok(Effect::Changed(Event("restore")))
}

#[derive(Default)]
struct RestoreOptions {
    replaces: bool,
    is_absolute: bool,
    idle_seconds: Option<u64>,
    frequency: Option<u8>,
}

impl RestoreOptions {
    fn parse(call: &Call<'_>) -> Result<Self, Error> {
        let (mut options, mut i) = (Self::default(), 4);
        while i < call.len() {
            let has_value = i + 1 < call.len();
            if call.is(i, "replace") {
                options.replaces = true;
            } else if call.is(i, "absttl") {
                options.is_absolute = true;
            } else if call.is(i, "idletime") && has_value && options.frequency.is_none() {
                i += 1;
                let seconds = u64::try_from(call.integer(i)?);
                let seconds = seconds.map_err(|_| Error::Other("ERR Invalid IDLETIME value, must be >= 0"))?;
                options.idle_seconds = Some(seconds);
            } else if call.is(i, "freq") && has_value && options.idle_seconds.is_none() {
                i += 1;
                let frequency = u8::try_from(call.integer(i)?);
                let frequency =
                    frequency.map_err(|_| Error::Other("ERR Invalid FREQ value, must be >= 0 and <= 255"))?;
                options.frequency = Some(frequency);
            } else {
                return Err(Error::Syntax);
            }
            i += 1;
        }
        Ok(options)
    }
}
/// What DUMP goes through: everything.
fn work_of_dump(entries: &[Option<&Entry>], _: &Call<'_>) -> usize {
    entries.first().copied().flatten().map_or(0, elements)
}
