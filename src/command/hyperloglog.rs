//! HyperLogLog, in strings: PFADD PFCOUNT PFMERGE PFDEBUG PFSELFTEST.

use super::{Arity, Call, Effect, Effects, Event, Flags, Keys, Next, Run, Slots, Spec};
use crate::error::Error;
use crate::fault;
use crate::reply::Reply;
use crate::session::Session;
use crate::store::hyperloglog::{self as hll, Corrupted, Encoding, REGISTERS, Registers};
use crate::store::string::{self, Str};
use crate::store::{Deadline, Entry, Slot};

pub(super) const SPECS: &[Spec] = &[
    Spec {
        name: "pfadd",
        arity: Arity::at_least(2),
        keys: Keys::ONE,
        run: Run::Write(pfadd),
        flags: Flags::DENYOOM.and(Flags::FAST),
        since: "2.8.9",
        complexity: "O(1) to add every element.",
        summary: "Adds elements to a HyperLogLog key. Creates the key if it doesn't exist.",
    },
    Spec {
        name: "pfcount",
        arity: Arity::at_least(2),
        keys: Keys::ALL,
        // Exclusive, since it keeps the estimate in the value; to clients it is a read.
        run: Run::WriteMany(pfcount),
        flags: Flags::READONLY.and(Flags::MAY_REPLICATE),
        since: "2.8.9",
        complexity: "O(1) with one key, whose estimate is kept until it changes. O(N) with N being the number of keys.",
        summary: "Returns the approximated cardinality of the set(s) observed by the HyperLogLog key(s).",
    },
    Spec {
        name: "pfmerge",
        arity: Arity::at_least(2),
        keys: Keys::ALL,
        run: Run::WriteMany(pfmerge),
        flags: Flags::DENYOOM,
        since: "2.8.9",
        complexity: "O(N) to merge N HyperLogLogs.",
        summary: "Merges one or more HyperLogLog values into a single key.",
    },
    Spec {
        name: "pfdebug",
        arity: Arity::exactly(3),
        keys: Keys::Range { first: 2, last: 2, step: 1 },
        run: Run::Write(pfdebug),
        flags: Flags::DENYOOM.and(Flags::ADMIN),
        since: "2.8.9",
        complexity: "N/A",
        summary: "Internal commands for debugging HyperLogLog values.",
    },
    Spec {
        name: "pfselftest",
        arity: Arity::exactly(1),
        keys: Keys::None,
        run: Run::Session(pfselftest),
        flags: Flags::ADMIN,
        since: "2.8.9",
        complexity: "N/A",
        summary: "An internal command for testing HyperLogLog values.",
    },
];

/// Not `pfmerge`: it is as if all elements were added.
const PFADD: Event = Event("pfadd");

fn corrupted(_: Corrupted) -> Error {
    Error::Other("INVALIDOBJ Corrupted HLL object detected")
}

/// PFADD key [element ...] -> 1 if the estimate may have changed or the key is new, otherwise 0.
fn pfadd(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let old = open(slot)?;
    let is_changed = match old {
        Some((bytes, Encoding::Dense)) => {
            let len = bytes.len();
            string::edit(slot, len, |bytes| {
                let mut is_changed = false;
                for element in call.args(2) {
                    is_changed |= hll::add_dense(bytes, element);
                }
                if is_changed {
                    hll::invalidate(bytes);
                }
                is_changed
            })
        }
        _ => {
            let is_new = old.is_none();
            let mut bytes = old.map_or_else(hll::empty, |(bytes, _)| bytes.to_vec());
            let mut is_changed = is_new;
            for element in call.args(2) {
                is_changed |=
                    hll::add(&mut bytes, element, call.server.config.hll_sparse_max_bytes()).map_err(corrupted)?;
            }
            fault::point("hll.add");
            if is_changed {
                hll::invalidate(&mut bytes);
                string::set_raw(slot, bytes, Deadline::Keep);
            }
            is_changed
        }
    };
    reply.integer(i64::from(is_changed));
    Ok(if is_changed { Effect::Changed(PFADD) } else { Effect::None })
}

/// PFCOUNT key ... -> the estimate for the union.
fn pfcount(slots: &mut Slots<'_>, _: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    if slots.len() == 1 {
        let estimate = slots.with(0, |slot| {
            let Some((bytes, _)) = open(slot)? else { return Ok(0) };
            if let Some(estimate) = hll::cached(bytes) {
                return Ok(estimate);
            }
            let (estimate, len) = (hll::count(bytes).map_err(corrupted)?, bytes.len());
            // The value means the same as before: no effect.
            string::edit(slot, len, |bytes| hll::cache(bytes, estimate));
            Ok::<u64, Error>(estimate)
        })?;
        reply.integer(estimate as i64);
        return Ok(Effects::new());
    }
    let (registers, _) = union(slots)?;
    reply.integer(hll::count_union(&registers) as i64);
    Ok(Effects::new())
}

/// PFMERGE target [key ...] -> OK. The target's own elements stay.
fn pfmerge(slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    let (registers, is_any_dense) = union(slots)?;
    let sparse_max = call.server.config.hll_sparse_max_bytes();
    slots.with(0, |slot| {
        let mut bytes = open(slot)?.map_or_else(hll::empty, |(bytes, _)| bytes.to_vec());
        if is_any_dense {
            hll::make_dense(&mut bytes).map_err(corrupted)?;
        }
        for (register, &value) in registers.iter().enumerate().filter(|(_, value)| **value > 0) {
            hll::raise(&mut bytes, register, value, sparse_max).map_err(corrupted)?;
        }
        hll::invalidate(&mut bytes);
        string::set_raw(slot, bytes, Deadline::Keep);
        Ok::<(), Error>(())
    })?;
    reply.ok();
    Ok([(0, Effect::Changed(PFADD))].into_iter().collect())
}

/// PFDEBUG GETREG | DECODE | ENCODING | TODENSE key. GETREG and TODENSE make the value dense.
fn pfdebug(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let Some((bytes, encoding)) = open(slot)? else {
        return Err(Error::Other("ERR The specified key does not exist"));
    };
    let is_sparse = encoding == Encoding::Sparse;
    match () {
        () if call.is(1, "getreg") || call.is(1, "todense") => {
            let mut bytes = bytes.to_vec();
            hll::make_dense(&mut bytes).map_err(corrupted)?;
            if call.is(1, "getreg") {
                reply.array(REGISTERS);
                (0..REGISTERS).for_each(|register| reply.integer(i64::from(hll::get_dense(&bytes, register))));
            } else {
                reply.integer(i64::from(is_sparse));
            }
            if is_sparse {
                string::set_raw(slot, bytes, Deadline::Keep);
            }
        }
        () if call.is(1, "decode") && !is_sparse => return Err(Error::Other("ERR HLL encoding is not sparse")),
        () if call.is(1, "decode") => {
            let words: Vec<String> = hll::runs(bytes)
                .map(|run| match (run.value, run.size) {
                    (0, 1) => format!("z:{}", run.len),
                    (0, _) => format!("Z:{}", run.len),
                    (value, _) => format!("v:{value},{}", run.len),
                })
                .collect();
            reply.bulk(words.join(" ").as_bytes());
        }
        () if call.is(1, "encoding") => reply.simple(if is_sparse { "sparse" } else { "dense" }),
        () => reply.error([b"ERR Unknown PFDEBUG subcommand '", call.arg(1), b"'"].concat()),
    }
    // The value means the same as before.
    Ok(Effect::None)
}

/// PFSELFTEST -> OK. Random elements in both encodings: the same registers, and estimates near the truth.
///
/// A hundredth of what Redis adds: it takes some 20 ms, on the client's own thread, and holds no key.
fn pfselftest(_: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    const ELEMENTS: u64 = 100_000;
    let sparse_max = call.server.config.hll_sparse_max_bytes();
    let (mut bytes, mut dense) = (hll::empty(), hll::empty());
    hll::make_dense(&mut dense).map_err(corrupted)?;
    let seed = fastrand::u64(..);
    let mut checkpoint = 1;
    for i in 1..=ELEMENTS {
        let element = (i ^ seed).to_le_bytes();
        hll::add(&mut bytes, &element, sparse_max).map_err(corrupted)?;
        hll::add_dense(&mut dense, &element);
        if i == checkpoint {
            checkpoint *= 10;
            let estimate = hll::count(&dense).map_err(corrupted)?;
            if hll::count(&bytes).map_err(corrupted)? != estimate {
                return Err(Error::Other("TESTFAILED dense/sparse disagree"));
            }
            // Six times the standard error, and one more for collisions among few elements.
            let error = estimate.abs_diff(i) as f64;
            if error > (6.0 * 1.04 / (REGISTERS as f64).sqrt() * i as f64).ceil() + 1.0 {
                reply.error(format!("TESTFAILED Too big error. card:{i} abserr:{error}"));
                return Ok(Next::Continue);
            }
        }
    }
    reply.ok();
    Ok(Next::Continue)
}

/// The string in an entry with its encoding.
///
/// # Errors
/// When the key holds something else, or a string that is no HyperLogLog.
fn view(entry: Option<&Entry>) -> Result<Option<(&[u8], Encoding)>, Error> {
    const NONE: Error = Error::Other("WRONGTYPE Key is not a valid HyperLogLog string value.");
    let bytes: &[u8] = match super::typed::view(entry, Str::of)? {
        None => return Ok(None),
        Some(Str::Int(_)) => return Err(NONE),
        Some(Str::Bytes(bytes)) => bytes,
        Some(Str::Shared(bytes)) => bytes,
    };
    Ok(Some((bytes, hll::encoding(bytes).ok_or(NONE)?)))
}

/// As [`view`], of a value that may be changed: from then on OBJECT ENCODING calls it raw, as in Redis.
fn open<'a>(slot: &'a mut Slot<'_>) -> Result<Option<(&'a [u8], Encoding)>, Error> {
    view(slot.entry())?;
    if let Some(entry) = slot.entry_mut() {
        entry.mark_edited();
    }
    view(slot.entry())
}

/// The registers of the union of all keys, and whether any of them is dense.
fn union(slots: &mut Slots<'_>) -> Result<(Box<Registers>, bool), Error> {
    let mut registers = Box::new([0; REGISTERS]);
    let mut is_any_dense = false;
    for entry in slots.entries() {
        if let Some((bytes, encoding)) = view(entry)? {
            is_any_dense |= encoding == Encoding::Dense;
            hll::merge(&mut registers, bytes).map_err(corrupted)?;
        }
    }
    Ok((registers, is_any_dense))
}
