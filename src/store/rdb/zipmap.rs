//! Zipmaps: Redis' compact form of small hashes up to 2.4.
//!
//! ```text
//! zipmap  u8 fields (254: unknown), field*, 0xFF
//! field   length, name, length, u8 unused bytes, value, the unused bytes
//! length  u8 below 254 | 254, u32
//! ```

use super::Damaged;
use super::reader::Reader;

const END: u8 = 0xFF;
const LARGE: u8 = 254;

/// Visits the fields with their values.
pub fn each<'a>(
    bytes: &'a [u8],
    mut visit: impl FnMut(&'a [u8], &'a [u8]) -> Result<(), Damaged>,
) -> Result<(), Damaged> {
    let mut reader = Reader::new(bytes);
    let announced = reader.byte()?;
    let mut count = 0;
    loop {
        let first = reader.byte()?;
        if first == END {
            break;
        }
        let field = text(first, &mut reader)?;
        let first = reader.byte()?;
        let len = length(first, &mut reader)?;
        let unused = reader.byte()?;
        let value = reader.take(len)?;
        reader.take(usize::from(unused))?;
        visit(field, value)?;
        count += 1;
    }
    let is_right = announced == LARGE || usize::from(announced) == count;
    if is_right && reader.is_empty() { Ok(()) } else { Err(Damaged) }
}

fn text<'a>(first: u8, reader: &mut Reader<'a>) -> Result<&'a [u8], Damaged> {
    let len = length(first, reader)?;
    reader.take(len)
}

fn length(first: u8, reader: &mut Reader<'_>) -> Result<usize, Damaged> {
    match first {
        END => Err(Damaged),
        LARGE => reader.u32_le().map(|len| len as usize),
        len => Ok(usize::from(len)),
    }
}
