//! Values through Redis' format and back, and what happens when bytes are changed on the way.

use proptest::prelude::*;

use super::super::list::End;
use super::super::{
    HashLimits, ListLimits, SetLimits, Type, ZSetLimits, encoding, hash, list, set, stream, string, zset,
};
use super::*;
use crate::number::{format_f64, parse_f64};

const KEY: &[u8] = b"key";

fn making(limits: &Limits) -> Making<'_> {
    Making { key: KEY, clock: 5, limits, string_max: 1 << 20 }
}

/// The elements of a value, those without an order sorted.
fn content(entry: &Entry) -> (Type, Vec<Vec<u8>>) {
    let kind = Type::of(entry);
    let mut elements: Vec<Vec<u8>> = match kind {
        Type::String => match string::Str::of(entry).expect("a string") {
            string::Str::Int(int) => vec![int.to_string().into_bytes()],
            string::Str::Bytes(bytes) => vec![bytes.to_vec()],
            string::Str::Shared(bytes) => vec![bytes.to_vec()],
        },
        Type::List => list::View::of(entry).expect("a list").iter().map(<[u8]>::to_vec).collect(),
        Type::Set => set::View::of(entry).expect("a set").iter().map(|member| member.to_vec()).collect(),
        Type::Hash => {
            let pairs = hash::View::of(entry, 0).expect("a hash").iter();
            pairs.map(|(field, value)| [field, b"=", value].concat()).collect()
        }
        Type::ZSet => {
            let items = zset::View::of(entry).expect("a sorted set").iter();
            items.map(|item| [item.member, b"=", &format_f64(item.score)].concat()).collect()
        }
        Type::Stream => {
            let stream = stream::of(entry).expect("a stream");
            let (log, all) = (&stream.log, stream::Id::MIN..=stream::Id::MAX);
            let mut lines = vec![format!("{:?} {:?}", log.bounds(), log.last()).into_bytes()];
            lines.extend(log.range(*all.start(), *all.end()).map(|item| format!("{item:?}").into_bytes()));
            for (name, group) in &stream.groups {
                lines.push(name.to_vec());
                lines.push(format!("{:?} {:?}", group.last_id, group.entries_read).into_bytes());
                // Consumers are known by name: their numbers follow the order in which a payload has them.
                let pending = group.pending_range(..).map(|(id, it)| {
                    format!("{id} {:?} {} {}", group.consumer(it.owner).name(), it.delivered, it.count)
                });
                lines.extend(pending.map(String::into_bytes));
                let consumers = group.consumers().map(|it| format!("{:?} {} {:?}", it.name(), it.seen, it.pending()));
                lines.extend(consumers.map(String::into_bytes));
            }
            lines
        }
    };
    if matches!(kind, Type::Set | Type::Hash) {
        elements.sort();
    }
    (kind, elements)
}

fn made(kind: Type, texts: &[Vec<u8>], limits: &Limits) -> Entry {
    let first = texts.first().map(Vec::as_slice).unwrap_or_default();
    match kind {
        Type::String => Entry::new(KEY, string::content(first), None, 5),
        Type::List => {
            let mut entry = list::create(KEY, 5);
            let mut edit = list::Edit::of(&mut entry, &limits.list).expect("a list");
            edit.push(End::Back, first);
            texts.iter().for_each(|text| edit.push(End::Back, text));
            entry
        }
        Type::Set => {
            let mut entry = set::create_for(KEY, 5, first, texts.len(), &limits.set);
            let mut edit = set::Edit::of(&mut entry, &limits.set).expect("a set");
            edit.add(first);
            for text in texts {
                edit.add(text);
            }
            entry
        }
        Type::Hash => {
            let mut entry = hash::create(KEY, 5);
            let mut edit = hash::Edit::of(&mut entry, &limits.hash, 0).expect("a hash");
            edit.set(first, first);
            for (field, value) in texts.iter().rev().zip(texts) {
                edit.set(field, value);
            }
            entry
        }
        Type::ZSet => {
            let mut entry = zset::create(KEY, 5);
            let mut edit = zset::Edit::of(&mut entry, &limits.zset).expect("a sorted set");
            for (i, text) in texts.iter().enumerate() {
                edit.set(text, parse_f64(text).unwrap_or(i as f64 / 3.0));
            }
            entry
        }
        Type::Stream => {
            let mut entry = stream::create(KEY, 5);
            let stream::Stream { log, groups } = stream::of_mut(&mut entry).expect("a stream");
            let mut group = stream::Group::new(stream::Id::new(1, 1), None);
            // In the order of their names, so that they have the same numbers when they come back.
            let owners = [b"a", b"b"].map(|name| group.consumer_or_new(name, 77).0);
            for (i, text) in texts.iter().enumerate() {
                let id = stream::Id::new(i as u64 * 40, 3);
                let other = if i % 3 == 0 { &b"other"[..] } else { first };
                log.append(id, [other, text, b"f", first].into_iter(), limits.stream_node);
                group.deliver(id, owners[i % 2], 1000 + i as u64);
            }
            log.set_max_deleted(stream::Id::new(7, u64::MAX));
            groups.insert(first.into(), group);
            entry
        }
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let borders = [
        0_i64,
        12,
        13,
        127,
        128,
        -128,
        -129,
        4095,
        4096,
        -4096,
        -4097,
        32767,
        32768,
        -32769,
        8_388_607,
        8_388_608,
        -8_388_609,
        2_147_483_647,
        2_147_483_648,
        -2_147_483_649,
        i64::MAX,
        i64::MIN,
    ];
    prop_oneof![
        4 => any::<i16>().prop_map(|int| int.to_string().into_bytes()),
        2 => any::<i64>().prop_map(|int| int.to_string().into_bytes()),
        3 => prop::sample::select(borders.to_vec()).prop_map(|int| int.to_string().into_bytes()),
        4 => prop::collection::vec(any::<u8>(), 0..12),
        2 => (any::<u8>(), prop::sample::select(vec![20, 21, 63, 64, 65, 127, 253, 254, 255, 4095, 4096, 9000, 16378, 16383, 20000]))
            .prop_map(|(byte, len)| vec![byte; len]),
        1 => prop::collection::vec(any::<u8>(), 20..100),
    ]
}

fn kinds() -> impl Strategy<Value = Type> {
    prop::sample::select(vec![Type::String, Type::List, Type::Set, Type::Hash, Type::ZSet, Type::Stream])
}

fn limits() -> impl Strategy<Value = Limits> {
    let small = Limits {
        list: ListLimits { max_listpack_size: 3 },
        set: SetLimits { max_intset_entries: 2, max_listpack_entries: 3, ..SetLimits::default() },
        hash: HashLimits { max_listpack_entries: 2, ..HashLimits::default() },
        zset: ZSetLimits { max_listpack_entries: 2, ..ZSetLimits::default() },
        ..Limits::default()
    };
    let large = Limits {
        list: ListLimits { max_listpack_size: -5 },
        set: SetLimits { max_listpack_value: 30_000, ..SetLimits::default() },
        hash: HashLimits { max_listpack_value: 30_000, ..HashLimits::default() },
        zset: ZSetLimits { max_listpack_value: 30_000, ..ZSetLimits::default() },
        ..Limits::default()
    };
    prop::sample::select(vec![Limits::default(), small, large])
}

/// With a checksum that is right whatever the body is.
fn sealed(body: &[u8], version: u16) -> Vec<u8> {
    let mut payload = [body, &version.to_le_bytes()].concat();
    let checksum = CRC.checksum(&payload);
    payload.extend_from_slice(&checksum.to_le_bytes());
    payload
}

proptest! {
    #[test]
    fn a_value_comes_back(kind in kinds(), texts in prop::collection::vec(text(), 1..40), limits in limits()) {
        let entry = made(kind, &texts, &limits);
        let payload = dump(&entry, 0);
        let found = restore(&payload, &making(&limits)).expect("just written");
        prop_assert_eq!(content(&found), content(&entry));
        // A set or hash that was larger once keeps its table, but its copy need not.
        if matches!(kind, Type::String | Type::List) {
            prop_assert_eq!(encoding(&found), encoding(&entry));
        }
        prop_assert_eq!((found.key(), found.clock(), found.deadline()), (KEY, 5, None));
        // With other limits it has another encoding, and is the same value.
        let found = restore(&payload, &making(&Limits::default())).expect("just written");
        prop_assert_eq!(content(&found), content(&entry));
    }

    #[test]
    fn deadlines_of_fields_come_back(
        fields in prop::collection::btree_map(text(), prop::option::of(1..1000_u64), 1..40), limits in limits(), now in 0..1200_u64
    ) {
        let mut entry = hash::create(KEY, 5);
        let mut edit = hash::Edit::of(&mut entry, &limits.hash, 0).expect("a hash");
        for (field, deadline) in &fields {
            edit.set(field, b"v");
            if deadline.is_some() {
                edit.set_deadline(field, *deadline);
            }
        }
        if entry.is_expired(now) {
            return Ok(());
        }
        let payload = dump(&entry, now);
        let is_alive = |deadline: &Option<u64>| deadline.is_none_or(|deadline| deadline > now);
        let is_timed = fields.values().any(|deadline| deadline.is_some() && is_alive(deadline));
        prop_assert_eq!(payload[payload.len() - FOOTER], if is_timed { 12 } else { 10 });
        let found = restore(&payload, &making(&limits)).expect("just written");
        let view = hash::View::of(&found, 0).expect("a hash");
        prop_assert_eq!(view.len(), fields.values().filter(|deadline| is_alive(deadline)).count());
        for (field, deadline) in fields.iter().filter(|(_, deadline)| is_alive(deadline)) {
            prop_assert_eq!(view.deadline(field), Some(*deadline));
        }
    }

    #[test]
    fn changed_bytes_are_a_value_or_refused(
        kind in kinds(),
        texts in prop::collection::vec(text(), 1..12),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let limits = Limits::default();
        let payload = dump(&made(kind, &texts, &limits), 0);
        let mut body = payload[..payload.len() - FOOTER].to_vec();
        changes.iter().for_each(|(at, byte)| body[at.index(payload.len() - FOOTER)] = *byte);
        if cuts {
            body.truncate(cut.index(body.len()));
        }
        if let Ok(entry) = restore(&sealed(&body, VERSION), &making(&limits)) {
            let (kind, elements) = content(&entry);
            prop_assert!(kind == Type::String || !elements.is_empty());
            let again = restore(&dump(&entry, 0), &making(&limits)).expect("just written");
            prop_assert_eq!(content(&again), (kind, elements));
        }
    }

    #[test]
    fn any_bytes_are_a_value_or_refused(kind in 0..32_u8, bytes in prop::collection::vec(any::<u8>(), 0..80), packed in any::<bool>()) {
        // Many types are one string, whose content is what matters.
        let body = if packed { [&[kind, bytes.len() as u8 & 0x3F][..], &bytes].concat() } else { [&[kind][..], &bytes].concat() };
        let _ = restore(&sealed(&body, VERSION), &making(&Limits::default()));
        let _ = restore(&bytes, &making(&Limits::default()));
        let len = bytes.len() as u32;
        // With the right length in front, more of the rest is looked at.
        let with_length = [&(len + 4).to_le_bytes()[..], &bytes].concat();
        for bytes in [&bytes, &with_length] {
            let _ = listpack::each(bytes, |_| Ok(()));
            let _ = ziplist::each(bytes, |_| Ok(()));
        }
        let _ = zipmap::each(&bytes, |_, _| Ok(()));
    }

    #[test]
    fn a_changed_bit_is_noticed(kind in kinds(), texts in prop::collection::vec(text(), 1..6), at in any::<prop::sample::Index>(), bit in 0..8) {
        let limits = Limits::default();
        let mut payload = dump(&made(kind, &texts, &limits), 0);
        let at = at.index(payload.len());
        payload[at] ^= 1_u8 << bit;
        prop_assert_eq!(restore(&payload, &making(&limits)).map(|_| ()), Err(Refused::Footer));
    }
}

#[test]
fn payloads_of_every_redis() {
    let limits = Limits::default();
    for line in include_str!("../../../tests/data/redis-dumps.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let fields: Vec<&str> = line.split('|').map(str::trim).collect();
        let [name, expected, payload] = fields[..] else { panic!("not three fields: {line}") };
        let payload: Vec<u8> = (0..payload.len() / 2)
            .map(|i| u8::from_str_radix(&payload[2 * i..2 * i + 2], 16).expect("hexadecimal digits"))
            .collect();
        let entry = restore(&payload, &making(&limits)).unwrap_or_else(|refused| panic!("{name}: {refused:?}"));
        let (kind, elements) = content(&entry);
        let shown: Vec<String> = elements.iter().map(|element| String::from_utf8_lossy(element).into()).collect();
        assert_eq!(format!("{} {}", kind.name(), shorten(&shown)), expected, "{name}");
    }
}

/// Long collections by their number of elements, and long elements by their length.
fn shorten(elements: &[String]) -> String {
    let short = |element: &String| match element.len() {
        0..40 => element.clone(),
        len => format!("{}*{len}", &element[..1]),
    };
    match elements.len() {
        0..16 => elements.iter().map(short).collect::<Vec<_>>().join(" "),
        len => format!("{} .. {} ({len})", short(&elements[0]), short(&elements[len - 1])),
    }
}

#[test]
fn a_later_version_is_refused() {
    let limits = Limits::default();
    for (version, expected) in
        [(0, Ok(())), (6, Ok(())), (12, Ok(())), (13, Err(Refused::Footer)), (u16::MAX, Err(Refused::Footer))]
    {
        assert_eq!(restore(&sealed(b"\0\x01v", version), &making(&limits)).map(|_| ()), expected, "{version}");
    }
    assert_eq!(restore(b"", &making(&limits)).map(|_| ()), Err(Refused::Footer));
    assert_eq!(restore(&sealed(b"", VERSION), &making(&limits)).map(|_| ()), Err(Refused::Content));
}

#[test]
fn what_is_no_value_is_refused() {
    let limits = Limits::default();
    let refused: &[(&str, &[u8])] = &[
        ("no type that is known", b"\x21\x01v"),
        ("a stream that ends early", b"\x13\x00\x00\x00\x00"),
        ("no string", b"\0"),
        ("a string that ends early", b"\0\x05v"),
        ("bytes after the value", b"\0\x01vv"),
        ("a length that is none", b"\0\x82\0\0\0\0v"),
        ("an announced length of 2^64-1", b"\0\x81\xff\xff\xff\xff\xff\xff\xff\xff"),
        ("an encoding that is none", b"\0\xc4\0"),
        ("compressed to nothing", b"\0\xc3\x02\x05\x00a"),
        ("compressed from more than is allowed", b"\0\xc3\x03\x80\x7f\xff\xff\xff\xe0\xff\x00"),
        ("a list without elements", b"\x01\0"),
        ("a list of 4 billion elements", b"\x01\x80\xff\xff\xff\xff"),
        ("a quicklist without nodes", b"\x12\0"),
        ("a quicklist of an empty listpack", b"\x12\x01\x02\x07\x07\0\0\0\0\0\xff"),
        ("a node of a kind that is none", b"\x12\x01\x03\x01a"),
        ("a node that is an empty element", b"\x12\x01\x01\0"),
        ("a set without members", b"\x02\0"),
        ("a set with a member twice", b"\x02\x02\x01a\x01a"),
        ("an intset without members", b"\x0b\x08\x02\0\0\0\0\0\0\0"),
        ("an intset that does not ascend", b"\x0b\x0c\x02\0\0\0\x02\0\0\0\x02\0\x01\0"),
        ("an intset with a member twice", b"\x0b\x0c\x02\0\0\0\x02\0\0\0\x02\0\x02\0"),
        ("an intset of a width that is none", b"\x0b\x0b\x03\0\0\0\x01\0\0\0\x01\0\0"),
        ("an intset of 4 billion members", b"\x0b\x0a\x02\0\0\0\xff\xff\xff\xff\x01\0"),
        ("a hash without fields", b"\x04\0"),
        ("a hash with a field twice", b"\x04\x02\x01a\x01b\x01a\x01c"),
        ("a hash that ends in a field", b"\x04\x01\x01a"),
        ("a listpack with an odd number of elements", b"\x10\x09\x09\0\0\0\x01\0\x01\x01\xff"),
        ("a listpack whose count lies", b"\x14\x09\x09\0\0\0\x02\0\x01\x01\xff"),
        ("a listpack whose length lies", b"\x14\x09\x0a\0\0\0\x01\0\x01\x01\xff"),
        ("a listpack without an end", b"\x14\x08\x08\0\0\0\x01\0\x01\x01"),
        ("an element whose length behind it lies", b"\x14\x09\x09\0\0\0\x01\0\x01\x02\xff"),
        ("an element that leads out of its listpack", b"\x14\x0a\x0a\0\0\0\x01\0\xbf\x01\x02\xff"),
        (
            "a field with a deadline that is none",
            b"\x19\0\0\0\0\0\0\0\0\x0e\x0e\0\0\0\x03\0\x01\x01\x01\x01\x81x\x02\xff",
        ),
        ("a field with a deadline after all time", b"\x18\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02\x01f\x01v"),
        ("a field with a deadline twice", b"\x18\x01\0\0\0\0\0\0\0\x02\x01\x01f\x01v\x01\x01f\x01v"),
        ("triples that end early", b"\x19\0\0\0\0\0\0\0\0\x0b\x0b\0\0\0\x02\0\x01\x01\x01\x01\xff"),
        ("a sorted set without members", b"\x05\0"),
        ("a sorted set with a member twice", b"\x03\x02\x01a\x011\x01a\x012"),
        ("a score that is no number", b"\x05\x01\x01a\0\0\0\0\0\0\xf8\x7f"),
        ("a score that was no number in an old form", b"\x03\x01\x01a\xfd"),
        ("a score that is a word", b"\x03\x01\x01a\x01x"),
        ("a member without a score", b"\x11\x09\x09\0\0\0\x01\0\x01\x01\xff"),
        ("a zipmap without fields", b"\x09\x02\0\xff"),
        ("a zipmap without an end", b"\x09\x05\x01\x01a\x01\0"),
        ("a ziplist whose last entry is elsewhere", b"\x0a\x0d\x0d\0\0\0\x0b\0\0\0\x01\0\0\xf2\xff"),
        ("a ziplist whose entry before had another length", b"\x0a\x0d\x0d\0\0\0\x0a\0\0\0\x01\0\x05\xf2\xff"),
    ];
    for (name, body) in refused {
        let found = restore(&sealed(body, VERSION), &making(&limits)).map(|entry| content(&entry));
        assert_eq!(found, Err(Refused::Content), "{name}");
    }
    let fine: &[(&str, &[u8])] = &[
        ("a listpack", b"\x14\x09\x09\0\0\0\x01\0\x01\x01\xff"),
        ("a ziplist", b"\x0a\x0d\x0d\0\0\0\x0a\0\0\0\x01\0\0\xf2\xff"),
        ("an intset", b"\x0b\x0c\x02\0\0\0\x02\0\0\0\x01\0\x02\0"),
        ("a sorted set in an old form", b"\x03\x03\x01a\x031.5\x01b\xff\x01c\xfe"),
        ("a hash with a deadline", b"\x18\x05\0\0\0\0\0\0\0\x02\x01\x01f\x01v\0\x01g\x01v"),
        ("a zipmap", b"\x09\x09\x01\x01a\x01\x02b..\xff"),
    ];
    for (name, body) in fine {
        assert!(restore(&sealed(body, VERSION), &making(&limits)).is_ok(), "{name}");
    }
}
