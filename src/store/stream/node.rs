//! A node: some consecutive entries of a stream in one byte string.
//!
//! ```text
//! node     names, frame*
//! names    varint count, the field names of the first entry, each an element
//! frame    varint length, entry, the same varint mirrored (as in `pack`)
//! entry    head, varint ms behind the node's first ID, [varint seq], then values, each an element;
//!          or, when its field names are others: varint count, then (name, value), each an element
//! head     bit 0: the field names are those of the node; bits 1-7: seq, 127 when it follows
//!          seq counts from the first ID's while ms is the same, from 0 beyond
//! element  0xxxxxxx  integer of 7 bits          10xxxxxx  string of x bytes
//!          110xxxxx + 1 byte  integer of 13     1110xxxx + 1 byte  string of 12 bits
//!          0xF1 i16, 0xF2 i24, 0xF3 i32, 0xF4 i64               0xF0 + u32  string
//! ```
//!
//! An element is one of Redis' listpacks without the length behind it. A typical entry with one field costs six bytes
//! besides its value, where Redis' costs ten. Entries that are removed leave at once; how many there were, and how large
//! Redis' node would be, is remembered, because both decide when a node is full and so what `~` trims.

use super::Id;
use crate::number::parse_i64;
use crate::store::pack::{self, Frame, Frames};
use crate::store::set::Member;

/// Bytes that a listpack has besides its elements.
const LISTPACK_FRAME: usize = 7;

/// Largest node, whatever the configuration says, and most bytes of a single entry.
pub const BYTES_MAX: usize = 1 << 30;

/// Bit of an entry's head: the field names are those of the node.
const SAME_NAMES: u8 = 1;

/// The sequence number in an entry's head that says that the true one follows.
const SEQ_FOLLOWS: u8 = 127;

/// Some consecutive entries.
#[derive(Clone, Debug)]
pub struct Node {
    bytes: Vec<u8>,
    /// The ID of the entry that it was made for, which may be gone.
    first: Id,
    /// The ID of the entry added last, which may be gone.
    last: Id,
    /// Where the frames begin.
    body: u32,
    /// Entries that are there.
    live: u32,
    /// Entries that were removed one by one.
    dead: u32,
    /// Bytes of the elements of Redis' listpack, without the two counts at its beginning.
    listpack: u32,
}

impl Node {
    /// A node of one entry, whose fields and values alternate in `pairs`.
    pub fn new<'a>(id: Id, pairs: impl ExactSizeIterator<Item = &'a [u8]> + Clone) -> Self {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, (pairs.len() / 2) as u64);
        // The number of fields, and the end mark of the names.
        let mut listpack = size_of_int((pairs.len() / 2) as i64) + size_of_int(0);
        for name in pairs.clone().step_by(2) {
            listpack += put(&mut bytes, name);
        }
        let body = bytes.len() as u32;
        let mut node = Self { bytes, first: id, last: id, body, live: 0, dead: 0, listpack: listpack as u32 };
        node.push(id, pairs);
        node
    }

    /// Adds an entry behind all others.
    pub fn push<'a>(&mut self, id: Id, pairs: impl ExactSizeIterator<Item = &'a [u8]> + Clone) {
        let count = pairs.len() / 2;
        let is_same = self.has_names(pairs.clone(), count);
        let start = self.bytes.len();
        let ms = id.ms - self.first.ms;
        let seq = if ms == 0 { id.seq - self.first.seq } else { id.seq };
        let short = u8::try_from(seq).ok().filter(|seq| *seq < SEQ_FOLLOWS);
        let head = short.unwrap_or(SEQ_FOLLOWS) << 1 | if is_same { SAME_NAMES } else { 0 };
        // A length below 128 needs one byte, which nearly all have.
        self.bytes.extend_from_slice(&[0, head]);
        put_varint(&mut self.bytes, ms);
        if short.is_none() {
            put_varint(&mut self.bytes, seq);
        }
        // Flags, both parts of the ID, and the number of elements behind.
        let redis_seq = id.seq.wrapping_sub(self.first.seq) as i64;
        let mut size = size_of_int(0) + size_of_int(ms as i64) + size_of_int(redis_seq);
        if is_same {
            let mut rest = pairs;
            while let (Some(_), Some(value)) = (rest.next(), rest.next()) {
                size += put(&mut self.bytes, value);
            }
            size += size_of_int(count as i64 + 3);
        } else {
            put_varint(&mut self.bytes, count as u64);
            size += size_of_int(count as i64) + size_of_int(2 * count as i64 + 4);
            pairs.for_each(|element| size += put(&mut self.bytes, element));
        }
        self.close(start);
        self.listpack = self.listpack.saturating_add(u32::try_from(size).unwrap_or(u32::MAX));
        self.last = id;
        self.live += 1;
    }

    /// Writes the length of the frame that begins at `start` with room for a length of one byte, and mirrors it.
    #[inline]
    fn close(&mut self, start: usize) {
        let len = self.bytes.len() - start - 1;
        if len < 0x80 {
            self.bytes[start] = len as u8;
            self.bytes.push(len as u8);
            return;
        }
        let length = pack::header(len);
        self.bytes.splice(start..=start, length.bytes().iter().copied());
        self.bytes.extend(length.bytes().iter().rev());
    }

    /// Removes the entry with this ID; whether it was there.
    pub fn remove(&mut self, id: Id) -> bool {
        let Some(frame) = self.frames().find(|frame| self.id_in(frame.data) >= id) else { return false };
        if self.id_in(frame.data) != id {
            return false;
        }
        let (at, size) = (frame.at, frame.size());
        self.cut(at, size, 1);
        true
    }

    /// Removes the first `count` entries, of which there are more.
    pub fn remove_first(&mut self, count: usize) {
        if let Some(frame) = self.frames().nth(count) {
            let at = self.body as usize;
            self.cut(at, frame.at - at, count);
        }
    }

    fn cut(&mut self, at: usize, size: usize, count: usize) {
        self.bytes.drain(at..at + size);
        self.live -= count as u32;
        self.dead += count as u32;
        if self.bytes.capacity() > 2 * self.bytes.len() {
            self.bytes.shrink_to_fit();
        }
    }

    /// Gives back what was kept free for more entries.
    pub fn seal(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// Whether there is room for another entry of so many bytes of fields and values: as Redis decides it.
    pub fn has_room(&self, bytes: usize, limit: NodeLimit) -> bool {
        let most = if limit.bytes == 0 { BYTES_MAX } else { limit.bytes.min(BYTES_MAX) };
        let count = u64::from(self.live) + u64::from(self.dead);
        self.listpack_bytes().saturating_add(bytes) < most && (limit.entries == 0 || count < limit.entries)
    }

    /// Bytes that Redis' node would have.
    fn listpack_bytes(&self) -> usize {
        LISTPACK_FRAME + size_of_int(self.live.into()) + size_of_int(self.dead.into()) + self.listpack as usize
    }

    pub fn first(&self) -> Id {
        self.first
    }

    /// The ID of the entry added last, which may be gone.
    pub fn last(&self) -> Id {
        self.last
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.live as usize
    }

    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// The entries from `start` to `end`, both included.
    pub fn range(&self, start: Id, end: Id) -> Items<'_> {
        let from = self.place(start);
        let to = if start == end {
            let found = Frames::new(&self.bytes, from, self.bytes.len()).next();
            found.filter(|frame| self.id_in(frame.data) == end).map_or(from, |frame| frame.end())
        } else {
            end.next().map_or(self.bytes.len(), |behind| self.place(behind))
        };
        Items { node: self, frames: Frames::new(&self.bytes, from, to) }
    }

    /// All entries.
    pub fn items(&self) -> Items<'_> {
        Items { node: self, frames: self.frames() }
    }

    /// Where the entries with `id` and larger IDs begin: found from the front, or from the back where the ID suggests that
    /// this is nearer.
    fn place(&self, id: Id) -> usize {
        if id <= self.first {
            return self.body as usize;
        }
        let mut place = self.bytes.len();
        if id > self.last {
            return place;
        }
        let (first, last) = (self.first.as_u128(), self.last.as_u128());
        let mut frames = self.frames();
        if id.as_u128() - first <= (last - first) / 2 {
            return frames.find(|frame| self.id_in(frame.data) >= id).map_or(place, |frame| frame.at);
        }
        while let Some(frame) = frames.next_back().filter(|frame| self.id_in(frame.data) >= id) {
            place = frame.at;
        }
        place
    }

    fn frames(&self) -> Frames<'_> {
        Frames::new(&self.bytes, self.body as usize, self.bytes.len())
    }

    /// Whether the names of `count` pairs are those of the node.
    fn has_names<'a>(&self, mut pairs: impl Iterator<Item = &'a [u8]>, count: usize) -> bool {
        let (own, mut at) = varint(&self.bytes, 0);
        if own != count as u64 {
            return false;
        }
        while let (Some(name), Some(_)) = (pairs.next(), pairs.next()) {
            let (element, next) = element(&self.bytes, at);
            if *element != *name {
                return false;
            }
            at = next;
        }
        true
    }

    fn id_in(&self, entry: &[u8]) -> Id {
        self.head_of(entry).0
    }

    /// The ID of an entry, and where its values or fields begin.
    #[inline]
    fn head_of(&self, entry: &[u8]) -> (Id, usize) {
        let (ms, at) = varint(entry, 1);
        let (seq, at) = match entry[0] >> 1 {
            SEQ_FOLLOWS => varint(entry, at),
            seq => (u64::from(seq), at),
        };
        let seq = if ms == 0 { self.first.seq + seq } else { seq };
        (Id::new(self.first.ms + ms, seq), at)
    }

    fn item<'a>(&'a self, frame: Frame<'a>) -> Item<'a> {
        let entry = frame.data;
        let (id, at) = self.head_of(entry);
        if entry[0] & SAME_NAMES != 0 {
            let (count, names) = varint(&self.bytes, 0);
            Item { id, count: count as usize, names: Some(&self.bytes[names..]), rest: &entry[at..] }
        } else {
            let (count, at) = varint(entry, at);
            Item { id, count: count as usize, names: None, rest: &entry[at..] }
        }
    }
}

/// When a node is full; 0 for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeLimit {
    pub bytes: usize,
    pub entries: u64,
}

impl Default for NodeLimit {
    fn default() -> Self {
        Self { bytes: 4096, entries: 100 }
    }
}

/// One entry.
#[derive(Clone, Copy)]
pub struct Item<'a> {
    pub id: Id,
    count: usize,
    /// The node's field names, where they are the entry's.
    names: Option<&'a [u8]>,
    rest: &'a [u8],
}

impl<'a> Item<'a> {
    /// Number of fields.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether the field names of both are the same, as far as that can be told at a glance.
    pub fn has_names_of(&self, other: &Self) -> bool {
        self.names.is_some() && other.names.is_some()
    }

    /// The field names with their values.
    pub fn pairs(&self) -> impl ExactSizeIterator<Item = (Member<'a>, Member<'a>)> + use<'a> {
        let (mut names, mut rest) = (self.names, self.rest);
        (0..self.count).map(move |_| {
            let name = take(names.as_mut().unwrap_or(&mut rest));
            (name, take(&mut rest))
        })
    }
}

impl std::fmt::Debug for Item<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pairs =
            self.pairs().map(|(name, value)| (name.escape_ascii().to_string(), value.escape_ascii().to_string()));
        f.debug_tuple("Item").field(&self.id.to_string()).field(&pairs.collect::<Vec<_>>()).finish()
    }
}

/// Entries of a node, from either end.
#[derive(Clone)]
pub struct Items<'a> {
    node: &'a Node,
    frames: Frames<'a>,
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        self.frames.next().map(|frame| self.node.item(frame))
    }
}

impl<'a> DoubleEndedIterator for Items<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<Item<'a>> {
        self.frames.next_back().map(|frame| self.node.item(frame))
    }
}

/// Takes the first element off.
fn take<'a>(rest: &mut &'a [u8]) -> Member<'a> {
    let (element, next) = element(rest, 0);
    *rest = &rest[next..];
    element
}

/// The element at `at`, and where the next one begins.
#[inline]
fn element(bytes: &[u8], at: usize) -> (Member<'_>, usize) {
    let text = |from: usize, len: usize| (Member::Bytes(&bytes[from..from + len]), from + len);
    let head = bytes[at];
    match head {
        0..0x80 => (Member::from_int(head.into()), at + 1),
        0x80..0xC0 => text(at + 1, usize::from(head & 0x3F)),
        0xC0..0xE0 => {
            let value = i64::from(head & 0x1F) << 8 | i64::from(bytes[at + 1]);
            (Member::from_int(if value < 1 << 12 { value } else { value - (1 << 13) }), at + 2)
        }
        0xE0..0xF0 => text(at + 2, usize::from(head & 0xF) << 8 | usize::from(bytes[at + 1])),
        0xF0 => {
            let len = bytes[at + 1..].first_chunk().map_or(0, |len| u32::from_le_bytes(*len));
            text(at + 5, len as usize)
        }
        _ => {
            let width = usize::from(WIDTHS[usize::from(head - 0xF1)]);
            let mut int = [0; 8];
            int[8 - width..].copy_from_slice(&bytes[at + 1..at + 1 + width]);
            (Member::from_int(i64::from_le_bytes(int) >> (64 - 8 * width)), at + 1 + width)
        }
    }
}

/// Bytes of the integers behind 0xF1 and the following heads.
const WIDTHS: [u8; 4] = [2, 3, 4, 8];

/// Writes an element: as an integer where its text is that of one. Returns its size in Redis' listpack.
fn put(out: &mut Vec<u8>, element: &[u8]) -> usize {
    let start = out.len();
    // 20 bytes are the longest that an integer's text has.
    let int = if element.len() <= 20 { parse_i64(element) } else { None };
    match (int, element.len()) {
        (Some(int), _) => put_int(out, int),
        (None, len) => {
            match len {
                0..0x40 => out.push(0x80 | len as u8),
                0x40..0x1000 => out.extend_from_slice(&[0xE0 | (len >> 8) as u8, len as u8]),
                _ => {
                    out.push(0xF0);
                    out.extend_from_slice(&(len as u32).to_le_bytes());
                }
            }
            out.extend_from_slice(element);
        }
    }
    with_length(out.len() - start)
}

fn put_int(out: &mut Vec<u8>, int: i64) {
    let bytes = int.to_le_bytes();
    let (head, width) = match int {
        0..0x80 => return out.push(int as u8),
        -0x1000..0x1000 => return out.extend_from_slice(&[0xC0 | (int >> 8) as u8 & 0x1F, int as u8]),
        -0x8000..0x8000 => (0xF1, 2),
        -0x80_0000..0x80_0000 => (0xF2, 3),
        -0x8000_0000..0x8000_0000 => (0xF3, 4),
        _ => (0xF4, 8),
    };
    out.push(head);
    out.extend_from_slice(&bytes[..width]);
}

/// Bytes of an integer in Redis' listpack.
fn size_of_int(int: i64) -> usize {
    1 + match int {
        0..0x80 => 1,
        -0x1000..0x1000 => 2,
        -0x8000..0x8000 => 3,
        -0x80_0000..0x80_0000 => 4,
        -0x8000_0000..0x8000_0000 => 5,
        _ => 9,
    }
}

/// Bytes of an element of a listpack together with the length behind it.
fn with_length(len: usize) -> usize {
    len + match len {
        0..0x80 => 1,
        // Redis takes one byte more than is needed where all bits are set.
        0x80..0x3FFF => 2,
        0x3FFF..0x1F_FFFF => 3,
        0x1F_FFFF..0xFFF_FFFF => 4,
        _ => 5,
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The number at `at`, and where what follows begins.
#[inline]
fn varint(bytes: &[u8], at: usize) -> (u64, usize) {
    let (mut value, mut shift) = (0, 0);
    for (i, byte) in bytes[at..].iter().enumerate() {
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return (value, at + i + 1);
        }
        shift += 7;
    }
    unreachable!("written by this module")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs<'a>(texts: &'a [&'a str]) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone {
        texts.iter().map(|text| text.as_bytes())
    }

    fn text(item: &Item<'_>) -> String {
        let pairs: Vec<_> =
            item.pairs().map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii())).collect();
        format!("{} {}", item.id, pairs.join(" "))
    }

    #[test]
    fn elements_of_every_width_survive() {
        let ints =
            [0, 1, 127, 128, -1, 4095, 4096, -4096, -4097, 32767, 32768, -32768, 8_388_607, 8_388_608, -8_388_609];
        let mut texts: Vec<Vec<u8>> = ints.iter().map(|int: &i64| int.to_string().into_bytes()).collect();
        texts.extend(
            [i64::MAX, i64::MIN, i64::from(i32::MAX) + 1, i64::from(i32::MIN)].map(|int| int.to_string().into_bytes()),
        );
        texts.extend([0, 1, 63, 64, 4095, 4096, 70_000].map(|len| vec![b'x'; len]));
        texts.extend([&b"-0"[..], b"01", b"+1", b" 1", b"9223372036854775808"].map(<[u8]>::to_vec));
        for text in texts {
            let mut out = b"abc".to_vec();
            put(&mut out, &text);
            let (element, end) = element(&out, 3);
            assert_eq!((&*element, end), (&text[..], out.len()));
        }
    }

    #[test]
    fn entries_are_read_from_both_ends() {
        let mut node = Node::new(Id::new(5, 7), pairs(&["a", "1", "b", "two"]));
        node.push(Id::new(5, 8), pairs(&["a", "x", "b", ""]));
        node.push(Id::new(5, u64::MAX), pairs(&["c", "3"]));
        node.push(Id::new(6, 0), pairs(&["a", "-77", "c", "3"]));
        node.push(Id::new(u64::MAX, 300), pairs(&["a", &"y".repeat(200), "b", "0"]));
        let forward: Vec<String> = node.items().map(|item| text(&item)).collect();
        let long = format!("{}-300 a={} b=0", u64::MAX, "y".repeat(200));
        let expected = ["5-7 a=1 b=two", "5-8 a=x b=", "5-18446744073709551615 c=3", "6-0 a=-77 c=3", &long];
        assert_eq!(forward, expected);
        let mut backward: Vec<String> = node.items().rev().map(|item| text(&item)).collect();
        backward.reverse();
        assert_eq!(backward, expected);
        assert!(node.remove(Id::new(5, 8)) && !node.remove(Id::new(5, 8)) && !node.remove(Id::new(4, 0)));
        assert_eq!(node.range(Id::new(5, 8), Id::new(6, 0)).map(|item| item.id.ms).collect::<Vec<_>>(), [5, 6]);
        node.remove_first(2);
        assert_eq!((node.len(), node.items().map(|item| item.id.ms).collect::<Vec<_>>()), (2, vec![6, u64::MAX]));
    }
}
