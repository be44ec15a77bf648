//! Redis' format of values: what DUMP and RESTORE exchange.
//!
//! ```text
//! payload   u8 type, value, u16 version, u64 checksum            all integers little-endian unless said otherwise
//! checksum  CRC-64 (Jones, reflected) of all before it
//! length    00xxxxxx  6 bits | 01xxxxxx + 1 byte  14 bits, high ones first
//!           0x80 + 4 bytes, big-endian | 0x81 + 8 bytes, big-endian
//! string    length, bytes | 0xC0 i8 | 0xC1 i16 | 0xC2 i32
//!           0xC3, length of what follows, length of the string, LZF
//! ```
//!
//! What is read may come from anybody: everything is checked, and no memory is taken because a length announces it.
//! What is written can be read by Redis 7.0 and later.
//!
//! Source: `rdb.c`, `listpack.c`, `ziplist.c`, `zipmap.c` and `intset.c` of Redis 7.0 and 7.4.

mod listpack;
mod lzf;
mod reader;
mod stream;
#[cfg(all(test, not(kiba_loom)))]
mod tests;
mod value;
mod writer;
mod ziplist;
mod zipmap;

use crc::{CRC_64_REDIS, Crc, Table};

pub use self::reader::Reader;
pub use self::writer::Writer;
use super::{Entry, Limits};

/// The version that is written, Redis 7.0's, but for what came later.
const VERSION: u16 = 10;

/// The first version of hashes whose fields have deadlines, Redis 7.4's; the last one that is read.
const VERSION_OF_TIMED: u16 = 12;

/// Bytes of version and checksum.
const FOOTER: usize = 10;

const CRC: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// Types of values, by the byte in front of them.
mod kind {
    pub const STRING: u8 = 0;
    pub const LIST: u8 = 1;
    pub const SET: u8 = 2;
    pub const ZSET: u8 = 3;
    pub const HASH: u8 = 4;
    pub const ZSET_2: u8 = 5;
    pub const HASH_ZIPMAP: u8 = 9;
    pub const LIST_ZIPLIST: u8 = 10;
    pub const SET_INTSET: u8 = 11;
    pub const ZSET_ZIPLIST: u8 = 12;
    pub const HASH_ZIPLIST: u8 = 13;
    pub const LIST_QUICKLIST: u8 = 14;
    pub const STREAM: u8 = 15;
    pub const HASH_LISTPACK: u8 = 16;
    pub const ZSET_LISTPACK: u8 = 17;
    pub const LIST_QUICKLIST_2: u8 = 18;
    pub const STREAM_2: u8 = 19;
    pub const SET_LISTPACK: u8 = 20;
    pub const STREAM_3: u8 = 21;
    pub const HASH_TIMED: u8 = 24;
    pub const HASH_LISTPACK_TIMED: u8 = 25;
}

/// Bytes that are no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

/// Why a payload was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It was written by a later version, or it is not what was written.
    Footer,
    /// Its checksum is right but its content is nothing that can be read.
    Content,
}

/// How values are made out of what is read.
#[derive(Clone, Debug)]
pub struct Making<'a> {
    pub key: &'a [u8],
    /// The access clock.
    pub clock: u32,
    pub limits: &'a Limits,
    /// Longest string that may come out of a compressed one.
    pub string_max: usize,
}

/// The payload of a value at the time `now`.
pub fn dump(entry: &Entry, now: u64) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.value(entry, now);
    let mut payload = writer.into_bytes();
    let is_timed = matches!(payload[0], kind::HASH_TIMED | kind::HASH_LISTPACK_TIMED);
    let version = if is_timed { VERSION_OF_TIMED } else { VERSION };
    payload.extend_from_slice(&version.to_le_bytes());
    let checksum = CRC.checksum(&payload);
    payload.extend_from_slice(&checksum.to_le_bytes());
    payload
}

/// Bytes of a value in this format, without its type. As slow as [`dump`].
pub fn size(entry: &Entry, now: u64) -> usize {
    let mut writer = Writer::default();
    writer.value(entry, now);
    writer.into_bytes().len() - 1
}

/// The value of a payload, without a deadline of its own; fields of a hash may have some, and be due.
///
/// # Errors
/// Why it is none.
pub fn restore(payload: &[u8], making: &Making<'_>) -> Result<Entry, Refused> {
    let (body, footer) = payload.len().checked_sub(FOOTER).map(|at| payload.split_at(at)).ok_or(Refused::Footer)?;
    let (version, checksum) = footer.split_at(2);
    let is_known = u16::from_le_bytes(version.try_into().expect("two bytes")) <= VERSION_OF_TIMED;
    let expected = CRC.checksum(&payload[..payload.len() - checksum.len()]);
    if !is_known || checksum != expected.to_le_bytes() {
        return Err(Refused::Footer);
    }
    let mut reader = Reader::new(body);
    let entry = reader.value(making).map_err(|Damaged| Refused::Content)?;
    // What is left over shows that the value was not understood.
    if reader.is_empty() { Ok(entry) } else { Err(Refused::Content) }
}
