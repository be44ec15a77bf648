//! MEMORY: what keys cost.

use super::{Arity, Call, Flags, Keys, Run, Spec, help};
use crate::error::Error;
use crate::reply::Reply;
use crate::store::{Entry, Raw};

pub(super) const SPECS: &[Spec] = &[Spec {
    name: "memory",
    arity: Arity::at_least(2),
    keys: Keys::None,
    run: Run::Container(SUBCOMMANDS),
    flags: Flags::NONE,
    since: "4.0.0",
    complexity: "Depends on subcommand.",
    summary: "A container for memory diagnostics commands.",
}];

const SUBCOMMANDS: &[Spec] = &[
    help::row(Flags::LOADING.and(Flags::STALE), "4.0.0"),
    Spec {
        name: "usage",
        arity: Arity::at_least(3),
        keys: Keys::Range { first: 2, last: 2, step: 1 },
        run: Run::Read(usage),
        flags: Flags::NO_TOUCH.and(Flags::UNCOUNTED),
        since: "4.0.0",
        complexity: "O(1), but O(N) for a list, where N is the number of its chunks.",
        summary: "Estimates the memory usage of a key.",
    },
];

/// A key's place in its table: a pointer and a byte of the hash, at a load between 7/16 and 7/8.
const SLOT_BYTES: usize = 14;

/// MEMORY USAGE key [SAMPLES count] -> bytes; nil when the key is missing. Nothing is sampled: sizes are kept.
fn usage(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    for i in (3..call.len()).step_by(2) {
        if !call.is(i, "samples") || i + 1 == call.len() || call.integer(i + 1)? < 0 {
            return Err(Error::Syntax);
        }
    }
    match entry {
        Some(entry) => reply.count(bytes_of(entry)),
        None => reply.nil(),
    }
    Ok(())
}

/// What a key costs: its place in the table, its entry, and what its value has elsewhere.
pub(crate) fn bytes_of(entry: &Entry) -> usize {
    SLOT_BYTES + entry.size() + heap_bytes(entry)
}

/// Bytes that the entry's value has outside of the entry.
fn heap_bytes(entry: &Entry) -> usize {
    match entry.raw() {
        // Two counters and the vector in front of the bytes.
        Raw::Shared(bytes) => 2 * size_of::<usize>() + size_of::<Vec<u8>>() + bytes.capacity(),
        Raw::Boxed(object) => object.heap_bytes(),
        Raw::Int(_) | Raw::Inline(..) => 0,
    }
}
