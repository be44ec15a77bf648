use super::super::timed;
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => prop::collection::vec(b'a'..b'e', 0..4),
        3 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (any::<u8>(), prop::sample::select(vec![64, 65, 127, 128, 1024, 1025, 3000]))
            .prop_map(|(byte, len)| vec![byte; len]),
    ]
}

fn limits() -> impl Strategy<Value = HashLimits> {
    prop_oneof![
        Just(HashLimits::default()),
        (0..12_usize, 0..80_usize)
            .prop_map(|(entries, value)| HashLimits { max_listpack_entries: entries, max_listpack_value: value }),
    ]
}

type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)>;

/// What of a model is not due.
fn live(model: &Model, now: u64) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let live = model.iter().filter(|(_, (_, deadline))| deadline.is_none_or(|at| at > now));
    live.map(|(field, (value, _))| (field.clone(), value.clone())).collect()
}

fn check(view: View<'_>, model: &BTreeMap<Vec<u8>, Vec<u8>>) {
    assert_eq!((view.len(), view.is_empty(), view.iter().len()), (model.len(), model.is_empty(), model.len()));
    let owned = |(field, value): (&[u8], &[u8])| (field.to_vec(), value.to_vec());
    assert_eq!(&view.iter().map(owned).collect::<BTreeMap<_, _>>(), model);
    assert_eq!(view.iter().count(), model.len());
    let (mut scanned, mut cursor) = (BTreeMap::new(), 0);
    loop {
        cursor = view.scan(cursor, 10, |field, value| {
            scanned.insert(field.to_vec(), value.to_vec());
        });
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(&scanned, model);
}

proptest! {
    /// Against a map with a clock: every encoding, with and without deadlines, whatever of what is due has been removed.
    #[test]
    fn agrees_with_a_btree_map(
        limits in limits(),
        steps in prop::collection::vec((0..12_u8, bytes(), bytes(), any::<usize>(), 0..50_u64), 0..80),
        with_deadlines: bool,
    ) {
        let mut entry = create(b"hash", 3);
        entry.set_deadline(Some(9999));
        let (mut model, mut now) = (Model::new(), 100);
        for (step, field, value, luck, amount) in steps {
            let is_live = model.get(&field).is_some_and(|(_, deadline)| deadline.is_none_or(|at| at > now));
            let old = model.get(&field).and_then(|(_, deadline)| *deadline);
            let mut edit = Edit::of(&mut entry, &limits, now).expect("a hash");
            match step {
                0..5 => {
                    prop_assert_eq!(edit.set(&field, &value), !is_live);
                    model.insert(field.clone(), (value, None));
                }
                5 => {
                    prop_assert_eq!(edit.put(&field, &value, FieldDeadline::Keep), !is_live);
                    model.insert(field.clone(), (value, old.filter(|_| is_live)));
                }
                6 => {
                    prop_assert_eq!(edit.remove(&field), is_live);
                    model.remove(&field);
                }
                7..10 if with_deadlines => {
                    let deadline = (luck % 4 > 0).then_some(now + 1 + amount);
                    prop_assert_eq!(edit.set_deadline(&field, deadline), is_live);
                    if is_live {
                        model.get_mut(&field).expect("live").1 = deadline;
                    }
                }
                10 => now += amount,
                _ => {
                    let due = model.values().filter(|(_, deadline)| deadline.is_some_and(|at| at <= now)).count();
                    let removed = timed::expire(&mut entry, now, 2);
                    prop_assert!(removed <= due);
                    prop_assert!(removed >= 2 || timed::first_deadline(entry.raw()).is_none_or(|at| at > now));
                }
            }
            let live = live(&model, now);
            let view = View::of(&entry, now).expect("a hash");
            check(view, &live);
            let expected = live.get(&field).map(Vec::as_slice);
            prop_assert_eq!((view.get(&field), view.contains(&field)), (expected, expected.is_some()));
            prop_assert_eq!(view.value_len(&field), expected.map_or(0, <[u8]>::len));
            prop_assert_eq!(view.deadline(&field), expected.map(|_| model[&field].1));
            let mut luck = luck;
            let random = view.random(|bound| {
                luck = luck.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
                (luck >> 33) % bound
            });
            prop_assert_eq!(random.is_none(), live.is_empty());
            if let Some((field, value)) = random {
                prop_assert_eq!(live.get(field).map(Vec::as_slice), Some(value));
            }
            if matches!(view, View::Packed(_) | View::TimedPack(_)) {
                prop_assert!(Pack::validate(entry.bytes()));
                prop_assert!(view.len() <= limits.max_listpack_entries);
            }
            // The earliest deadline is known, be it of a field that is due, removed or not.
            let deadlines = || model.values().filter_map(|(_, deadline)| *deadline);
            let first = deadlines().filter(|at| *at > now).min();
            let found = timed::first_deadline(entry.raw());
            prop_assert!(found == first || found.is_some_and(|at| at <= now && deadlines().any(|it| it == at)));
            prop_assert_eq!(entry.is_expired(now), live.is_empty() && entry.is_timed());
            if !entry.is_timed() {
                prop_assert_eq!(deadlines().count(), 0);
            }
        }
        prop_assert_eq!((entry.deadline(), entry.clock(), entry.key()), (Some(9999), 3, b"hash".as_slice()));
    }
}

fn filled(count: usize, value: &[u8]) -> Entry {
    let limits = HashLimits::default();
    let mut entry = create(b"k", 0);
    let mut edit = Edit::of(&mut entry, &limits, 0).expect("a hash");
    (0..count).for_each(|at| {
        edit.set(at.to_string().as_bytes(), value);
    });
    entry
}

fn encoding(entry: &Entry) -> &'static str {
    View::of(entry, 0).expect("a hash").encoding()
}

#[test]
fn the_encoding_changes_at_redis_borders() {
    assert_eq!(encoding(&filled(512, &[b'v'; 64])), "listpack");
    assert_eq!(encoding(&filled(513, b"v")), "hashtable");
    assert_eq!(encoding(&filled(1, &[b'v'; 65])), "hashtable");
    let limits = HashLimits::default();
    for (count, expected) in [(512, "listpack"), (513, "hashtable")] {
        let mut entry = filled(1, b"v");
        Edit::of(&mut entry, &limits, 0).expect("a hash").expect(count);
        assert_eq!(encoding(&entry), expected);
    }
}

#[test]
fn a_full_small_hash_still_takes_new_values() {
    let mut entry = filled(512, b"v");
    let limits = HashLimits::default();
    let mut edit = Edit::of(&mut entry, &limits, 0).expect("a hash");
    assert!(!edit.set(b"17", b"other") && edit.view().encoding() == "listpack");
}

#[test]
fn five_short_fields_cost_one_small_allocation() {
    let limits = HashLimits::default();
    let mut entry = create(&[b'k'; 16], 0);
    let mut edit = Edit::of(&mut entry, &limits, 0).expect("a hash");
    for field in [b"f1", b"f2", b"f3", b"f4", b"f5"] {
        edit.set(field, b"value");
    }
    assert_eq!(entry.size(), 80);
}

#[test]
fn other_types_are_not_hashes() {
    let mut entry = Entry::new(b"k", Content::Inline(Kind::ListPack, pack::EMPTY), None, 0);
    assert!(View::of(&entry, 0).is_none() && Edit::of(&mut entry, &HashLimits::default(), 0).is_none());
}

/// The fields in the order of the pack.
fn order(entry: &Entry) -> Vec<String> {
    let view = View::of(entry, 0).expect("a hash");
    view.iter().map(|(field, _)| String::from_utf8_lossy(field).into_owned()).collect()
}

#[test]
fn a_small_hash_is_in_the_order_of_its_deadlines() {
    let mut entry = filled(4, b"v");
    let limits = HashLimits::default();
    let mut edit = Edit::of(&mut entry, &limits, 0).expect("a hash");
    for (field, deadline) in [(b"1", 30), (b"3", 20), (b"0", 30)] {
        assert!(edit.set_deadline(field, Some(deadline)));
    }
    assert_eq!((order(&entry), encoding(&entry)), (vec!["3".into(), "0".into(), "1".into(), "2".into()], "listpackex"));
    let mut edit = Edit::of(&mut entry, &limits, 0).expect("a hash");
    // A new value takes the deadline away.
    edit.set(b"3", b"w");
    edit.set_deadline(b"1", None);
    assert_eq!(order(&entry), ["0", "2", "3", "1"]);
    assert_eq!(View::of(&entry, 30).expect("a hash").len(), 3);
}

#[test]
fn deadlines_cost_little() {
    let limits = HashLimits::default();
    let mut entry = create(&[b'k'; 16], 0);
    let mut edit = Edit::of(&mut entry, &limits, 0).expect("a hash");
    for field in [b"f1", b"f2", b"f3", b"f4", b"f5"] {
        edit.set(field, b"value");
    }
    edit.set_deadline(b"f1", Some(1_800_000_000_000));
    assert_eq!(entry.size(), 96);
}

#[test]
fn a_large_hash_keeps_deadlines_when_it_grows() {
    let limits = HashLimits { max_listpack_entries: 4, ..HashLimits::default() };
    let mut entry = filled(4, b"v");
    let mut edit = Edit::of(&mut entry, &limits, 0).expect("a hash");
    edit.set_deadline(b"2", Some(50));
    edit.set(b"4", b"v");
    assert_eq!((encoding(&entry), entry.due()), ("hashtable", Some(50)));
    assert_eq!(View::of(&entry, 50).expect("a hash").len(), 4);
    assert_eq!((timed::expire(&mut entry, 50, 10), entry.due()), (1, None));
}
