//! Parts of strings: APPEND SETRANGE GETRANGE SUBSTR STRLEN LCS.

use super::typed::view;
use super::{Arity, Call, Effect, Entries, Event, Flags, Keys, Run, Spec};
use crate::error::Error;
use crate::reply::Reply;
use crate::store::lcs::{self, Run as Match};
use crate::store::string::{self, Str};
use crate::store::{Entry, Slot};

pub(super) const SPECS: &[Spec] = &[
    Spec {
        name: "append",
        arity: Arity::exactly(3),
        keys: Keys::ONE,
        run: Run::Write(append),
        flags: Flags::DENYOOM.and(Flags::FAST),
        since: "2.0.0",
        complexity: "O(1) on average, for a short appended value.",
        summary: "Appends a string to the value of a key. Creates the key if it doesn't exist.",
    },
    Spec {
        name: "strlen",
        arity: Arity::exactly(2),
        keys: Keys::ONE,
        run: Run::Read(strlen),
        flags: Flags::FAST,
        since: "2.2.0",
        complexity: "O(1)",
        summary: "Returns the length of a string value.",
    },
    Spec {
        name: "setrange",
        arity: Arity::exactly(4),
        keys: Keys::ONE,
        run: Run::Write(setrange),
        flags: Flags::DENYOOM,
        since: "2.2.0",
        complexity: "O(1) on average, for a short value that does not lengthen the string by much.",
        summary: "Overwrites a part of a string value with another by an offset. Creates the key if it doesn't exist.",
    },
    Spec {
        name: "getrange",
        arity: Arity::exactly(4),
        keys: Keys::ONE,
        run: Run::Read(getrange),
        flags: Flags::NONE,
        since: "2.4.0",
        complexity: "O(N) where N is the length of the returned string.",
        summary: "Returns a substring of the string stored at a key.",
    },
    Spec {
        name: "substr",
        arity: Arity::exactly(4),
        keys: Keys::ONE,
        run: Run::Read(getrange),
        flags: Flags::NONE,
        since: "1.0.0",
        complexity: "O(N) where N is the length of the returned string.",
        summary: "Returns a substring from a string value.",
    },
    Spec {
        name: "lcs",
        arity: Arity::at_least(3),
        keys: Keys::TWO,
        run: Run::ReadMany(longest_common),
        flags: Flags::NONE,
        since: "7.0.0",
        complexity: "O(N*M) where N and M are the lengths of the strings; 64 characters are compared at once.",
        summary: "Finds the longest common substring.",
    },
];

/// Refuses strings that would be longer than `proto-max-bulk-len`; returns the length.
pub(super) fn check_len(len: usize, added: usize, call: &Call<'_>) -> Result<usize, Error> {
    let limit = call.server.config.proto_max_bulk_len();
    len.checked_add(added).filter(|&total| total as u64 <= limit).ok_or(Error::StringTooLong)
}

/// APPEND key value -> the new length.
fn append(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    if let Some(old) = view(slot.entry(), Str::of)? {
        check_len(old.len(), call.arg(2).len(), call)?;
    }
    reply.count(string::append(slot, call.arg(2)));
    Ok(Effect::Changed(Event("append")))
}

/// STRLEN key -> the length; 0 when the key is missing.
fn strlen(entry: Option<&Entry>, _: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    reply.count(view(entry, Str::of)?.map_or(0, Str::len));
    Ok(())
}

/// SETRANGE key offset value -> the new length. What lies between the old end and the offset becomes zero bytes.
fn setrange(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let (offset, value) = (call.integer(2)?, call.arg(3));
    let offset = usize::try_from(offset).map_err(|_| Error::Other("ERR offset is out of range"))?;
    let old = view(slot.entry(), Str::of)?.map_or(0, Str::len);
    if value.is_empty() {
        reply.count(old);
        return Ok(Effect::None);
    }
    let end = check_len(offset, value.len(), call)?;
    string::edit(slot, end, |bytes| bytes[offset..end].copy_from_slice(value));
    reply.count(old.max(end));
    Ok(Effect::Changed(Event("setrange")))
}

/// GETRANGE key start end, SUBSTR key start end -> the bytes from start to end, which count from the string's end when
/// negative.
fn getrange(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let (start, end) = (call.integer(2)?, call.integer(3)?);
    let mut buffer = itoa::Buffer::new();
    let value = view(entry, Str::of)?;
    let bytes = value.map_or(&b""[..], |value| value.text(&mut buffer));
    // The wrong way round, before both are moved to the string's beginning.
    let is_backward = start < 0 && end < 0 && start > end;
    let range = clamp(start, end, bytes.len()).filter(|_| !is_backward);
    match (range, value) {
        (None, _) => reply.bulk(b""),
        (Some((0, last)), Some(Str::Shared(shared))) if last + 1 == shared.len() => reply.bulk_shared(shared),
        (Some((first, last)), _) => reply.bulk(&bytes[first..=last]),
    }
    Ok(())
}

/// The first and the last position that a range covers in something of this length; none when it is empty.
///
/// Negative positions count from the end, and whatever lies beyond one is moved to it.
pub(super) fn clamp(start: i64, end: i64, len: usize) -> Option<(usize, usize)> {
    let len = len as i64;
    let from_end = |at: i64| if at < 0 { (at + len).max(0) } else { at };
    let (start, end) = (from_end(start), from_end(end).min(len - 1));
    (start <= end).then_some((start as usize, end as usize))
}

/// `LCS key key [LEN] [IDX] [MINMATCHLEN length] [WITHMATCHLEN]` -> the longest common subsequence, its length, or where it
/// is in both strings.
fn longest_common(entries: &Entries<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    const TYPE: Error = Error::Other("ERR The specified keys must contain string values");
    let mut strings = [None, None];
    for (string, entry) in strings.iter_mut().zip(entries.iter()) {
        *string = entry.map(|entry| Str::of(entry).ok_or(TYPE)).transpose()?;
    }
    let options = LcsOptions::parse(call)?;
    let (mut first, mut second) = (itoa::Buffer::new(), itoa::Buffer::new());
    let a = strings[0].map_or(&b""[..], |string| string.text(&mut first));
    let b = strings[1].map_or(&b""[..], |string| string.text(&mut second));
    if lcs::table_bytes(a.len(), b.len()) > u128::from(call.server.config.proto_max_bulk_len().min(LCS_MAX)) {
        return Err(Error::Other("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"));
    }
    match options.wanted {
        Wanted::Len => reply.count(lcs::common_len(a, b)),
        Wanted::Bytes => reply.bulk(&lcs::common(a, b).bytes),
        Wanted::Matches => {
            let common = lcs::common(a, b);
            let is_long_enough = |it: &&Match| it.len as i64 >= options.len_min;
            reply.map(2);
            reply.bulk(b"matches");
            reply.array(common.runs.iter().filter(is_long_enough).count());
            for it in common.runs.iter().filter(is_long_enough) {
                reply.array(if options.with_len { 3 } else { 2 });
                for start in [it.a, it.b] {
                    reply.array(2);
                    reply.count(start);
                    reply.count(start + it.len - 1);
                }
                if options.with_len {
                    reply.count(it.len);
                }
            }
            reply.bulk(b"len");
            reply.count(common.bytes.len());
        }
    }
    Ok(())
}

/// Bytes of Redis' table for LCS, with its default limit. Kiba's is a 32nd of it; beyond that both keys would be held
/// for too long, so a higher `proto-max-bulk-len` does not raise it.
const LCS_MAX: u64 = 512 << 20;

enum Wanted {
    Bytes,
    Len,
    Matches,
}

struct LcsOptions {
    wanted: Wanted,
    len_min: i64,
    with_len: bool,
}

impl LcsOptions {
    fn parse(call: &Call<'_>) -> Result<Self, Error> {
        let (mut len, mut matches) = (false, false);
        let (mut len_min, mut with_len) = (0, false);
        let mut i = 3;
        while i < call.len() {
            match () {
                () if call.is(i, "idx") => matches = true,
                () if call.is(i, "len") => len = true,
                () if call.is(i, "withmatchlen") => with_len = true,
                () if call.is(i, "minmatchlen") && i + 1 < call.len() => {
                    i += 1;
                    len_min = call.integer(i)?;
                }
                () => return Err(Error::Syntax),
            }
            i += 1;
        }
        let wanted = match (len, matches) {
            (true, true) => {
                return Err(Error::Other("ERR If you want both the length and indexes, please just use IDX."));
            }
            (true, false) => Wanted::Len,
            (false, true) => Wanted::Matches,
            (false, false) => Wanted::Bytes,
        };
        Ok(Self { wanted, len_min, with_len })
    }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_clamped_as_in_redis() {
        let cases = [
            ((0, 3), Some((0, 3))),
            ((0, -1), Some((0, 10))),
            ((-4, -1), Some((7, 10))),
            ((5, 3), None),
            ((5, 5000), Some((5, 10))),
            ((-5000, 10000), Some((0, 10))),
            ((0, -100), Some((0, 0))),
            ((1, -100), None),
            ((-1, -100), None),
            ((-100, -99), Some((0, 0))),
            ((-100, -101), Some((0, 0))),
            ((11, 20), None),
            ((i64::MIN, i64::MAX), Some((0, 10))),
            ((i64::MAX, i64::MIN), None),
        ];
        for ((start, end), expected) in cases {
            assert_eq!(clamp(start, end, 11), expected, "{start} {end}");
        }
        assert_eq!(clamp(0, -1, 0), None);
        assert_eq!(clamp(0, 0, 0), None);
    }
}
