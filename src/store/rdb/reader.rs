//! Reading Redis' format from bytes that may be anything.

use std::borrow::Cow;

use super::{Damaged, lzf};

/// What is left to read.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

/// A length, or a mark that says how the string that follows is encoded.
enum Length {
    Plain(u64),
    Encoded(u8),
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn byte(&mut self) -> Result<u8, Damaged> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Damaged> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Damaged)?;
        self.rest = rest;
        Ok(taken)
    }

    pub fn u16_le(&mut self) -> Result<u16, Damaged> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32_le(&mut self) -> Result<u32, Damaged> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64_le(&mut self) -> Result<u64, Damaged> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn u32_be(&mut self) -> Result<u32, Damaged> {
        self.array().map(u32::from_be_bytes)
    }

    /// A signed little-endian integer of `width` bytes, 1 to 8.
    pub fn int_le(&mut self, width: usize) -> Result<i64, Damaged> {
        let mut bytes = [0; 8];
        bytes[8 - width..].copy_from_slice(self.take(width)?);
        Ok(i64::from_le_bytes(bytes) >> (64 - 8 * width))
    }

    /// A number of things, each of which takes at least one byte of what follows.
    pub fn count(&mut self) -> Result<usize, Damaged> {
        let Length::Plain(count) = self.length()? else { return Err(Damaged) };
        usize::try_from(count).ok().filter(|&count| count <= self.rest.len()).ok_or(Damaged)
    }

    /// A number that announces nothing.
    pub fn number(&mut self) -> Result<u64, Damaged> {
        match self.length()? {
            Length::Plain(number) => Ok(number),
            Length::Encoded(_) => Err(Damaged),
        }
    }

    /// A string; a compressed one of more than `most` bytes is refused.
    pub fn string(&mut self, most: usize) -> Result<Cow<'a, [u8]>, Damaged> {
        let int = match self.length()? {
            Length::Plain(len) => {
                let len = usize::try_from(len).map_err(|_| Damaged)?;
                return self.take(len).map(Cow::Borrowed);
            }
            Length::Encoded(0) => self.int_le(1)?,
            Length::Encoded(1) => self.int_le(2)?,
            Length::Encoded(2) => self.int_le(4)?,
            Length::Encoded(3) => {
                let packed = self.count()?;
                let len = usize::try_from(self.number()?).ok().filter(|len| *len <= most).ok_or(Damaged)?;
                return lzf::decompress(self.take(packed)?, len).map(Cow::Owned);
            }
            Length::Encoded(_) => return Err(Damaged),
        };
        Ok(Cow::Owned(itoa::Buffer::new().format(int).as_bytes().to_vec()))
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn length(&mut self) -> Result<Length, Damaged> {
        let head = self.byte()?;
        let low = head & 0x3F;
        Ok(match head >> 6 {
            0 => Length::Plain(low.into()),
            1 => Length::Plain(u64::from(low) << 8 | u64::from(self.byte()?)),
            2 if low == 0 => Length::Plain(self.u32_be()?.into()),
            2 if low == 1 => Length::Plain(u64::from_be_bytes(self.array()?)),
            3 => Length::Encoded(low),
            _ => return Err(Damaged),
        })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        self.take(N).map(|bytes| bytes.try_into().expect("as many as were taken"))
    }
}
