use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

#[derive(Clone, Debug)]
enum Step {
    Add(Vec<u8>),
    Remove(Vec<u8>),
    Pop(usize),
    Expect(usize),
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        10 => (-30..30_i64).prop_map(|int| int.to_string().into_bytes()),
        3 => any::<i64>().prop_map(|int| int.to_string().into_bytes()),
        2 => prop::collection::vec(b'a'..b'd', 0..3),
        1 => prop::collection::vec(any::<u8>(), 0..80),
        1 => prop::sample::select(vec![b"007".to_vec(), b"-0".to_vec(), b"+1".to_vec(), vec![b'x'; 5000]]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => member().prop_map(Step::Add),
        4 => member().prop_map(Step::Remove),
        2 => any::<usize>().prop_map(Step::Pop),
        1 => (0..20_usize).prop_map(Step::Expect),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    prop_oneof![
        Just(Limits::default()),
        (0..12_usize, 0..12_usize, 0..80_usize).prop_map(|(ints, entries, value)| Limits {
            set_max_intset_entries: ints,
            set_max_listpack_entries: entries,
            set_max_listpack_value: value,
            ..Limits::default()
        }),
    ]
}

/// A cheap generator from a seed, good enough to draw places.
fn below(seed: usize) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |bound| {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        (state >> 33) % bound
    }
}

fn check(entry: &Entry, limits: &Limits, model: &BTreeSet<Vec<u8>>) {
    let view = View::of(entry).expect("a set");
    assert_eq!((view.len(), view.is_empty(), view.iter().len()), (model.len(), model.is_empty(), model.len()));
    assert_eq!(&view.iter().map(|member| member.to_vec()).collect::<BTreeSet<_>>(), model);
    let (mut scanned, mut cursor) = (BTreeSet::new(), 0);
    loop {
        cursor = view.scan(cursor, 10, |member| {
            scanned.insert(member.to_vec());
        });
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(&scanned, model);
    match view {
        View::Ints(ints) => {
            let numbers: Option<BTreeSet<i64>> = model.iter().map(|member| canonical(member)).collect();
            assert!(ints.iter().eq(numbers.expect("only integers")));
            assert!(ints.is_empty() || ints.len() <= limits.set_max_intset_entries);
        }
        View::Packed(pack) => {
            assert!(Pack::validate(pack.bytes()) && pack.len() <= limits.set_max_listpack_entries);
        }
        View::Table(table) => assert!(table.heap_bytes() > 0 && table.weight() >= model.len()),
    }
}

proptest! {
    #[test]
    fn agrees_with_a_btree_set(limits in limits(), steps in prop::collection::vec(step(), 0..80)) {
        let mut entry = create(b"set", 3);
        entry.set_deadline(Some(99));
        let mut model = BTreeSet::new();
        for step in steps {
            let mut edit = Edit::of(&mut entry, &limits).expect("a set");
            match step {
                Step::Add(member) => {
                    prop_assert_eq!(edit.add(&member), model.insert(member.clone()));
                    prop_assert!(edit.view().contains(&member));
                }
                Step::Remove(member) => {
                    prop_assert_eq!(edit.remove(&member), model.remove(&member));
                    prop_assert!(!edit.view().contains(&member));
                }
                Step::Pop(seed) => {
                    let random = edit.view().random(below(seed)).map(|member| member.to_vec());
                    let popped = edit.pop_random(below(seed), <[u8]>::to_vec);
                    prop_assert_eq!(&random, &popped);
                    prop_assert_eq!(popped.is_none(), model.is_empty());
                    prop_assert!(popped.is_none_or(|member| model.remove(&member)));
                }
                Step::Expect(count) => edit.expect(count),
            }
            check(&entry, &limits, &model);
        }
        prop_assert_eq!((entry.deadline(), entry.clock(), entry.key()), (Some(99), 3, b"set".as_slice()));
    }
}

fn filled<'a>(members: impl IntoIterator<Item = &'a [u8]>) -> Entry {
    let limits = Limits::default();
    let mut entry = create(b"k", 0);
    let mut edit = Edit::of(&mut entry, &limits).expect("a set");
    members.into_iter().for_each(|member| {
        edit.add(member);
    });
    entry
}

fn encoding(entry: &Entry) -> &'static str {
    View::of(entry).expect("a set").encoding()
}

fn numbers(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|at| at.to_string().into_bytes()).collect()
}

#[test]
fn the_encoding_changes_at_redis_borders() {
    let numbers = numbers(513);
    let some = |count: usize| numbers[..count].iter().map(Vec::as_slice);
    let words: Vec<Vec<u8>> = (0..129).map(|at| format!("word{at}").into_bytes()).collect();
    assert_eq!(encoding(&filled(some(512))), "intset");
    assert_eq!(encoding(&filled(some(513))), "hashtable");
    assert_eq!(encoding(&filled(some(127).chain([b"x".as_slice()]))), "listpack");
    assert_eq!(encoding(&filled(some(128).chain([b"x".as_slice()]))), "hashtable");
    assert_eq!(encoding(&filled(words[..128].iter().map(Vec::as_slice))), "listpack");
    assert_eq!(encoding(&filled(words.iter().map(Vec::as_slice))), "hashtable");
    assert_eq!(encoding(&filled([[b'x'; 64].as_slice()])), "listpack");
    assert_eq!(encoding(&filled([[b'x'; 65].as_slice()])), "hashtable");
    assert_eq!(encoding(&filled([b"1".as_slice(), &[b'x'; 65]])), "hashtable");
    assert_eq!(encoding(&filled([b"01".as_slice()])), "listpack");
}

#[test]
fn a_new_set_is_what_redis_would_create() {
    let limits = Limits::default();
    let created = |first: &[u8], count| encoding(&create_for(b"k", 0, first, count, &limits));
    assert_eq!(created(b"1", 512), "intset");
    assert_eq!(created(b"1", 513), "hashtable");
    assert_eq!(created(b"a", 128), "listpack");
    assert_eq!(created(b"a", 129), "hashtable");
    let few = Limits { set_max_intset_entries: 0, ..limits };
    assert_eq!(encoding(&create_for(b"k", 0, b"1", 1, &few)), "listpack");
}

#[test]
fn order_is_ascending_for_integers_and_insertion_for_a_pack() {
    let order = |entry: &Entry| -> Vec<Vec<u8>> {
        View::of(entry).expect("a set").iter().map(|member| member.to_vec()).collect()
    };
    let ints = filled([b"10".as_slice(), b"-3", b"9"]);
    assert_eq!(order(&ints), [b"-3".as_slice(), b"9", b"10"]);
    let words = filled([b"10".as_slice(), b"-3", b"b", b"a"]);
    assert_eq!(order(&words), [b"-3".as_slice(), b"10", b"b", b"a"]);
}

#[test]
fn five_small_integers_cost_one_small_allocation() {
    let limits = Limits::default();
    let mut entry = create(&[b'k'; 16], 0);
    let mut edit = Edit::of(&mut entry, &limits).expect("a set");
    numbers(5).iter().for_each(|member| {
        edit.add(member);
    });
    assert_eq!(entry.size(), 40);
}

#[test]
fn other_types_are_not_sets() {
    let mut entry = Entry::new(b"k", Content::Inline(Kind::HashPack, pack::EMPTY), None, 0);
    assert!(View::of(&entry).is_none() && Edit::of(&mut entry, &Limits::default()).is_none());
}
