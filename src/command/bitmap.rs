//! Strings as arrays of bits: SETBIT GETBIT BITCOUNT BITPOS BITOP.

use super::substring::clamp;
use super::typed::view;
use super::{Arity, Call, Effect, Effects, Event, Flags, Keys, Run, Slots, Spec};
use crate::error::Error;
use crate::fault;
use crate::number::parse_i64;
use crate::reply::Reply;
use crate::store::bits::{self, Combine};
use crate::store::string::{self, Str};
use crate::store::{Deadline, Entry, Slot};

pub(super) const SPECS: &[Spec] = &[
    Spec {
        name: "setbit",
        arity: Arity::exactly(4),
        keys: Keys::ONE,
        run: Run::Write(setbit),
        flags: Flags::DENYOOM,
        since: "2.2.0",
        complexity: "O(1)",
        summary: "Sets or clears the bit at offset of the string value. Creates the key if it doesn't exist.",
    },
    Spec {
        name: "getbit",
        arity: Arity::exactly(3),
        keys: Keys::ONE,
        run: Run::Read(getbit),
        flags: Flags::FAST,
        since: "2.2.0",
        complexity: "O(1)",
        summary: "Returns a bit value by offset.",
    },
    Spec {
        name: "bitcount",
        arity: Arity::at_least(2),
        keys: Keys::ONE,
        run: Run::Read(bitcount),
        flags: Flags::NONE,
        since: "2.6.0",
        complexity: "O(N) where N is the length of the range.",
        summary: "Counts the number of set bits (population counting) in a string.",
    },
    Spec {
        name: "bitpos",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Read(bitpos),
        flags: Flags::NONE,
        since: "2.8.7",
        complexity: "O(N) where N is the length of the range.",
        summary: "Finds the first set (1) or clear (0) bit in a string.",
    },
    Spec {
        name: "bitop",
        arity: Arity::at_least(4),
        keys: Keys::Range { first: 2, last: -1, step: 1 },
        run: Run::WriteMany(bitop),
        flags: Flags::DENYOOM,
        since: "2.6.0",
        complexity: "O(N) where N is the sum of the strings' lengths.",
        summary: "Performs bitwise operations on multiple strings, and stores the result.",
    },
];

const BAD_OFFSET: Error = Error::Other("ERR bit offset is not an integer or out of range");

/// SETBIT key offset bit -> the old bit. The string grows as far as needed.
fn setbit(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let bit = bit_offset(call.arg(2), call)?;
    let is_set = match call.arg(3) {
        b"0" => false,
        b"1" => true,
        _ => return Err(Error::Other("ERR bit is not an integer or out of range")),
    };
    let len = view(slot.entry(), Str::of)?.map(Str::len);
    let old = string::edit(slot, bit / 8 + 1, |bytes| {
        fault::point("bitmap.set");
        bits::set(bytes, bit, is_set)
    });
    reply.integer(i64::from(old));
    let has_grown = len.is_none_or(|len| bit / 8 >= len);
    Ok(if old != is_set || has_grown { Effect::Changed(Event("setbit")) } else { Effect::None })
}

/// GETBIT key offset -> the bit; 0 behind the string's end.
fn getbit(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let bit = bit_offset(call.arg(2), call)?;
    let mut buffer = itoa::Buffer::new();
    let bytes = view(entry, Str::of)?.map_or(&b""[..], |value| value.text(&mut buffer));
    reply.integer(i64::from(bits::get(bytes, bit)));
    Ok(())
}

/// `BITCOUNT key [start end [BYTE | BIT]]` -> how many bits are set.
fn bitcount(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let range = match call.len() {
        2 => None,
        4 | 5 => Some((call.integer(2)?, call.integer(3)?, unit(4, call)?)),
        _ => return Err(Error::Syntax),
    };
    let mut buffer = itoa::Buffer::new();
    let bytes = view(entry, Str::of)?.map_or(&b""[..], |value| value.text(&mut buffer));
    let count = match range {
        None => bits::count(bytes),
        // The wrong way round, before both are moved to the string's beginning.
        Some((start, end, _)) if start < 0 && end < 0 && start > end => 0,
        Some((start, end, unit)) => {
            unit.bits(start, end, bytes.len()).map_or(0, |(first, last)| bits::count_range(bytes, first, last))
        }
    };
    reply.integer(count as i64);
    Ok(())
}

/// `BITPOS key bit [start [end [BYTE | BIT]]]` -> the first bit with this value, or -1. Without an end, zeros follow the
/// string.
fn bitpos(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let is_set = match call.integer(2)? {
        0 => false,
        1 => true,
        _ => return Err(Error::Other("ERR The bit argument must be 1 or 0.")),
    };
    if call.len() > 6 {
        return Err(Error::Syntax);
    }
    let start = if call.len() > 3 { call.integer(3)? } else { 0 };
    let unit = unit(5, call)?;
    let end = if call.len() > 4 { Some(call.integer(4)?) } else { None };
    let Some(value) = view(entry, Str::of)? else {
        reply.integer(if is_set { -1 } else { 0 });
        return Ok(());
    };
    let mut buffer = itoa::Buffer::new();
    let bytes = value.text(&mut buffer);
    let range = unit.bits(start, end.unwrap_or(-1), bytes.len());
    let found = range.and_then(|(first, last)| bits::find(bytes, is_set, first, last));
    reply.integer(match found {
        Some(bit) => bit as i64,
        None if range.is_some() && !is_set && end.is_none() => 8 * bytes.len() as i64,
        None => -1,
    });
    Ok(())
}

/// BITOP operation target key ... -> the length of the string that is stored in the target.
fn bitop(slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    const OPERATIONS: [(&str, Combine); 8] = [
        ("and", Combine::And),
        ("or", Combine::Or),
        ("xor", Combine::Xor),
        ("not", Combine::Not),
        ("diff", Combine::Diff),
        ("diff1", Combine::Diff1),
        ("andor", Combine::AndOr),
        ("one", Combine::One),
    ];
    let how = OPERATIONS.into_iter().find(|(name, _)| call.is(1, name)).ok_or(Error::Syntax)?.1;
    let sources = call.len() - 3;
    match how {
        Combine::Not if sources != 1 => {
            return Err(Error::Other("ERR BITOP NOT must be called with a single source key."));
        }
        Combine::Diff if sources < 2 => {
            return Err(Error::Other("ERR BITOP DIFF must be called with at least two source keys."));
        }
        Combine::Diff1 if sources < 2 => {
            return Err(Error::Other("ERR BITOP DIFF1 must be called with at least two source keys."));
        }
        Combine::AndOr if sources < 2 => {
            return Err(Error::Other("ERR BITOP ANDOR must be called with at least two source keys."));
        }
        _ => {}
    }
    let combined = {
        let values: Vec<Option<Str<'_>>> =
            slots.entries().skip(1).map(|entry| view(entry, Str::of)).collect::<Result<_, _>>()?;
        let mut buffers = vec![itoa::Buffer::new(); values.len()];
        let strings: Vec<&[u8]> = values
            .iter()
            .zip(&mut buffers)
            .map(|(value, buffer)| value.map_or(&b""[..], |value| value.text(buffer)))
            .collect();
        bits::combine(how, &strings)
    };
    reply.count(combined.len());
    let effect = slots.with(0, |slot| match combined.len() {
        0 if slot.remove() => Effect::Changed(Event("del")),
        0 => Effect::None,
        _ => {
            string::set_raw(slot, combined, Deadline::Clear);
            Effect::Changed(Event("set"))
        }
    });
    Ok([(0, effect)].into_iter().collect())
}

/// Reads a bit's number, which must be within the largest string.
pub(super) fn bit_offset(text: &[u8], call: &Call<'_>) -> Result<usize, Error> {
    check_offset(parse_i64(text), call)
}

pub(super) fn check_offset(offset: Option<i64>, call: &Call<'_>) -> Result<usize, Error> {
    let offset = offset.and_then(|offset| usize::try_from(offset).ok()).ok_or(BAD_OFFSET)?;
    if (offset / 8) as u64 >= call.server.config.proto_max_bulk_len() {
        return Err(BAD_OFFSET);
    }
    Ok(offset)
}

/// What a range counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Bytes,
    Bits,
}

/// The unit in argument `i`, if there is one.
fn unit(i: usize, call: &Call<'_>) -> Result<Unit, Error> {
    match () {
        () if call.len() <= i || call.is(i, "byte") => Ok(Unit::Bytes),
        () if call.is(i, "bit") => Ok(Unit::Bits),
        () => Err(Error::Syntax),
    }
}

impl Unit {
    /// The first and the last bit of a range in a string of `len` bytes; none when it is empty.
    fn bits(self, start: i64, end: i64, len: usize) -> Option<(usize, usize)> {
        match self {
            Self::Bytes => clamp(start, end, len).map(|(first, last)| (8 * first, 8 * last + 7)),
            Self::Bits => clamp(start, end, 8 * len),
        }
    }
}
