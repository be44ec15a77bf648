//! Writing values in Redis' format.

use super::kind;
use super::listpack::{self, Builder};
use super::lzf::Compressor;
use crate::number::{format_f64, parse_i64};
use crate::store::intset::Ints;
use crate::store::string::Str;
use crate::store::{Entry, hash, list, set, stream, zset};

/// Strings up to this length are not worth compressing, and compressing has to save this much.
const SHORT: usize = 20;
const SAVED_MIN: usize = 4;

/// Bytes of one node of a list, unless a single element has more: Redis' default.
const NODE_BYTES: usize = 8192;

/// Appends values to a vector.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
    compressor: Compressor,
}

impl Writer {
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// The type of a value, and the value as it is at the time `now`.
    pub fn value(&mut self, entry: &Entry, now: u64) {
        if let Some(string) = Str::of(entry) {
            self.out.push(kind::STRING);
            match string {
                Str::Int(int) => self.string(itoa::Buffer::new().format(int).as_bytes()),
                Str::Bytes(bytes) => self.string(bytes),
                Str::Shared(bytes) => self.string(bytes),
            }
        } else if let Some(list) = list::View::of(entry) {
            self.list(list);
        } else if let Some(set) = set::View::of(entry) {
            self.set(set);
        } else if let Some(hash) = hash::View::of(entry, now) {
            self.hash(hash);
        } else if let Some(zset) = zset::View::of(entry) {
            self.zset(zset);
        } else if let Some(stream) = stream::of(entry) {
            self.stream(stream);
        }
    }

    fn list(&mut self, list: list::View<'_>) {
        /// A node that is a listpack.
        const PACKED: u64 = 2;
        self.out.push(kind::LIST_QUICKLIST_2);
        // The number of nodes comes first; making all of them before the first is written would double the memory.
        let mut nodes = 1;
        each_in_nodes(list, |_, is_first| nodes += u64::from(is_first));
        self.length(nodes);
        let mut node = Builder::new();
        let mut finish = |node: Builder| {
            self.length(PACKED);
            self.string(&node.finish());
        };
        each_in_nodes(list, |element, is_first| {
            if is_first {
                finish(std::mem::replace(&mut node, Builder::new()));
            }
            node.push(element);
        });
        finish(node);
    }

    fn set(&mut self, set: set::View<'_>) {
        if let set::View::Ints(ints) = set {
            self.out.push(kind::SET_INTSET);
            return self.string(&intset(ints));
        }
        // Redis 7.0 knows no small sets of texts.
        self.out.push(kind::SET);
        self.length(set.len() as u64);
        set.iter().for_each(|member| self.string(&member));
    }

    fn hash(&mut self, hash: hash::View<'_>) {
        let is_small = matches!(hash, hash::View::Packed(_) | hash::View::TimedPack(_));
        let first = hash.iter().filter_map(|(field, _)| hash.deadline(field).flatten()).min();
        if let Some(first) = first {
            return self.timed_hash(hash, first, is_small);
        }
        if is_small {
            let mut fields = Builder::new();
            hash.iter().flat_map(|(field, value)| [field, value]).for_each(|text| fields.push(text));
            self.out.push(kind::HASH_LISTPACK);
            return self.string(&fields.finish());
        }
        self.out.push(kind::HASH);
        self.length(hash.len() as u64);
        for (field, value) in hash.iter() {
            self.string(field);
            self.string(value);
        }
    }

    /// A hash of which fields have deadlines, the first of them at `first`.
    fn timed_hash(&mut self, hash: hash::View<'_>, first: u64, is_small: bool) {
        let fields = hash.iter().map(|(field, value)| (field, value, hash.deadline(field).flatten()));
        if is_small {
            let mut triples = Builder::new();
            // Those without a deadline come last, as they do in the pack.
            for (field, value, deadline) in fields {
                triples.push(field);
                triples.push(value);
                triples.push(itoa::Buffer::new().format(deadline.unwrap_or(0)).as_bytes());
            }
            self.out.push(kind::HASH_LISTPACK_TIMED);
            self.out.extend_from_slice(&first.to_le_bytes());
            return self.string(&triples.finish());
        }
        self.out.push(kind::HASH_TIMED);
        self.out.extend_from_slice(&first.to_le_bytes());
        self.length(hash.len() as u64);
        for (field, value, deadline) in fields {
            // Counted from the first, and from 1.
            self.length(deadline.map_or(0, |deadline| deadline - first + 1));
            self.string(field);
            self.string(value);
        }
    }

    fn zset(&mut self, zset: zset::View<'_>) {
        if let zset::View::Packed(_) = zset {
            let mut items = Builder::new();
            for item in zset.iter() {
                items.push(item.member);
                items.push(&format_f64(item.score));
            }
            self.out.push(kind::ZSET_LISTPACK);
            return self.string(&items.finish());
        }
        self.out.push(kind::ZSET_2);
        self.length(zset.len() as u64);
        for item in zset.iter() {
            self.string(item.member);
            self.out.extend_from_slice(&item.score.to_le_bytes());
        }
    }

    /// Bytes as they are.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.out.push(byte);
    }

    pub(super) fn string(&mut self, bytes: &[u8]) {
        // Longer texts are no integers of 32 bits.
        let int = if bytes.len() <= 11 { parse_i64(bytes).and_then(|int| i32::try_from(int).ok()) } else { None };
        if let Some(int) = int {
            return self.int(int);
        }
        if bytes.len() > SHORT && self.compressed(bytes) {
            return;
        }
        self.length(bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    fn int(&mut self, int: i32) {
        let bytes = int.to_le_bytes();
        let (mark, width) = match int {
            -0x80..0x80 => (0xC0, 1),
            -0x8000..0x8000 => (0xC1, 2),
            _ => (0xC2, 4),
        };
        self.out.push(mark);
        self.out.extend_from_slice(&bytes[..width]);
    }

    /// Whether it was shorter that way.
    fn compressed(&mut self, bytes: &[u8]) -> bool {
        let mut packed = Vec::new();
        if !self.compressor.compress(bytes, bytes.len() - SAVED_MIN, &mut packed) {
            return false;
        }
        self.out.push(0xC3);
        self.length(packed.len() as u64);
        self.length(bytes.len() as u64);
        self.out.extend_from_slice(&packed);
        true
    }

    pub(super) fn length(&mut self, len: u64) {
        match len {
            0..0x40 => self.out.push(len as u8),
            0x40..0x4000 => self.out.extend_from_slice(&[0x40 | (len >> 8) as u8, len as u8]),
            0x4000..=0xFFFF_FFFF => {
                self.out.push(0x80);
                self.out.extend_from_slice(&(len as u32).to_be_bytes());
            }
            _ => {
                self.out.push(0x81);
                self.out.extend_from_slice(&len.to_be_bytes());
            }
        }
    }
}

/// Visits the elements of a list, and says of each whether a node other than the first begins with it.
fn each_in_nodes<'a>(list: list::View<'a>, mut visit: impl FnMut(&'a [u8], bool)) {
    let mut used = 0_usize;
    for element in list.iter() {
        let size = listpack::size_of(element.len());
        let is_first = used > 0 && used + size > NODE_BYTES;
        used = if is_first { size } else { used + size };
        visit(element, is_first);
    }
}

/// Redis' form of a set of integers: u32 width, u32 count, the integers ascending.
fn intset(ints: Ints<'_>) -> Vec<u8> {
    let width = [ints.min(), ints.max()].into_iter().flatten().map(width_of).max().unwrap_or(2);
    let mut bytes = Vec::with_capacity(8 + ints.len() * width);
    bytes.extend_from_slice(&(width as u32).to_le_bytes());
    bytes.extend_from_slice(&(ints.len() as u32).to_le_bytes());
    ints.iter().for_each(|int| bytes.extend_from_slice(&int.to_le_bytes()[..width]));
    bytes
}

fn width_of(int: i64) -> usize {
    match int {
        -0x8000..0x8000 => 2,
        -0x8000_0000..0x8000_0000 => 4,
        _ => 8,
    }
}
