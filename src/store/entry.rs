//! The thin entry: one allocation that holds header, deadline, key and small value.
//!
//! The table's slot is one owning pointer to it, so that a lookup costs the bucket's cache line and the
//! entry's, and a key of 16 bytes with a value of 32 costs 56 bytes plus its slot.
//!
//! ```text
//! offset 0   u32  meta   bits 0-3 kind (3 has a word), 4 has a deadline, 5 long key, 6 on the expiry wheel,
//!                        7 parts with deadlines, 8-31 access clock
//!        4   u32  lens   bits 0-11 key length, 12-31 inline value length
//!        8   u64  deadline in ms since the Unix epoch      (only with bit 4)
//!        .   u64  word: an integer or an owning pointer    (only for the kinds that have one)
//!        .   u64  key length                               (only with bit 5: keys of 4,096 bytes and more)
//!        .   key bytes, then the inline value's bytes; the whole is rounded up to a block of the allocator
//! ```
//!
//! What the allocator would add to an entry anyway belongs to the entry, so that one that grows by a few bytes, as most
//! do, asks for more once in a while and not each time.
//!
//! This module owns the raw allocation; everything it exports is safe. The tests compare it with a safe
//! twin (`Twin`) on random inputs.
#![allow(unsafe_code)]

use std::alloc::{self, Layout};
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::Arc;
// Not the model checker's: the header is eight bytes, and a lost update of the clock is meant to be harmless.
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::{Object, timed};
use crate::memory::block;

/// A string value too large to live in its entry. Shared, so that a reply can outlive the key's lock.
pub type SharedBytes = Arc<Vec<u8>>;

/// Longest string that is kept inside its entry; longer ones are a [`SharedBytes`].
///
/// Below it a read copies from the entry's own cache lines; above it the copy would cost more than the
/// second pointer (and a reply can share the value instead). 1 KiB is a judgement between the two.
pub const INLINE_STRING_MAX: usize = 1024;

/// Longest inline value that the header can describe (20 bits).
pub const INLINE_MAX: usize = (1 << 20) - 1;

const KEY_LEN_MAX: usize = (1 << 12) - 1;
const HEADER: usize = 8;
const KIND_MASK: u32 = 0xF;
/// The bit of all kinds that have a word.
const WITH_WORD: u32 = 1 << 3;
const HAS_DEADLINE: u32 = 1 << 4;
const LONG_KEY: u32 = 1 << 5;
const ON_WHEEL: u32 = 1 << 6;
const TIMED: u32 = 1 << 7;
const CLOCK_SHIFT: u32 = 8;

/// The bits of an access clock.
pub const CLOCK_MASK: u32 = 0x00FF_FFFF;

/// How the value of an entry is represented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A string of at most [`INLINE_STRING_MAX`] bytes, inline.
    Bytes = 0,
    /// As `Bytes`, of a string that was changed in place since it was set: OBJECT ENCODING tells them apart.
    Edited = 1,
    /// A small list, inline as a pack.
    ListPack = 2,
    /// A small set, inline as a pack.
    SetPack = 3,
    /// A set of integers, inline as a sorted array.
    IntSet = 4,
    /// A small hash, inline as a pack of alternating fields and values.
    HashPack = 5,
    /// A small hash whose fields may have deadlines, inline as a pack of triples.
    HashTimed = 6,
    /// A small sorted set, inline as a pack of alternating members and scores.
    ZSetPack = 7,
    /// A string that is the canonical text of an `i64`, kept as the number.
    Int = WITH_WORD as u8,
    /// A larger string, behind a [`SharedBytes`].
    Shared = WITH_WORD as u8 + 1,
    /// Anything larger: a boxed [`Object`], which knows its own type.
    Boxed = WITH_WORD as u8 + 2,
}

impl Kind {
    fn from_meta(meta: u32) -> Self {
        match meta & KIND_MASK {
            0 => Self::Bytes,
            1 => Self::Edited,
            2 => Self::ListPack,
            3 => Self::SetPack,
            4 => Self::IntSet,
            5 => Self::HashPack,
            6 => Self::HashTimed,
            7 => Self::ZSetPack,
            8 => Self::Int,
            9 => Self::Shared,
            _ => Self::Boxed,
        }
    }

    const fn has_word(self) -> bool {
        self as u32 & WITH_WORD != 0
    }
}

/// What a new or replaced value is made of.
#[derive(Debug)]
pub enum Content<'a> {
    /// Inline bytes of the given kind (`Bytes`, `Edited`, `IntSet` or one of the packs).
    Inline(Kind, &'a [u8]),
    /// An integer.
    Int(i64),
    /// A large string.
    Shared(SharedBytes),
    /// A large collection.
    Boxed(Box<Object>),
}

impl Content<'_> {
    /// Whether parts of it may have deadlines of their own.
    fn is_timed(&self) -> bool {
        match self {
            Self::Inline(kind, _) => *kind == Kind::HashTimed,
            Self::Boxed(object) => object.is_timed(),
            Self::Int(_) | Self::Shared(_) => false,
        }
    }
}

/// What of an entry concerns the expiry wheel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    pub has_deadline: bool,
    /// Whether parts of the value may have deadlines of their own.
    pub is_timed: bool,
    /// When the first of these deadlines passes.
    pub due: Option<u64>,
}

/// A borrowed look at an entry's value.
#[derive(Clone, Copy, Debug)]
pub enum Raw<'a> {
    /// Inline bytes and what they encode.
    Inline(Kind, &'a [u8]),
    /// An integer.
    Int(i64),
    /// A large string.
    Shared(&'a SharedBytes),
    /// A large collection.
    Boxed(&'a Object),
}

#[repr(C, align(8))]
struct Header {
    /// Readers update the clock bits under a shared lock, hence atomic; all else needs `&mut`.
    meta: AtomicU32,
    lens: u32,
}

#[repr(C)]
union Word {
    int: i64,
    shared: ManuallyDrop<SharedBytes>,
    boxed: *mut Object,
}

/// An owning pointer to one key with its value.
pub struct Entry(NonNull<Header>);

// SAFETY: an `Entry` owns its allocation alone; what it points to (`Object`, `SharedBytes`) is Send and
// Sync, and the one field written through `&Entry` is atomic.
unsafe impl Send for Entry {}
// SAFETY: as above.
unsafe impl Sync for Entry {}

/// The offsets of an entry's parts, all derived from its header.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shape {
    word: usize,
    key: usize,
    key_len: usize,
    value: usize,
    value_len: usize,
}

impl Shape {
    const fn new(has_deadline: bool, has_word: bool, key_len: usize, value_len: usize) -> Self {
        let word = word_at(has_deadline);
        let key = word + 8 * has_word as usize + 8 * (key_len > KEY_LEN_MAX) as usize;
        // No allocation is as long as to wrap.
        Self { word, key, key_len, value: key.wrapping_add(key_len), value_len }
    }

    #[inline]
    const fn size(self) -> usize {
        block(self.value + self.value_len)
    }

    fn layout(self) -> Layout {
        Layout::from_size_align(self.size(), 8).expect("a key and a value fit into isize")
    }
}

impl Entry {
    /// Makes an entry for `key`. Keys are at most 512 MiB, inline values at most [`INLINE_MAX`] bytes.
    pub fn new(key: &[u8], content: Content<'_>, deadline: Option<u64>, clock: u32) -> Self {
        let (kind, inline): (Kind, &[u8]) = match &content {
            Content::Inline(kind, bytes) => (*kind, bytes),
            Content::Int(_) => (Kind::Int, &[]),
            Content::Shared(_) => (Kind::Shared, &[]),
            Content::Boxed(_) => (Kind::Boxed, &[]),
        };
        assert!(!(kind.has_word() ^ inline_free(&content)) && inline.len() <= INLINE_MAX);
        let shape = Shape::new(deadline.is_some(), kind.has_word(), key.len(), inline.len());
        let layout = shape.layout();
        // SAFETY: the layout has a size of at least 8.
        let base = unsafe { alloc::alloc(layout) };
        let Some(pointer) = NonNull::new(base.cast::<Header>()) else { alloc::handle_alloc_error(layout) };
        let long_key = key.len() > KEY_LEN_MAX;
        let meta = kind as u32
            | if deadline.is_some() { HAS_DEADLINE } else { 0 }
            | if long_key { LONG_KEY } else { 0 }
            | if content.is_timed() { TIMED } else { 0 }
            | (clock << CLOCK_SHIFT);
        let lens = if long_key { 0 } else { key.len() as u32 } | ((inline.len() as u32) << 12);
        // SAFETY: every offset below is inside the layout just allocated, because `shape` computed both;
        // the 8-byte parts are 8-aligned since the base is and each offset is a multiple of 8.
        unsafe {
            pointer.write(Header { meta: AtomicU32::new(meta), lens });
            if let Some(at) = deadline {
                base.add(HEADER).cast::<u64>().write(at);
            }
            let word = match content {
                Content::Inline(..) => None,
                Content::Int(int) => Some(Word { int }),
                Content::Shared(shared) => Some(Word { shared: ManuallyDrop::new(shared) }),
                Content::Boxed(object) => Some(Word { boxed: Box::into_raw(object) }),
            };
            if let Some(word) = word {
                base.add(shape.word).cast::<Word>().write(word);
            }
            if long_key {
                base.add(shape.key - 8).cast::<u64>().write(key.len() as u64);
            }
            ptr::copy_nonoverlapping(key.as_ptr(), base.add(shape.key), key.len());
            ptr::copy_nonoverlapping(inline.as_ptr(), base.add(shape.value), inline.len());
        }
        Self(pointer)
    }

    /// Replaces value and deadline. Keeps the allocation when its size and layout stay the same.
    pub fn replace(&mut self, content: Content<'_>, deadline: Option<u64>) {
        if let Content::Inline(kind, bytes) = &content
            && !self.kind().has_word()
            && deadline.is_some() == self.has_deadline()
        {
            let old = self.shape();
            let new = Shape { value_len: bytes.len(), ..old };
            if bytes.len() == old.value_len || bytes.len() <= INLINE_MAX && new.size() == old.size() {
                self.set_lens_value(bytes.len());
                self.set_kind(*kind);
                // SAFETY: the new value fits, because both sizes are equal after rounding, and `bytes`
                // cannot overlap an entry that is borrowed exclusively.
                unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.base().add(new.value), bytes.len()) };
                if let Some(at) = deadline {
                    self.write_deadline(at);
                }
                return;
            }
        }
        let on_wheel = self.is_on_wheel();
        *self = Self::new(self.key(), content, deadline, self.clock());
        self.set_on_wheel(on_wheel);
    }

    /// Replaces `remove` bytes at `at` of the inline value by `added` others, which are for the caller to write, and gives
    /// the whole value.
    ///
    /// # Panics
    /// If the entry has no inline value or the range or the new length is out of bounds.
    pub fn open(&mut self, at: usize, remove: usize, added: usize) -> &mut [u8] {
        let old = self.shape();
        assert!(!self.kind().has_word() && at <= old.value_len && remove <= old.value_len - at);
        let new_len = old.value_len - remove + added;
        assert!(new_len <= INLINE_MAX);
        let new = Shape { value_len: new_len, ..old };
        let tail = old.value_len - at - remove;
        let size = old.size();
        if new.value + new_len > size {
            self.resize(old, new);
        }
        // SAFETY: the allocation holds at least max(old, new) bytes here. What is behind the old value is set to zero first,
        // so all of the new value is initialised; then the tail is moved inside it with an overlapping copy.
        unsafe {
            let value = self.base().add(new.value);
            ptr::write_bytes(value.add(old.value_len), 0, new_len.saturating_sub(old.value_len));
            ptr::copy(value.add(at + remove), value.add(at + added), tail);
        }
        if new_len < old.value_len && new.size() < size {
            self.resize(old, new);
        }
        self.set_lens_value(new_len);
        // SAFETY: these bytes are inside the allocation, initialised, and borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.base().add(new.value), new_len) }
    }

    /// The boxed collection, if this is one.
    pub fn object_mut(&mut self) -> Option<&mut Object> {
        if self.kind() != Kind::Boxed {
            return None;
        }
        // SAFETY: the word of a `Boxed` entry is a live pointer that this entry owns.
        Some(unsafe { &mut *(*self.word()).boxed })
    }

    /// The inline value's bytes, if it has one.
    pub fn inline_mut(&mut self) -> Option<&mut [u8]> {
        if self.kind().has_word() {
            return None;
        }
        let shape = self.shape();
        // SAFETY: `shape` describes initialised bytes inside this allocation, borrowed exclusively.
        Some(unsafe { std::slice::from_raw_parts_mut(self.base().add(shape.value), shape.value_len) })
    }

    /// Notes that a string was changed in place.
    pub fn mark_edited(&mut self) {
        if self.kind() == Kind::Bytes {
            self.set_kind(Kind::Edited);
        }
    }

    /// The large string, if this is one.
    pub fn shared_mut(&mut self) -> Option<SharedMut<'_>> {
        (self.kind() == Kind::Shared).then_some(SharedMut { entry: self })
    }

    /// The integer, if this is one.
    #[inline]
    pub fn int_mut(&mut self) -> Option<&mut i64> {
        // SAFETY: the word of an `Int` entry is an integer, borrowed exclusively.
        (self.kind() == Kind::Int).then(|| unsafe { &mut (*self.word()).int })
    }

    /// Sets or clears the deadline (ms since the Unix epoch). Reallocates when the entry had none.
    pub fn set_deadline(&mut self, deadline: Option<u64>) {
        match (deadline, self.has_deadline()) {
            (Some(at), true) => self.write_deadline(at),
            (None, false) => {}
            _ => *self = self.rebuilt(None, deadline),
        }
    }

    /// A copy of an entry whose value lies inside it and is small; `None` for others.
    pub fn copy_small(&self) -> Option<Self> {
        /// Beyond this, copying costs more than it can save.
        const SMALL: usize = 4096;
        let content = match self.raw() {
            Raw::Inline(kind, bytes) if bytes.len() <= SMALL => Content::Inline(kind, bytes),
            Raw::Int(int) => Content::Int(int),
            _ => return None,
        };
        Some(Self::new(self.key(), content, self.deadline(), self.clock()))
    }

    /// Takes the value out under another name, leaving this entry an empty string.
    pub fn take_renamed(&mut self, key: &[u8], deadline: Option<u64>) -> Self {
        self.rebuilt(Some(key), deadline)
    }

    /// Moves the value into a new entry with `key` (`None`: the same key) and `deadline`.
    fn rebuilt(&mut self, key: Option<&[u8]>, deadline: Option<u64>) -> Self {
        let clock = self.clock();
        let wheel = self.is_on_wheel();
        let mut entry = match self.kind() {
            kind if !kind.has_word() => {
                let shape = self.shape();
                let content = Content::Inline(kind, self.bytes_at(shape.value, shape.value_len));
                Self::new(key.unwrap_or(self.key()), content, deadline, clock)
            }
            kind => {
                // The word moves; making this entry an integer first keeps it from being freed twice.
                // SAFETY: an entry of such a kind has a word.
                let word = unsafe { self.word().read() };
                self.set_kind(Kind::Int);
                let key = key.unwrap_or(self.key());
                // SAFETY: the word was valid for `kind`, and no longer belongs to `self`.
                let content = unsafe {
                    match kind {
                        Kind::Shared => Content::Shared(ManuallyDrop::into_inner(word.shared)),
                        Kind::Boxed => Content::Boxed(Box::from_raw(word.boxed)),
                        _ => Content::Int(word.int),
                    }
                };
                Self::new(key, content, deadline, clock)
            }
        };
        entry.set_on_wheel(wheel && key.is_none());
        entry
    }

    /// A copy with another key and access clock, and the same deadline. A large string is shared until one of both changes;
    /// a large collection is copied, O(N).
    pub fn duplicate(&self, key: &[u8], clock: u32) -> Self {
        let content = match self.raw() {
            Raw::Inline(kind, bytes) => Content::Inline(kind, bytes),
            Raw::Int(int) => Content::Int(int),
            Raw::Shared(bytes) => Content::Shared(Arc::clone(bytes)),
            Raw::Boxed(object) => Content::Boxed(Box::new(object.clone())),
        };
        Self::new(key, content, self.deadline(), clock)
    }

    /// Notes an access at `clock` (24 bits). Stores only on change, so that readers of a hot key share its line.
    pub fn touch(&self, clock: u32) {
        let header = self.header();
        let old = header.meta.load(Relaxed);
        let new = (old & 0xFF) | (clock << CLOCK_SHIFT);
        if old != new {
            // Relaxed, and a lost update between two readers is harmless: either clock is recent. The
            // other bits change only under an exclusive lock.
            header.meta.store(new, Relaxed);
        }
    }

    /// Marks whether a record of this key's deadline is on the expiry wheel.
    pub fn set_on_wheel(&mut self, on: bool) {
        let meta = self.header().meta.load(Relaxed);
        self.header().meta.store(if on { meta | ON_WHEEL } else { meta & !ON_WHEEL }, Relaxed);
    }

    pub fn is_on_wheel(&self) -> bool {
        self.header().meta.load(Relaxed) & ON_WHEEL != 0
    }

    #[inline]
    pub fn key(&self) -> &[u8] {
        let shape = self.shape();
        self.bytes_at(shape.key, shape.key_len)
    }

    /// Whether this is the entry of `key`.
    #[inline]
    pub fn has_key(&self, key: &[u8]) -> bool {
        self.key() == key
    }

    /// Whether freeing the value takes long enough to be worth another thread.
    pub fn is_heavy(&self) -> bool {
        match self.raw() {
            Raw::Shared(bytes) => bytes.len() > 256 * 1024,
            Raw::Boxed(object) => object.is_heavy(),
            _ => false,
        }
    }

    #[inline]
    pub fn kind(&self) -> Kind {
        Kind::from_meta(self.header().meta.load(Relaxed))
    }

    /// The access clock: the low 24 bits of a count of seconds.
    pub fn clock(&self) -> u32 {
        self.header().meta.load(Relaxed) >> CLOCK_SHIFT
    }

    /// Has the last access, as of `clock`, lie so many seconds back; the clock can tell half a year.
    pub fn set_idle(&mut self, seconds: u64, clock: u32) {
        let seconds = seconds.min(u64::from(CLOCK_MASK)) as u32;
        self.touch(clock.wrapping_sub(seconds) & CLOCK_MASK);
    }

    /// Seconds since the last access, as of `clock`. The clock comes round after half a year.
    pub fn idle_seconds(&self, clock: u32) -> u32 {
        clock.wrapping_sub(self.clock()) & CLOCK_MASK
    }

    #[inline]
    pub fn raw(&self) -> Raw<'_> {
        let kind = self.kind();
        // SAFETY: the word is valid for the kind and lives as long as this borrow.
        unsafe {
            match kind {
                Kind::Int => Raw::Int((*self.word()).int),
                Kind::Shared => Raw::Shared(&(*self.word()).shared),
                Kind::Boxed => Raw::Boxed(&*(*self.word()).boxed),
                _ => {
                    let shape = self.shape();
                    Raw::Inline(kind, self.bytes_at(shape.value, shape.value_len))
                }
            }
        }
    }

    /// When the key expires, in ms since the Unix epoch.
    pub fn deadline(&self) -> Option<u64> {
        // SAFETY: the flag says that the field is there.
        self.has_deadline().then(|| unsafe { self.base().add(HEADER).cast::<u64>().read() })
    }

    /// Whether the key's time has come, or that of everything in it.
    #[inline]
    pub fn is_expired(&self, now: u64) -> bool {
        self.is_mortal() && self.has_expired(now)
    }

    /// Whether the key or parts of its value may have a deadline.
    #[inline]
    pub fn is_mortal(&self) -> bool {
        self.header().meta.load(Relaxed) & (HAS_DEADLINE | TIMED) != 0
    }

    /// Whether parts of the value may have deadlines of their own.
    #[inline]
    pub fn is_timed(&self) -> bool {
        self.header().meta.load(Relaxed) & TIMED != 0
    }

    /// Whether members are due that have to go before the value is read; see [`timed::must_be_pruned`].
    #[inline]
    pub fn must_be_pruned(&self, now: u64) -> bool {
        self.is_timed() && timed::must_be_pruned(self.raw(), now)
    }

    /// The first deadline of the key or of a part of its value.
    pub fn due(&self) -> Option<u64> {
        let part = if self.is_timed() { timed::first_deadline(self.raw()) } else { None };
        self.deadline().into_iter().chain(part).min()
    }

    /// `None` for an entry without any deadline.
    #[inline]
    pub fn lifetime(&self) -> Option<Lifetime> {
        let lifetime = || Lifetime { has_deadline: self.has_deadline(), is_timed: self.is_timed(), due: self.due() };
        self.is_mortal().then(lifetime)
    }

    #[inline]
    fn has_expired(&self, now: u64) -> bool {
        self.deadline().is_some_and(|at| at <= now) || self.is_timed() && timed::is_spent(self.raw(), now)
    }

    /// Bytes of the entry's own allocation (a boxed value's memory not counted).
    pub fn size(&self) -> usize {
        self.shape().size()
    }

    /// The entry's address, for prefetching.
    pub fn address(&self) -> *const u8 {
        self.0.as_ptr().cast()
    }

    fn resize(&mut self, old: Shape, new: Shape) {
        let layout = new.layout();
        // SAFETY: `old` is the layout of the present allocation and the new size is not zero.
        let base = unsafe { alloc::realloc(self.base(), old.layout(), layout.size()) };
        let Some(pointer) = NonNull::new(base.cast::<Header>()) else { alloc::handle_alloc_error(layout) };
        self.0 = pointer;
    }

    fn set_kind(&mut self, kind: Kind) {
        let meta = self.header().meta.load(Relaxed);
        let timed = if kind == Kind::HashTimed { TIMED } else { 0 };
        self.header().meta.store((meta & !(KIND_MASK | TIMED)) | timed | kind as u32, Relaxed);
    }

    fn set_lens_value(&mut self, len: usize) {
        // SAFETY: the header is live and borrowed exclusively.
        let header = unsafe { self.0.as_mut() };
        header.lens = (header.lens & 0xFFF) | ((len as u32) << 12);
    }

    fn write_deadline(&mut self, at: u64) {
        debug_assert!(self.has_deadline());
        // SAFETY: callers checked that the field is there.
        unsafe { self.base().add(HEADER).cast::<u64>().write(at) };
    }

    fn has_deadline(&self) -> bool {
        self.header().meta.load(Relaxed) & HAS_DEADLINE != 0
    }

    fn header(&self) -> &Header {
        // SAFETY: an entry always points to a live header.
        unsafe { self.0.as_ref() }
    }

    fn base(&self) -> *mut u8 {
        self.0.as_ptr().cast()
    }

    /// Where the word is, if this is of a kind that has one.
    #[inline]
    fn word(&self) -> *mut Word {
        self.base().wrapping_add(word_at(self.has_deadline())).cast()
    }

    fn bytes_at(&self, at: usize, len: usize) -> &[u8] {
        // SAFETY: callers pass offsets of `shape`, which lie inside the allocation and are initialised.
        unsafe { std::slice::from_raw_parts(self.base().add(at), len) }
    }

    #[inline]
    fn shape(&self) -> Shape {
        let header = self.header();
        let meta = header.meta.load(Relaxed);
        let has_word = meta & WITH_WORD != 0;
        let has_deadline = meta & HAS_DEADLINE != 0;
        let mut key_len = (header.lens & 0xFFF) as usize;
        if meta & LONG_KEY != 0 {
            let at = word_at(has_deadline) + 8 * usize::from(has_word);
            // SAFETY: the flag says that the field is there.
            key_len = unsafe { self.base().add(at).cast::<u64>().read() } as usize;
        }
        Shape::new(has_deadline, has_word, key_len, (header.lens >> 12) as usize)
    }
}

/// The offset of an entry's word, or of what follows where it has none.
#[inline]
const fn word_at(has_deadline: bool) -> usize {
    HEADER + 8 * has_deadline as usize
}

fn inline_free(content: &Content<'_>) -> bool {
    !matches!(content, Content::Inline(kind, _) if !kind.has_word())
}

impl Drop for Entry {
    fn drop(&mut self) {
        let layout = self.shape().layout();
        // SAFETY: the word is owned by this entry and valid for its kind; the allocation was made with
        // exactly this layout, because the header that it is derived from is kept in step.
        unsafe {
            match self.kind() {
                Kind::Shared => ManuallyDrop::drop(&mut (*self.word()).shared),
                Kind::Boxed => drop(Box::from_raw((*self.word()).boxed)),
                _ => {}
            }
            alloc::dealloc(self.base(), layout);
        }
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("key", &self.key()).field("raw", &self.raw()).finish_non_exhaustive()
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

/// Entries are equal when their keys are: what a map of them needs.
impl Eq for Entry {}

impl std::hash::Hash for Entry {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// Exclusive access to a large string; copies it first when a reply still shares it.
#[derive(Debug)]
pub struct SharedMut<'a> {
    entry: &'a mut Entry,
}

impl SharedMut<'_> {
    /// The bytes, to be changed in place.
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        // SAFETY: the word of a `Shared` entry holds the `Arc`, borrowed exclusively here.
        let shared: &mut SharedBytes = unsafe { &mut (*self.entry.word()).shared };
        Arc::make_mut(shared)
    }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::super::pack::Buffer;
    use super::*;
    use proptest::prelude::*;

    /// The safe twin: the same operations on ordinary types.
    #[derive(Clone, Debug, PartialEq)]
    struct Twin {
        key: Vec<u8>,
        value: TwinValue,
        deadline: Option<u64>,
    }

    #[derive(Clone, Debug, PartialEq)]
    enum TwinValue {
        Inline(Kind, Vec<u8>),
        Int(i64),
        Shared(Vec<u8>),
    }

    #[derive(Clone, Debug)]
    enum Step {
        Replace(TwinValue, Option<u64>),
        Deadline(Option<u64>),
        Splice(usize, usize, Vec<u8>),
        Rename(Vec<u8>),
        Append(Vec<u8>),
    }

    fn content(value: &TwinValue) -> Content<'_> {
        match value {
            TwinValue::Inline(kind, bytes) => Content::Inline(*kind, bytes),
            TwinValue::Int(int) => Content::Int(*int),
            TwinValue::Shared(bytes) => Content::Shared(Arc::new(bytes.clone())),
        }
    }

    fn check(entry: &Entry, twin: &Twin) {
        assert_eq!(entry.key(), twin.key);
        assert_eq!(entry.deadline(), twin.deadline);
        match (entry.raw(), &twin.value) {
            (Raw::Inline(kind, bytes), TwinValue::Inline(other, others)) => {
                assert_eq!((kind, bytes), (*other, &**others))
            }
            (Raw::Int(int), TwinValue::Int(other)) => assert_eq!(int, *other),
            (Raw::Shared(bytes), TwinValue::Shared(other)) => assert_eq!(&***bytes, other),
            (raw, other) => panic!("{raw:?} is not {other:?}"),
        }
    }

    fn value() -> impl Strategy<Value = TwinValue> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| TwinValue::Inline(Kind::Bytes, bytes)),
            any::<i64>().prop_map(TwinValue::Int),
            prop::collection::vec(any::<u8>(), 0..2000).prop_map(TwinValue::Shared),
        ]
    }

    fn key() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            9 => prop::collection::vec(any::<u8>(), 0..40),
            1 => prop::collection::vec(any::<u8>(), 4090..4100),
        ]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (value(), any::<Option<u64>>()).prop_map(|(value, at)| Step::Replace(value, at)),
            any::<Option<u64>>().prop_map(Step::Deadline),
            (0..300_usize, 0..300_usize, prop::collection::vec(any::<u8>(), 0..100))
                .prop_map(|(at, remove, bytes)| Step::Splice(at, remove, bytes)),
            key().prop_map(Step::Rename),
            prop::collection::vec(any::<u8>(), 0..100).prop_map(Step::Append),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_its_safe_twin(key in key(), first in value(), steps in prop::collection::vec(step(), 0..40)) {
            let mut twin = Twin { key, value: first, deadline: None };
            let mut entry = Entry::new(&twin.key, content(&twin.value), None, 7);
            check(&entry, &twin);
            for step in steps {
                match step {
                    Step::Replace(value, deadline) => {
                        entry.replace(content(&value), deadline);
                        twin.value = value;
                        twin.deadline = deadline;
                    }
                    Step::Deadline(deadline) => {
                        entry.set_deadline(deadline);
                        twin.deadline = deadline;
                    }
                    Step::Splice(at, remove, bytes) => {
                        if let TwinValue::Inline(kind, value) = &mut twin.value {
                            let at = at.min(value.len());
                            let remove = remove.min(value.len() - at);
                            value.splice(at..at + remove, bytes.iter().copied());
                            let (left, right) = bytes.split_at(bytes.len() / 2);
                            Buffer::splice(&mut entry, at, remove, &[left, right]);
                            entry.mark_edited();
                            *kind = Kind::Edited;
                        }
                    }
                    Step::Rename(key) => {
                        entry = entry.take_renamed(&key, twin.deadline);
                        twin.key = key;
                    }
                    Step::Append(bytes) => {
                        if let (TwinValue::Shared(value), Some(mut shared)) = (&mut twin.value, entry.shared_mut()) {
                            shared.bytes().extend_from_slice(&bytes);
                            value.extend_from_slice(&bytes);
                        }
                    }
                }
                check(&entry, &twin);
                prop_assert_eq!(entry.clock(), 7);
            }
        }
    }

    #[test]
    fn a_reader_keeps_the_bytes_it_shares() {
        let mut entry = Entry::new(b"k", Content::Shared(Arc::new(vec![1; 2000])), None, 0);
        let Raw::Shared(shared) = entry.raw() else { panic!("shared") };
        let reader = Arc::clone(shared);
        entry.shared_mut().expect("shared").bytes().push(2);
        assert_eq!(reader.len(), 2000);
        assert!(matches!(entry.raw(), Raw::Shared(bytes) if bytes.len() == 2001));
    }

    #[test]
    fn a_small_string_costs_56_bytes() {
        let entry = Entry::new(&[b'k'; 16], Content::Inline(Kind::Bytes, &[b'v'; 32]), None, 0);
        assert_eq!(entry.size(), 56);
    }

    #[test]
    fn touching_changes_only_the_clock() {
        let entry = Entry::new(b"k", Content::Int(5), Some(9), 1);
        entry.touch(0x00AB_CDEF);
        assert_eq!((entry.clock(), entry.deadline(), entry.kind()), (0x00AB_CDEF, Some(9), Kind::Int));
    }
}
