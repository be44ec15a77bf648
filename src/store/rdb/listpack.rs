//! Listpacks: Redis' compact form of small collections since 7.0.
//!
//! ```text
//! listpack  u32 bytes of the whole, u16 elements (65535: unknown), element*, 0xFF
//! element   head, data, length of both, 7 bits a byte, most significant first, bit 7 set on all but the first
//! head      0xxxxxxx  integer of 7 bits          10xxxxxx  string of x bytes
//!           110xxxxx + 1 byte  integer of 13     1110xxxx + 1 byte  string of 12 bits
//!           0xF1 i16, 0xF2 i24, 0xF3 i32, 0xF4 i64               0xF0 + u32  string
//! ```

use super::Damaged;
use super::reader::Reader;
use crate::number::parse_i64;
use crate::store::set::Member;

const HEAD: usize = 6;
const END: u8 = 0xFF;
const COUNT_UNKNOWN: u16 = u16::MAX;

/// Visits the elements in order.
pub fn each<'a>(bytes: &'a [u8], mut visit: impl FnMut(Member<'a>) -> Result<(), Damaged>) -> Result<(), Damaged> {
    let mut reader = Reader::new(bytes);
    let len = reader.u32_le()?;
    let announced = reader.u16_le()?;
    if len as usize != bytes.len() {
        return Err(Damaged);
    }
    let mut count = 0;
    loop {
        let rest = reader.rest();
        let head = reader.byte()?;
        if head == END {
            break;
        }
        let element = element(head, &mut reader)?;
        let used = rest.len() - reader.rest().len();
        let mut length = [0; LENGTH_MAX];
        let length = encode_length(used, &mut length);
        if reader.take(length.len())? != length {
            return Err(Damaged);
        }
        visit(element)?;
        count += 1;
    }
    let is_right = announced == COUNT_UNKNOWN || usize::from(announced) == count;
    if is_right && reader.is_empty() { Ok(()) } else { Err(Damaged) }
}

fn element<'a>(head: u8, reader: &mut Reader<'a>) -> Result<Member<'a>, Damaged> {
    let int = match head {
        0..0x80 => i64::from(head),
        0x80..0xC0 => return reader.take(usize::from(head & 0x3F)).map(Member::Bytes),
        0xC0..0xE0 => {
            let value = i64::from(head & 0x1F) << 8 | i64::from(reader.byte()?);
            if value < 1 << 12 { value } else { value - (1 << 13) }
        }
        0xE0..0xF0 => {
            let len = usize::from(head & 0xF) << 8 | usize::from(reader.byte()?);
            return reader.take(len).map(Member::Bytes);
        }
        0xF0 => {
            let len = reader.u32_le()?;
            return reader.take(len as usize).map(Member::Bytes);
        }
        0xF1 => reader.int_le(2)?,
        0xF2 => reader.int_le(3)?,
        0xF3 => reader.int_le(4)?,
        0xF4 => reader.int_le(8)?,
        _ => return Err(Damaged),
    };
    Ok(Member::from_int(int))
}

/// A listpack that is being written.
#[derive(Debug)]
pub struct Builder {
    bytes: Vec<u8>,
    count: usize,
}

impl Builder {
    pub fn new() -> Self {
        Self { bytes: vec![0; HEAD], count: 0 }
    }

    /// Adds an element: as an integer where its text is that of one.
    pub fn push(&mut self, element: &[u8]) {
        let start = self.bytes.len();
        let len = element.len();
        match parse_i64(element) {
            Some(int) => self.push_int(int),
            None => {
                match len {
                    0..0x40 => self.bytes.push(0x80 | len as u8),
                    0x40..0x1000 => self.bytes.extend_from_slice(&[0xE0 | (len >> 8) as u8, len as u8]),
                    _ => {
                        self.bytes.push(0xF0);
                        self.bytes.extend_from_slice(&(len as u32).to_le_bytes());
                    }
                }
                self.bytes.extend_from_slice(element);
            }
        }
        let mut length = [0; LENGTH_MAX];
        let length = encode_length(self.bytes.len() - start, &mut length);
        self.bytes.extend_from_slice(length);
        self.count += 1;
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.push(END);
        let len = self.bytes.len() as u32;
        let count = u16::try_from(self.count).unwrap_or(COUNT_UNKNOWN);
        self.bytes[..4].copy_from_slice(&len.to_le_bytes());
        self.bytes[4..HEAD].copy_from_slice(&count.to_le_bytes());
        self.bytes
    }

    fn push_int(&mut self, int: i64) {
        let bytes = int.to_le_bytes();
        let (head, width) = match int {
            0..0x80 => return self.bytes.push(int as u8),
            -0x1000..0x1000 => return self.bytes.extend_from_slice(&[0xC0 | (int >> 8) as u8 & 0x1F, int as u8]),
            -0x8000..0x8000 => (0xF1, 2),
            -0x80_0000..0x80_0000 => (0xF2, 3),
            -0x8000_0000..0x8000_0000 => (0xF3, 4),
            _ => (0xF4, 8),
        };
        self.bytes.push(head);
        self.bytes.extend_from_slice(&bytes[..width]);
    }
}

/// Bytes that an element of `len` bytes takes; an integer may take fewer.
pub fn size_of(len: usize) -> usize {
    let head = match len {
        0..0x40 => 1,
        0x40..0x1000 => 2,
        _ => 5,
    };
    head + len + encode_length(head + len, &mut [0; LENGTH_MAX]).len()
}

/// Bytes of the longest length.
const LENGTH_MAX: usize = 5;

/// The length that stands behind an element.
fn encode_length(len: usize, buffer: &mut [u8; LENGTH_MAX]) -> &[u8] {
    // Redis takes one byte more than is needed where all bits are set.
    let width = match len {
        0..0x80 => 1,
        0x80..0x3FFF => 2,
        0x3FFF..0x1F_FFFF => 3,
        0x1F_FFFF..0xFFF_FFFF => 4,
        _ => LENGTH_MAX,
    };
    for (i, byte) in buffer[..width].iter_mut().enumerate() {
        let is_first = i == 0;
        *byte = (len >> (7 * (width - 1 - i))) as u8 & 0x7F | if is_first { 0 } else { 0x80 };
    }
    &buffer[..width]
}
