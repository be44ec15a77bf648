//! HIMPORT: many hashes of the same fields, whose names are sent once.
//!
//! The names belong to the connection ([`Fieldsets`]). What HIMPORT SET makes is a hash like any other.

use std::collections::{HashMap, HashSet};

use super::hash::{edit_or_make, view};
use super::{Arity, Call, Effect, Event, Flags, Keys, Next, Run, Spec, help};
use crate::error::Error;
use crate::fault;
use crate::lexer::{INPUT_MAX, Span};
use crate::reply::Reply;
use crate::session::Session;
use crate::store::reaper::Garbage;
use crate::store::{HEAVY_BYTES, HEAVY_WEIGHT, Slot};
use crate::sync::Ordering;

pub(super) const SPECS: &[Spec] = &[Spec {
    name: "himport",
    arity: Arity::at_least(2),
    keys: Keys::None,
    run: Run::Container(SUBCOMMANDS),
    flags: Flags::NONE,
    since: "8.10.0",
    complexity: "Depends on subcommand.",
    summary: "A container for commands that make hashes of the same fields.",
}];

const SUBCOMMANDS: &[Spec] = &[
    Spec {
        name: "prepare",
        arity: Arity::at_least(4),
        keys: Keys::None,
        run: Run::Session(prepare),
        flags: Flags::DENYOOM,
        since: "8.10.0",
        complexity: "O(N) where N is the number of fields.",
        summary: "Names a list of fields for HIMPORT SET on this connection.",
    },
    Spec {
        name: "set",
        arity: Arity::at_least(5),
        keys: Keys::Range { first: 2, last: 2, step: 1 },
        run: Run::Write(set),
        flags: Flags::DENYOOM,
        since: "8.10.0",
        complexity: "O(N) where N is the number of fields.",
        summary: "Makes a hash of the fields that HIMPORT PREPARE has named and these values, in their order.",
    },
    Spec {
        name: "discard",
        arity: Arity::exactly(3),
        keys: Keys::None,
        run: Run::Session(discard),
        flags: Flags::NONE,
        since: "8.10.0",
        complexity: "O(1)",
        summary: "Forgets one list of fields of this connection.",
    },
    Spec {
        name: "discardall",
        arity: Arity::exactly(2),
        keys: Keys::None,
        run: Run::Session(discard_all),
        flags: Flags::NONE,
        since: "8.10.0",
        complexity: "O(N) where N is the number of lists.",
        summary: "Forgets all lists of fields of this connection.",
    },
    help::row(Flags::LOADING.and(Flags::STALE), "8.10.0"),
];

/// HIMPORT PREPARE name field ... -> OK. An earlier list of this name is replaced.
fn prepare(session: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    let mut seen = HashSet::with_capacity(call.len() - 3);
    if !call.args(3).all(|field| seen.insert(field)) {
        return Err(Error::Other("ERR duplicate field name in fieldset"));
    }
    let mut sets = session.fieldsets.take().unwrap_or_default();
    let limit = call.server.config.client_query_buffer_limit().min(INPUT_MAX);
    let added = sets.add(call.arg(2), Fieldset::new(call.args(3)), limit);
    keep(session, sets);
    added?;
    reply.ok();
    Ok(Next::Continue)
}

/// HIMPORT SET key name value ... -> OK. The key becomes a new hash, whatever hash it held.
fn set(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let found = call.fieldsets.and_then(|sets| sets.by_name.get(call.arg(3)));
    let fieldset = found.ok_or(Error::Other("ERR no such fieldset"))?;
    if call.len() - 4 != fieldset.fields.len() {
        return Err(Error::Other("ERR value count does not match fieldset field count"));
    }
    view(slot.entry(), call)?;
    slot.remove();
    let limits = call.hash_limits();
    let mut hash = edit_or_make(slot, call, &limits)?;
    hash.expect(fieldset.fields.len());
    for (field, value) in fieldset.iter().zip(call.args(4)) {
        hash.set(field, value);
        fault::point("himport.set");
    }
    reply.ok();
    Ok(Effect::Changed(Event("hset")))
}

/// HIMPORT DISCARD name -> 1, or 0 when there is no such list.
fn discard(session: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    let mut sets = session.fieldsets.take().unwrap_or_default();
    reply.integer(i64::from(sets.remove(call.arg(2))));
    keep(session, sets);
    Ok(Next::Continue)
}

/// HIMPORT DISCARDALL -> how many lists there were.
fn discard_all(session: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    let sets = session.fieldsets.take().unwrap_or_default();
    reply.count(sets.by_name.len());
    call.server.env.reaper.free(*sets);
    keep(session, Box::default());
    Ok(Next::Continue)
}

/// Gives a session its lists, and shows what they take.
fn keep(session: &mut Session, sets: Box<Fieldsets>) {
    session.client.fieldset_bytes.store(sets.bytes, Ordering::Relaxed);
    session.fieldsets = (!sets.by_name.is_empty()).then_some(sets);
}

/// More lists than anybody has kinds of hashes; so few are found and freed in no time.
const LISTS_MAX: usize = 1024;

/// The lists of fields that a connection has named. They end with it, and with RESET.
#[derive(Debug, Default)]
pub struct Fieldsets {
    by_name: HashMap<Box<[u8]>, Fieldset>,
    /// What all of them take, about.
    bytes: u64,
}

impl Fieldsets {
    /// Adds a list, or replaces that of the same name.
    ///
    /// # Errors
    /// If there would be more than [`LISTS_MAX`], or all together would take more than `limit` bytes.
    fn add(&mut self, name: &[u8], fieldset: Fieldset, limit: u64) -> Result<(), Error> {
        let replaced = self.by_name.get(name).map(|old| old.footprint(name));
        if replaced.is_none() && self.by_name.len() >= LISTS_MAX {
            return Err(Error::Other("ERR too many fieldsets on this connection"));
        }
        let bytes = self.bytes - replaced.unwrap_or(0) + fieldset.footprint(name);
        if bytes > limit {
            return Err(Error::Other("ERR fieldsets of this connection would exceed client-query-buffer-limit"));
        }
        self.by_name.insert(name.into(), fieldset);
        self.bytes = bytes;
        Ok(())
    }

    fn remove(&mut self, name: &[u8]) -> bool {
        let removed = self.by_name.remove(name).map(|old| old.footprint(name));
        self.bytes -= removed.unwrap_or(0);
        removed.is_some()
    }
}

impl Garbage for Fieldsets {
    fn is_heavy(&self) -> bool {
        self.by_name.len() > HEAVY_WEIGHT || self.bytes > HEAVY_BYTES as u64
    }
}

/// Names of fields, in the order in which their values come.
#[derive(Debug)]
struct Fieldset {
    bytes: Box<[u8]>,
    fields: Box<[Span]>,
}

impl Fieldset {
    /// They are of one request, so that their lengths fit into 32 bits.
    fn new<'a>(names: impl ExactSizeIterator<Item = &'a [u8]> + Clone) -> Self {
        let mut bytes = Vec::with_capacity(names.clone().map(<[u8]>::len).sum());
        let fields = names.map(|name| {
            let start = bytes.len() as u32;
            bytes.extend_from_slice(name);
            Span { start, len: name.len() as u32 }
        });
        let fields = fields.collect();
        Self { bytes: bytes.into_boxed_slice(), fields }
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.fields.iter().map(|span| span.of(&self.bytes))
    }

    /// Bytes that it takes under this name, the table's share included.
    fn footprint(&self, name: &[u8]) -> u64 {
        let table = 2 * size_of::<(Box<[u8]>, Self)>();
        (name.len() + self.bytes.len() + size_of_val(&*self.fields) + table) as u64
    }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_what_is_there() {
        let list = |fields: &[&'static [u8]]| Fieldset::new(fields.iter().copied());
        let mut sets = Fieldsets::default();
        assert!(sets.add(b"u", list(&[b"name", b"", b"age"]), 1000).is_ok());
        assert_eq!(sets.by_name[&b"u"[..]].iter().collect::<Vec<_>>(), [&b"name"[..], b"", b"age"]);
        let one = sets.bytes;
        assert!(sets.add(b"u", list(&[b"name", b"", b"age"]), one).is_ok() && sets.bytes == one, "replaced");
        assert!(sets.add(b"v", list(&[b"x"]), one).is_err() && sets.bytes == one, "refused");
        assert!(
            sets.add(b"u", list(&[b"a", b"much", b"longer", b"list", b"of", b"fields"]), one).is_err()
                && sets.by_name[&b"u"[..]].fields.len() == 3
        );
        assert!(sets.add(b"v", list(&[b"x"]), 1000).is_ok() && sets.bytes > one);
        assert!(sets.remove(b"v") && !sets.remove(b"v") && sets.bytes == one);
        assert!(sets.remove(b"u") && sets.bytes == 0);
    }
}
