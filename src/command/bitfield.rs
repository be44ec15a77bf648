//! Strings as arrays of small integers: BITFIELD BITFIELD_RO.

use super::bitmap::check_offset;
use super::typed::view;
use super::{Arity, Call, Effect, Event, Flags, Keys, Run, Spec};
use crate::error::Error;
use crate::number::parse_i64;
use crate::reply::Reply;
use crate::store::bits;
use crate::store::string::{self, Str};
use crate::store::{Entry, Slot};

pub(super) const SPECS: &[Spec] = &[
    Spec {
        name: "bitfield",
        arity: Arity::at_least(2),
        keys: Keys::ONE,
        run: Run::Write(bitfield),
        flags: Flags::DENYOOM,
        since: "3.2.0",
        complexity: "O(1) for each subcommand specified.",
        summary: "Performs arbitrary bitfield integer operations on strings.",
    },
    Spec {
        name: "bitfield_ro",
        arity: Arity::at_least(2),
        keys: Keys::ONE,
        run: Run::Read(bitfield_ro),
        flags: Flags::FAST,
        since: "6.0.0",
        complexity: "O(1) for each subcommand specified.",
        summary: "Performs arbitrary read-only bitfield integer operations on strings.",
    },
];

/// `BITFIELD key [GET type offset | [OVERFLOW WRAP | SAT | FAIL] <SET type offset value | INCRBY type offset increment>] ...`
/// -> for each the number (SET: the old one); nil for one that fails.
fn bitfield(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let steps = parse(call)?;
    let len = view(slot.entry(), Str::of)?.map(Str::len);
    let Some(last_bit) = steps.iter().filter(|step| step.change.is_some()).map(|step| step.field.last_bit()).max()
    else {
        write_values(slot.entry(), &steps, reply);
        return Ok(Effect::None);
    };
    let needed = last_bit / 8 + 1;
    reply.array(steps.len());
    let is_changed = string::edit(slot, needed, |bytes| {
        let mut is_changed = false;
        for step in &steps {
            let old = step.field.get(bytes);
            match step.result(old) {
                Some((new, answer)) => {
                    if new != old {
                        step.field.set(bytes, new);
                        is_changed = true;
                    }
                    reply.integer(answer);
                }
                None => reply.nil(),
            }
        }
        is_changed
    });
    let has_grown = len.is_none_or(|len| needed > len);
    Ok(if is_changed || has_grown { Effect::Changed(Event("setbit")) } else { Effect::None })
}

/// BITFIELD_RO key [GET type offset] ... -> the numbers.
fn bitfield_ro(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let steps = parse(call)?;
    if steps.iter().any(|step| step.change.is_some()) {
        return Err(Error::Other("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    view(entry, Str::of)?;
    write_values(entry, &steps, reply);
    Ok(())
}

fn write_values(entry: Option<&Entry>, steps: &[Step], reply: &mut Reply) {
    let mut buffer = itoa::Buffer::new();
    let bytes = entry.and_then(Str::of).map_or(&b""[..], |value| value.text(&mut buffer));
    reply.array(steps.len());
    steps.iter().for_each(|step| reply.integer(step.field.get(bytes)));
}

/// Where a number is, and its type.
#[derive(Clone, Copy, Debug)]
struct Field {
    bit: usize,
    /// 1 to 64; to 63 without a sign.
    width: u32,
    is_signed: bool,
}

impl Field {
    fn get(self, bytes: &[u8]) -> i64 {
        let value = bits::get_field(bytes, self.bit, self.width);
        if self.is_signed {
            let shift = 64 - self.width;
            (value << shift) as i64 >> shift
        } else {
            // At most 63 bits.
            value as i64
        }
    }

    fn set(self, bytes: &mut [u8], value: i64) {
        bits::set_field(bytes, self.bit, self.width, value as u64);
    }

    fn last_bit(self) -> usize {
        self.bit + self.width as usize - 1
    }

    /// The least and the greatest number.
    fn range(self) -> (i128, i128) {
        if self.is_signed {
            (-(1 << (self.width - 1)), (1 << (self.width - 1)) - 1)
        } else {
            (0, (1 << self.width) - 1)
        }
    }

    /// The number with the same lowest bits.
    fn wrap(self, value: i128) -> i64 {
        let shift = 128 - self.width;
        let value = (value as u128) << shift;
        if self.is_signed { (value as i128 >> shift) as i64 } else { (value >> shift) as i64 }
    }
}

/// What happens to a number that does not fit.
#[derive(Clone, Copy, Debug)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Set(i64, Overflow),
    Add(i64, Overflow),
}

/// One subcommand; without a change it is GET.
#[derive(Clone, Copy, Debug)]
struct Step {
    field: Field,
    change: Option<Change>,
}

impl Step {
    /// The new number and the answer; none when it fails.
    fn result(self, old: i64) -> Option<(i64, i64)> {
        let (wanted, overflow) = match self.change {
            None => return Some((old, old)),
            // A negative number is a large one where there is no sign, as in Redis.
            Some(Change::Set(value, overflow)) if !self.field.is_signed => (i128::from(value as u64), overflow),
            Some(Change::Set(value, overflow)) => (i128::from(value), overflow),
            Some(Change::Add(amount, overflow)) => (i128::from(old) + i128::from(amount), overflow),
        };
        let (least, greatest) = self.field.range();
        let new = match overflow {
            _ if (least..=greatest).contains(&wanted) => wanted as i64,
            Overflow::Wrap => self.field.wrap(wanted),
            Overflow::Saturate => wanted.clamp(least, greatest) as i64,
            Overflow::Fail => return None,
        };
        Some((new, if matches!(self.change, Some(Change::Set(..))) { old } else { new }))
    }
}

fn parse(call: &Call<'_>) -> Result<Vec<Step>, Error> {
    let mut steps = Vec::new();
    let mut overflow = Overflow::Wrap;
    let mut i = 2;
    while i < call.len() {
        let more = call.len() - i - 1;
        let change: Option<fn(i64, Overflow) -> Change> = match () {
            () if call.is(i, "get") && more >= 2 => None,
            () if call.is(i, "set") && more >= 3 => Some(Change::Set),
            () if call.is(i, "incrby") && more >= 3 => Some(Change::Add),
            () if call.is(i, "overflow") && more >= 1 => {
                overflow = match () {
                    () if call.is(i + 1, "wrap") => Overflow::Wrap,
                    () if call.is(i + 1, "sat") => Overflow::Saturate,
                    () if call.is(i + 1, "fail") => Overflow::Fail,
                    () => return Err(Error::Other("ERR Invalid OVERFLOW type specified")),
                };
                i += 2;
                continue;
            }
            () => return Err(Error::Syntax),
        };
        let field = parse_field(call.arg(i + 1), call.arg(i + 2), call)?;
        let change = match change {
            None => None,
            Some(change) => Some(change(call.integer(i + 3)?, overflow)),
        };
        i += if change.is_some() { 4 } else { 3 };
        steps.push(Step { field, change });
    }
    Ok(steps)
}

/// Reads a type such as `i16` or `u8`, and an offset, which with `#` in front counts numbers of this type.
fn parse_field(name: &[u8], offset: &[u8], call: &Call<'_>) -> Result<Field, Error> {
    const BAD_TYPE: Error = Error::Other(
        "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
    );
    let (is_signed, width_max, width) = match name {
        [b'i', width @ ..] => (true, 64, width),
        [b'u', width @ ..] => (false, 63, width),
        _ => return Err(BAD_TYPE),
    };
    let width = parse_i64(width).filter(|width| (1..=width_max).contains(width)).ok_or(BAD_TYPE)?;
    let bit = match offset {
        [b'#', index @ ..] => parse_i64(index).and_then(|index| index.checked_mul(width)),
        _ => parse_i64(offset),
    };
    Ok(Field { bit: check_offset(bit, call)?, width: width as u32, is_signed })
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    fn result(type_name: &str, old: i64, change: Change) -> Option<(i64, i64)> {
        let is_signed = type_name.starts_with('i');
        let width = type_name[1..].parse().expect("a width");
        Step { field: Field { bit: 0, width, is_signed }, change: Some(change) }.result(old)
    }

    #[test]
    fn numbers_overflow_as_asked() {
        use Change::{Add, Set};
        use Overflow::{Fail, Saturate, Wrap};
        for (name, old, change, expected) in [
            ("u2", 3, Add(1, Wrap), Some((0, 0))),
            ("u2", 3, Add(1, Saturate), Some((3, 3))),
            ("u2", 3, Add(1, Fail), None),
            ("u2", 0, Add(-1, Wrap), Some((3, 3))),
            ("u2", 0, Add(-1, Saturate), Some((0, 0))),
            ("u8", 7, Set(-1, Saturate), Some((255, 7))),
            ("u8", 7, Set(-1, Wrap), Some((255, 7))),
            ("u8", 7, Set(-1, Fail), None),
            ("u63", i64::MAX, Add(1, Wrap), Some((0, 0))),
            ("u63", 0, Add(i64::MIN, Wrap), Some((0, 0))),
            ("i8", 127, Add(1, Wrap), Some((-128, -128))),
            ("i8", -128, Add(-1, Wrap), Some((127, 127))),
            ("i8", -128, Add(-1, Saturate), Some((-128, -128))),
            ("i8", 5, Set(200, Saturate), Some((127, 5))),
            ("i8", 5, Set(200, Wrap), Some((-56, 5))),
            ("i64", i64::MAX, Add(1, Wrap), Some((i64::MIN, i64::MIN))),
            ("i64", i64::MIN, Add(i64::MIN, Saturate), Some((i64::MIN, i64::MIN))),
            ("i64", i64::MAX, Add(i64::MAX, Fail), None),
            ("i1", 0, Add(1, Wrap), Some((-1, -1))),
            ("i1", -1, Set(0, Fail), Some((0, -1))),
        ] {
            assert_eq!(result(name, old, change), expected, "{name} {old} {change:?}");
        }
    }
}
