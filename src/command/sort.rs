//! SORT SORT_RO: the elements of a list, a set or a sorted set in order, by themselves or by what other keys hold.
//!
//! Patterns name keys that are made of the elements, so everything is held where there are any. Without them, only
//! the source and the destination are.

use std::cmp::Ordering;
use std::ops::Range;

use smallvec::SmallVec;

use super::{
    Arguments, Arity, Call, Effect, Effects, Event, Finder, Flags, Held, Key, Keys, Long, Place, Places, Run, Slots,
    Spec, Tables, live, string, touch,
};
use crate::error::Error;
use crate::number::{parse_f64, parse_i64};
use crate::reply::Reply;
use crate::store::list::{self, Edit, End};
use crate::store::set::{self, Member};
use crate::store::string::Str;
use crate::store::table::Table;
use crate::store::{Entry, hash, zset};

pub(super) const SPECS: &[Spec] = &[
    Spec {
        name: "sort",
        arity: Arity::at_least(2),
        keys: Keys::Found(&Finder { codes: [1, 1, 1], is_movable: true, find: keys_of_sort }),
        run: Run::Long(&Long::store(SORT, work_of_sort, 1)),
        flags: Flags::WRITE.and(Flags::DENYOOM),
        since: "1.0.0",
        complexity: COMPLEXITY,
        summary: "Sorts the elements in a list, a set, or a sorted set, optionally storing the result.",
    },
    Spec {
        name: "sort_ro",
        arity: Arity::at_least(2),
        keys: Keys::Found(&Finder { codes: [1, 1, 1], is_movable: true, find: keys_of_sort_ro }),
        run: Run::Long(&Long::read(SORT_RO, work_of_sort_ro)),
        flags: Flags::READONLY,
        since: "7.0.0",
        complexity: COMPLEXITY,
        summary: "Returns the sorted elements of a list, a set, or a sorted set.",
    },
];

const SORT: Run = Run::ManyOrWhole { is_whole: is_whole_of_sort, many: sort_many, whole: sort_whole };
const SORT_RO: Run = Run::ManyOrWhole { is_whole: is_whole_of_sort_ro, many: sort_ro_many, whole: sort_ro_whole };

const COMPLEXITY: &str = "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of \
                          returned elements. Where the elements are not sorted, O(N). Every key of the database is held \
                          while BY or GET look at other keys.";

fn sort_many(slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    many(Access::Write, slots, call, reply)
}

fn sort_whole(held: &mut dyn Held, keys: &[Key], call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    whole(Access::Write, held, keys, call, reply)
}

fn sort_ro_many(slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    many(Access::Read, slots, call, reply)
}

fn sort_ro_whole(held: &mut dyn Held, keys: &[Key], call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    whole(Access::Read, held, keys, call, reply)
}

fn keys_of_sort(arguments: Arguments<'_>) -> Places {
    let target = Options::parse(arguments, Access::Write).ok().and_then(|options| options.target);
    [1].into_iter().chain(target).map(Place::here).collect()
}

fn keys_of_sort_ro(_: Arguments<'_>) -> Places {
    [Place::here(1)].into_iter().collect()
}

fn is_whole_of_sort(arguments: Arguments<'_>) -> bool {
    Options::parse(arguments, Access::Write).is_ok_and(|options| options.reaches_other_keys())
}

fn is_whole_of_sort_ro(arguments: Arguments<'_>) -> bool {
    Options::parse(arguments, Access::Read).is_ok_and(|options| options.reaches_other_keys())
}

fn work_of_sort(entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    work(Access::Write, entries, call)
}

fn work_of_sort_ro(entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    work(Access::Read, entries, call)
}

/// What is gone through: all elements, unless some are taken as they come.
fn work(access: Access, entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    let Ok(options) = Options::parse(call.arguments(), access) else { return 0 };
    let Ok(source) = Source::of(entries.first().copied().flatten()) else { return 0 };
    if options.sorts(source) { source.len() } else { options.window(source.len()).end }
}

fn many(access: Access, slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    let options = Options::parse(call.arguments(), access)?;
    let source = slots.entries().next().flatten();
    let stored = sort(source, &Space { tables: None, call }, &options, reply)?;
    Ok(store(stored, slots, reply))
}

fn whole(
    access: Access,
    held: &mut dyn Held,
    keys: &[Key],
    call: &Call<'_>,
    reply: &mut Reply,
) -> Result<Effects, Error> {
    let options = Options::parse(call.arguments(), access)?;
    Slots::new(held, keys, call).prune();
    let tables: &dyn Tables = held;
    let source = live(tables.table(call.db, keys[0].hash), keys[0], call);
    let stored = sort(source, &Space { tables: Some(tables), call }, &options, reply)?;
    Ok(store(stored, &mut Slots::new(held, keys, call), reply))
}

/// Puts the result where STORE says, and replies its length.
fn store(stored: Option<Entry>, slots: &mut Slots<'_>, reply: &mut Reply) -> Effects {
    let Some(list) = stored else { return Effects::new() };
    let len = list::View::of(&list).map_or(0, list::View::len);
    reply.count(len);
    slots.with(1, |slot| {
        let existed = slot.remove();
        if len > 0 {
            slot.insert(list);
            [(1, Effect::Changed(Event("sortstore")))].into_iter().collect()
        } else if existed {
            [(1, Effect::Changed(Event("del")))].into_iter().collect()
        } else {
            Effects::new()
        }
    })
}

/// Writes the sorted elements, or what GET makes of them. With STORE they come back as a list instead.
fn sort(
    source: Option<&Entry>,
    space: &Space<'_>,
    options: &Options<'_>,
    reply: &mut Reply,
) -> Result<Option<Entry>, Error> {
    let source = Source::of(source)?;
    let elements = if options.sorts(source) {
        let mut items = weighted(source, space, options)?;
        let window = options.window(items.len());
        arrange(&mut items, window.end, options);
        items.drain(..window.end).skip(window.start).map(|item| item.element).collect()
    } else {
        source.unsorted(options)
    };
    let mut output = Output::new(space.call, options, reply);
    output.announce(elements.len().saturating_mul(options.gets.len().max(1)));
    for element in &elements {
        if options.gets.is_empty() {
            output.push(Some(Str::Bytes(element)))?;
        }
        for get in &options.gets {
            output.push(get.look(element, space))?;
        }
    }
    Ok(output.list)
}

/// The elements with what they are compared by.
fn weighted<'a>(source: Source<'a>, space: &Space<'a>, options: &Options<'_>) -> Result<Vec<Item<'a>>, Error> {
    let by = options.by.as_ref().filter(|_| !options.forces_order(source));
    let is_alpha = options.is_alpha || options.forces_order(source);
    let mut items = Vec::with_capacity(source.len());
    let mut is_number = true;
    source.each(|element| {
        let weight = match by {
            None if is_alpha => Weight::Itself,
            None => Weight::of_number(&element, &mut is_number),
            Some(by) => match (by.value_of_key(&element, space), is_alpha) {
                (None, true) => Weight::Nothing,
                (None, false) => Weight::Number(0.0),
                (Some(value), true) => Weight::Text(text(value)),
                (Some(Str::Int(int)), false) => Weight::Number(int as f64),
                (Some(value), false) => Weight::of_number(&text(value), &mut is_number),
            },
        };
        items.push(Item { element, weight, at: items.len() });
    });
    if is_number { Ok(items) } else { Err(Error::Other("ERR One or more scores can't be converted into double")) }
}

/// Puts the first `end` items in order.
fn arrange(items: &mut [Item<'_>], end: usize, options: &Options<'_>) {
    // What compares equal stays in the order of the source.
    let order = |a: &Item<'_>, b: &Item<'_>| {
        let order = a.order(b);
        (if options.is_descending { order.reverse() } else { order }).then(a.at.cmp(&b.at))
    };
    let wanted = match end.checked_sub(1) {
        None => &mut [],
        Some(last) if end < items.len() => {
            items.select_nth_unstable_by(last, order);
            &mut items[..end]
        }
        Some(_) => items,
    };
    wanted.sort_unstable_by(order);
}

/// An element on its way into order.
struct Item<'a> {
    element: Member<'a>,
    weight: Weight<'a>,
    /// Its place in the source.
    at: usize,
}

impl Item<'_> {
    fn order(&self, other: &Self) -> Ordering {
        match (&self.weight, &other.weight) {
            // Numbers that are equal are told apart by the elements, so that the order is always the same.
            (Weight::Number(a), Weight::Number(b)) => {
                a.partial_cmp(b).unwrap_or(Ordering::Equal).then_with(|| self.element.cmp(&*other.element))
            }
            (Weight::Text(a), Weight::Text(b)) => a.cmp(&**b),
            (Weight::Nothing, Weight::Text(_)) => Ordering::Less,
            (Weight::Text(_), Weight::Nothing) => Ordering::Greater,
            (Weight::Nothing, Weight::Nothing) => Ordering::Equal,
            _ => self.element.cmp(&*other.element),
        }
    }
}

/// What an element is compared by.
enum Weight<'a> {
    /// The element's own bytes.
    Itself,
    /// A key that does not exist: before every text.
    Nothing,
    Number(f64),
    Text(Member<'a>),
}

impl Weight<'_> {
    /// Clears `is_number` where the text is none.
    fn of_number(text: &[u8], is_number: &mut bool) -> Self {
        let number = number(text);
        *is_number &= number.is_some();
        Self::Number(number.unwrap_or_default())
    }
}

/// A number as C's `strtod` reads it from a string: blanks may be in front, nothing may follow, and nothing at all is 0.
fn number(text: &[u8]) -> Option<f64> {
    let text = c_string(text);
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let start = text.iter().position(|byte| !is_blank(byte)).unwrap_or(0);
    if text.is_empty() { Some(0.0) } else { parse_f64(&text[start..]) }
}

/// The bytes in front of the first NUL.
fn c_string(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn text(value: Str<'_>) -> Member<'_> {
    match value {
        Str::Bytes(bytes) => Member::Bytes(bytes),
        Str::Shared(bytes) => Member::Bytes(bytes),
        Str::Int(int) => Member::from_int(int),
    }
}

/// What is sorted.
#[derive(Clone, Copy)]
enum Source<'a> {
    /// A key that does not exist is like an empty list.
    Nothing,
    List(list::View<'a>),
    Set(set::View<'a>),
    ZSet(zset::View<'a>),
}

impl<'a> Source<'a> {
    fn of(entry: Option<&'a Entry>) -> Result<Self, Error> {
        let Some(entry) = entry else { return Ok(Self::Nothing) };
        let source = list::View::of(entry).map(Self::List);
        let source = source.or_else(|| set::View::of(entry).map(Self::Set));
        source.or_else(|| zset::View::of(entry).map(Self::ZSet)).ok_or(Error::WrongType)
    }

    fn len(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::List(list) => list.len(),
            Self::Set(set) => set.len(),
            Self::ZSet(zset) => zset.len(),
        }
    }

    fn each(self, mut visit: impl FnMut(Member<'a>)) {
        match self {
            Self::Nothing => {}
            Self::List(list) => list.iter().for_each(|element| visit(Member::Bytes(element))),
            Self::Set(set) => set.iter().for_each(visit),
            Self::ZSet(zset) => zset.iter().for_each(|item| visit(Member::Bytes(item.member))),
        }
    }

    /// The elements that LIMIT asks for, in their own order. DESC turns it round where there is one.
    fn unsorted(self, options: &Options<'_>) -> Vec<Member<'a>> {
        let Range { start, end } = options.window(self.len());
        match self {
            Self::Nothing => Vec::new(),
            Self::List(list) if options.is_descending => {
                list.iter().rev().skip(start).take(end - start).map(Member::Bytes).collect()
            }
            Self::List(list) => list.range(start, end - start).map(Member::Bytes).collect(),
            Self::Set(set) => set.iter().skip(start).take(end - start).collect(),
            Self::ZSet(zset) => {
                let member = |item: zset::Item<'a>| Member::Bytes(item.member);
                if options.is_descending {
                    let len = zset.len();
                    zset.range(len - end..len - start).rev().map(member).collect()
                } else {
                    zset.range(start..end).map(member).collect()
                }
            }
        }
    }
}

/// Where the result goes.
struct Output<'a> {
    reply: &'a mut Reply,
    /// The list that STORE makes.
    list: Option<Entry>,
    call: &'a Call<'a>,
    limits: crate::store::ListLimits,
    count: usize,
}

impl<'a> Output<'a> {
    fn new(call: &'a Call<'a>, options: &Options<'_>, reply: &'a mut Reply) -> Self {
        let list = options.target.map(|target| list::create(call.arg(target), call.clock()));
        Self { reply, list, call, limits: call.list_limits(), count: 0 }
    }

    /// As many values follow.
    fn announce(&mut self, count: usize) {
        /// Bytes of a missing value in RESP3, the shortest there is.
        const LEAST: usize = 3;
        if self.list.is_none() && self.reply.has_room(count, LEAST) {
            self.reply.array(count);
        }
    }

    /// What is missing is stored as an empty string.
    fn push(&mut self, value: Option<Str<'_>>) -> Result<(), Error> {
        /// Many GETs of large values make far more than the request and the source hold; maxmemory bounds it.
        const CHECK_EVERY: usize = 1024;
        match &mut self.list {
            None if self.reply.is_over() => {}
            None => string::write_value(value, self.reply),
            Some(list) => {
                let value = value.map(text);
                let mut list = Edit::of(list, &self.limits).expect("made as a list");
                list.push(End::Back, value.as_deref().unwrap_or_default());
                self.count += 1;
                if self.count.is_multiple_of(CHECK_EVERY) && self.call.server.is_out_of_memory() {
                    return Err(Error::OutOfMemory);
                }
            }
        }
        Ok(())
    }
}

/// The keys that patterns may reach: none, or the whole database.
struct Space<'a> {
    tables: Option<&'a dyn Tables>,
    call: &'a Call<'a>,
}

impl<'a> Space<'a> {
    fn entry(&self, key: &[u8]) -> Option<&'a Entry> {
        let hash = self.call.server.env.hasher.hash(key);
        let table = self.tables?.table(self.call.db, hash);
        let entry = table.find_key(hash, key).map(|at| table.entry(at))?;
        let entry = Some(entry).filter(|entry| !entry.is_expired(self.call.now))?;
        touch(entry, self.call);
        Some(entry)
    }
}

/// What BY and GET look at.
enum Pattern<'a> {
    /// `#`: the element itself.
    Element,
    /// A key that is made by putting the element between two texts, or a field of it.
    Key { before: &'a [u8], after: &'a [u8], field: Option<&'a [u8]> },
    /// Without a place for the element there is nothing to look at.
    Nothing,
}

impl<'a> Pattern<'a> {
    fn parse(pattern: &'a [u8]) -> Self {
        if pattern == b"#" {
            return Self::Element;
        }
        let visible = c_string(pattern);
        let Some(star) = visible.iter().position(|byte| *byte == b'*') else { return Self::Nothing };
        let arrow = visible[star + 1..].windows(2).position(|pair| pair == b"->").map(|at| star + 1 + at);
        // An arrow at the end is a part of the key.
        let arrow = arrow.filter(|at| at + 2 < visible.len());
        Self::Key {
            before: &pattern[..star],
            after: &pattern[star + 1..arrow.unwrap_or(pattern.len())],
            field: arrow.map(|at| &pattern[at + 2..]),
        }
    }

    fn is_key(&self) -> bool {
        matches!(self, Self::Key { .. })
    }

    /// What an element is to be replaced by; `None` when the key is missing or holds something else.
    fn look<'b>(&self, element: &'b [u8], space: &Space<'b>) -> Option<Str<'b>> {
        match self {
            Self::Element => Some(Str::Bytes(element)),
            _ => self.value_of_key(element, space),
        }
    }

    /// The value that a key or its field holds.
    fn value_of_key<'b>(&self, element: &[u8], space: &Space<'b>) -> Option<Str<'b>> {
        let Self::Key { before, after, field } = self else { return None };
        let mut key = SmallVec::<[u8; 128]>::from_slice(before);
        key.extend_from_slice(element);
        key.extend_from_slice(after);
        let entry = space.entry(&key)?;
        match field {
            None => Str::of(entry),
            Some(field) => hash::View::of(entry, space.call.now)?.get(field).map(Str::Bytes),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    /// STORE is allowed.
    Write,
}

struct Options<'a> {
    is_descending: bool,
    is_alpha: bool,
    /// How many to leave out, and how many to take; negative for all.
    limit: (i64, i64),
    by: Option<Pattern<'a>>,
    /// A BY without a key was given: the order of the source stays.
    keeps_order: bool,
    gets: SmallVec<[Pattern<'a>; 2]>,
    /// The argument that names the destination.
    target: Option<usize>,
}

impl<'a> Options<'a> {
    fn parse(arguments: Arguments<'a>, access: Access) -> Result<Self, Error> {
        let mut options = Self {
            is_descending: false,
            is_alpha: false,
            limit: (0, -1),
            by: None,
            keeps_order: false,
            gets: SmallVec::new(),
            target: None,
        };
        let mut i = 2;
        while i < arguments.len() {
            let first = arguments.get(i + 1);
            match (first, arguments.get(i + 2)) {
                _ if arguments.is(i, "asc") => options.is_descending = false,
                _ if arguments.is(i, "desc") => options.is_descending = true,
                _ if arguments.is(i, "alpha") => options.is_alpha = true,
                (Some(start), Some(count)) if arguments.is(i, "limit") => {
                    let integer = |text| parse_i64(text).ok_or(Error::NotAnInteger);
                    options.limit = (integer(start)?, integer(count)?);
                    i += 2;
                }
                (Some(_), _) if access == Access::Write && arguments.is(i, "store") => {
                    options.target = Some(i + 1);
                    i += 1;
                }
                (Some(pattern), _) if arguments.is(i, "by") => {
                    // The element itself is no key, so it is the same as no place for it: nothing is sorted.
                    // Once said, a later BY does not take it back.
                    let pattern = Pattern::parse(pattern);
                    options.keeps_order |= !pattern.is_key();
                    options.by = Some(pattern);
                    i += 1;
                }
                (Some(pattern), _) if arguments.is(i, "get") => {
                    options.gets.push(Pattern::parse(pattern));
                    i += 1;
                }
                _ => return Err(Error::Syntax),
            }
            i += 1;
        }
        Ok(options)
    }

    fn reaches_other_keys(&self) -> bool {
        self.by.iter().chain(&self.gets).any(Pattern::is_key)
    }

    fn sorts(&self, source: Source<'_>) -> bool {
        !self.keeps_order || self.forces_order(source)
    }

    /// Whether the elements are sorted as texts although BY says not to: a set has no order, and what is stored has to
    /// come out the same each time.
    fn forces_order(&self, source: Source<'_>) -> bool {
        self.keeps_order && self.target.is_some() && matches!(source, Source::Set(_))
    }

    /// The part of `len` elements that LIMIT asks for.
    fn window(&self, len: usize) -> Range<usize> {
        let (start, count) = self.limit;
        let start = usize::try_from(start).unwrap_or(0).min(len);
        let count = usize::try_from(count).unwrap_or(len).min(len - start);
        start..start + count
    }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        for (text, expected) in [
            (&b""[..], Some(0.0)),
            (b"1.5", Some(1.5)),
            (b" \t\n1", Some(1.0)),
            (b"1\0x", Some(1.0)),
            (b"\0", Some(0.0)),
            (b"-inf", Some(f64::NEG_INFINITY)),
            (b" ", None),
            (b"1 ", None),
            (b"x", None),
            (b"nan", None),
            (b"1e999", None),
        ] {
            assert_eq!(number(text), expected, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn a_pattern_has_a_place_for_the_element_and_perhaps_a_field() {
        let parts = |text: &'static str| match Pattern::parse(text.as_bytes()) {
            Pattern::Key { before, after, field } => {
                let text = |bytes: &'static [u8]| std::str::from_utf8(bytes).expect("text");
                (text(before), text(after), field.map(text))
            }
            _ => ("-", "-", None),
        };
        assert_eq!(parts("w_*"), ("w_", "", None));
        assert_eq!(parts("*"), ("", "", None));
        assert_eq!(parts("a*b*"), ("a", "b*", None));
        assert_eq!(parts("a*b->f"), ("a", "b", Some("f")));
        assert_eq!(parts("a*->f->g"), ("a", "", Some("f->g")));
        assert_eq!(parts("a*->"), ("a", "->", None));
        assert_eq!(parts("a->*"), ("a->", "", None));
        assert_eq!(parts("a->b"), ("-", "-", None));
        assert_eq!(parts("a\0*"), ("-", "-", None));
        assert!(matches!(Pattern::parse(b"#"), Pattern::Element));
        assert!(matches!(Pattern::parse(b"##"), Pattern::Nothing));
    }

    #[test]
    fn a_limit_never_leaves_the_elements() {
        let window = |start, count| {
            let options = Options {
                is_descending: false,
                is_alpha: false,
                limit: (start, count),
                by: None,
                keeps_order: false,
                gets: SmallVec::new(),
                target: None,
            };
            options.window(10)
        };
        assert_eq!(window(0, -1), 0..10);
        assert_eq!(window(2, 3), 2..5);
        assert_eq!(window(8, 5), 8..10);
        assert_eq!(window(10, 1), 10..10);
        assert_eq!(window(-5, 2), 0..2);
        assert_eq!(window(3, 0), 3..3);
        assert_eq!(window(i64::MIN, i64::MIN), 0..10);
        assert_eq!(window(i64::MAX, i64::MAX), 10..10);
    }
}
