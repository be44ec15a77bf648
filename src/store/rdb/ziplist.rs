//! Ziplists: Redis' compact form of small collections up to 6.2.
//!
//! ```text
//! ziplist  u32 bytes of the whole, u32 offset of the last entry, u16 entries (65535: unknown), entry*, 0xFF
//! entry    length of the entry before, head, data
//! length   u8 below 254 | 254, u32
//! head     00xxxxxx  string | 01xxxxxx + 1 byte  string of 14 bits | 10...... + 4 bytes, big-endian  string
//!          0xC0 i16, 0xD0 i32, 0xE0 i64, 0xF0 i24, 0xFE i8, 0xF1 to 0xFD  the integers from 0 to 12
//! ```

use super::Damaged;
use super::reader::Reader;
use crate::store::set::Member;

const HEAD: usize = 10;
const END: u8 = 0xFF;
const LARGE: u8 = 254;
const COUNT_UNKNOWN: u16 = u16::MAX;

/// Visits the elements in order.
pub fn each<'a>(bytes: &'a [u8], mut visit: impl FnMut(Member<'a>) -> Result<(), Damaged>) -> Result<(), Damaged> {
    let mut reader = Reader::new(bytes);
    let (len, tail, announced) = (reader.u32_le()?, reader.u32_le()?, reader.u16_le()?);
    if len as usize != bytes.len() {
        return Err(Damaged);
    }
    let (mut count, mut at, mut before) = (0, HEAD, 0);
    loop {
        let rest = reader.rest();
        let first = reader.byte()?;
        if first == END {
            break;
        }
        let length = if first == LARGE { reader.u32_le()? as usize } else { usize::from(first) };
        if length != before {
            return Err(Damaged);
        }
        visit(element(&mut reader)?)?;
        count += 1;
        before = rest.len() - reader.rest().len();
        at += before;
    }
    let last = at - before;
    let is_right = announced == COUNT_UNKNOWN || usize::from(announced) == count;
    // An empty one may name any place for its last entry.
    let is_tail = count == 0 || tail as usize == last;
    if is_right && is_tail && reader.is_empty() { Ok(()) } else { Err(Damaged) }
}

fn element<'a>(reader: &mut Reader<'a>) -> Result<Member<'a>, Damaged> {
    let head = reader.byte()?;
    let int = match head {
        0..0x40 => return reader.take(usize::from(head)).map(Member::Bytes),
        0x40..0x80 => {
            let len = usize::from(head & 0x3F) << 8 | usize::from(reader.byte()?);
            return reader.take(len).map(Member::Bytes);
        }
        0x80..0xC0 => {
            let len = reader.u32_be()?;
            return reader.take(len as usize).map(Member::Bytes);
        }
        0xC0 => reader.int_le(2)?,
        0xD0 => reader.int_le(4)?,
        0xE0 => reader.int_le(8)?,
        0xF0 => reader.int_le(3)?,
        0xFE => reader.int_le(1)?,
        0xF1..=0xFD => i64::from(head) - 0xF1,
        _ => return Err(Damaged),
    };
    Ok(Member::from_int(int))
}
