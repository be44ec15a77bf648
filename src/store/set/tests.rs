use super::algebra::Operation;
use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

#[derive(Clone, Debug)]
enum Step {
    Add(Vec<u8>),
    Remove(Vec<u8>),
    Pop(usize),
    PopSample(usize, usize),
    SplitOff(usize, usize),
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
        1 => (0..30_usize, any::<usize>()).prop_map(|(count, seed)| Step::PopSample(count, seed)),
        1 => (0..30_usize, any::<usize>()).prop_map(|(count, seed)| Step::SplitOff(count, seed)),
        1 => (0..20_usize).prop_map(Step::Expect),
    ]
}

fn limits() -> impl Strategy<Value = SetLimits> {
    prop_oneof![
        Just(SetLimits::default()),
        (0..12_usize, 0..12_usize, 0..80_usize).prop_map(|(ints, entries, value)| SetLimits {
            max_intset_entries: ints,
            max_listpack_entries: entries,
            max_listpack_value: value,
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

fn members_of(view: View<'_>) -> BTreeSet<Vec<u8>> {
    let members: Vec<Vec<u8>> = view.iter().map(|member| member.to_vec()).collect();
    let count = members.len();
    let members: BTreeSet<Vec<u8>> = members.into_iter().collect();
    assert_eq!((members.len(), count), (count, view.len()));
    members
}

fn check(entry: &Entry, limits: &SetLimits, model: &BTreeSet<Vec<u8>>) {
    let view = View::of(entry).expect("a set");
    assert_eq!((view.len(), view.is_empty(), view.iter().len()), (model.len(), model.is_empty(), model.len()));
    assert_eq!(&members_of(view), model);
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
            assert!(ints.is_empty() || ints.len() <= limits.max_intset_entries);
        }
        View::Packed(pack) => {
            assert!(Pack::validate(pack.bytes()) && pack.len() <= limits.max_listpack_entries);
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
                Step::PopSample(count, seed) => {
                    let mut popped = BTreeSet::new();
                    let before = edit.len();
                    edit.pop_sample(count, below(seed), |member| assert!(popped.insert(member.to_vec())));
                    prop_assert_eq!((popped.len(), edit.len()), (count.min(before), before - count.min(before)));
                    prop_assert!(popped.iter().all(|member| model.remove(member)));
                }
                Step::SplitOff(count, seed) => {
                    let before = edit.len();
                    let moved = edit.split_off(b"other", count, below(seed));
                    let moved = members_of(View::of(&moved).expect("a set"));
                    prop_assert_eq!((moved.len(), edit.len()), (count.min(before), before - count.min(before)));
                    prop_assert!(moved.iter().all(|member| model.remove(member)));
                }
                Step::Expect(count) => edit.expect(count),
            }
            check(&entry, &limits, &model);
        }
        prop_assert_eq!((entry.deadline(), entry.clock(), entry.key()), (Some(99), 3, b"set".as_slice()));
    }
}

/// A set with members of one kind, so that each form comes often, and its members.
fn some_set() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let ints = prop::collection::vec((0..40_i64).prop_map(|int| int.to_string().into_bytes()), 0..30);
    let words = prop::collection::vec((0..40_i64).prop_map(|int| format!("w{int}").into_bytes()), 0..30);
    let mixed = prop::collection::vec(member(), 0..30);
    prop_oneof![3 => ints, 2 => words, 1 => mixed]
}

fn made(members: &[Vec<u8>], limits: &SetLimits) -> Option<Entry> {
    let mut entry = create_for(b"k", 0, members.first()?, members.len(), limits);
    let mut edit = Edit::of(&mut entry, limits).expect("a set");
    members.iter().for_each(|member| {
        edit.add(member);
    });
    Some(entry)
}

/// The form that a set comes to by adding member after member.
fn form_by_adding<'m>(start: Form, members: impl IntoIterator<Item = Member<'m>>, limits: &SetLimits) -> &'static str {
    let mut entry = start.fill(b"k", 0, &[]);
    let mut edit = Edit::of(&mut entry, limits).expect("a set");
    members.into_iter().for_each(|member| {
        edit.add(&member);
    });
    edit.view().encoding()
}

proptest! {
    #[test]
    fn operations_agree_with_those_of_btree_sets(
        limits in limits(),
        sets in prop::collection::vec((some_set(), any::<bool>()), 1..6),
        limit in 1..10_usize,
    ) {
        let entries: Vec<Option<Entry>> = sets.iter().map(|(members, _)| made(members, &limits)).collect();
        // Now and then the first set once more.
        let again = |i: usize| if sets[i].1 && i > 1 { 0 } else { i };
        let views: Vec<Option<View<'_>>> =
            (0..entries.len()).map(|i| entries[again(i)].as_ref().and_then(View::of)).collect();
        let models: Vec<BTreeSet<Vec<u8>>> =
            views.iter().map(|view| view.map(members_of).unwrap_or_default()).collect();
        for operation in [Operation::Intersection, Operation::Union, Operation::Difference] {
            let combine = |one: BTreeSet<Vec<u8>>, other: &BTreeSet<Vec<u8>>| match operation {
                Operation::Intersection => &one & other,
                Operation::Union => &one | other,
                Operation::Difference => &one - other,
            };
            let expected = models[1..].iter().fold(models[0].clone(), combine);
            let members = operation.members(&views);
            let found: BTreeSet<Vec<u8>> = members.iter().map(|member| member.to_vec()).collect();
            prop_assert_eq!((&found, members.len()), (&expected, expected.len()), "{:?}", operation);
            prop_assert_eq!(operation.count(&views, usize::MAX), expected.len());
            prop_assert_eq!(operation.count(&views, limit), expected.len().min(limit));
            let stored = operation.store(b"to", 5, &views, &limits);
            prop_assert_eq!(stored.is_some(), !expected.is_empty());
            let Some(stored) = stored else { continue };
            let view = View::of(&stored).expect("a set");
            prop_assert_eq!((members_of(view), stored.key(), stored.clock()), (expected, b"to".as_slice(), 5));
            if operation == Operation::Union {
                prop_assert_eq!(view.encoding(), form_by_adding(Form::Ints, members, &limits));
            }
        }
    }

    #[test]
    fn a_form_is_foreseen(limits in limits(), members in some_set()) {
        let mut seen = BTreeSet::new();
        let members: Vec<Member<'_>> =
            members.iter().filter(|member| seen.insert((*member).clone())).map(|member| Member::Bytes(member)).collect();
        for start in [Form::Ints, Form::Packed, Form::Table] {
            let set = start.after(&members, &limits).fill(b"k", 0, &members);
            let view = View::of(&set).expect("a set");
            prop_assert_eq!(&members_of(view), &seen);
            prop_assert_eq!(view.encoding(), form_by_adding(start, members.iter().copied(), &limits));
        }
    }

    #[test]
    fn samples_are_different_members(
        limits in limits(),
        members in some_set(),
        count in 0..40_usize,
        seed: usize,
    ) {
        let Some(entry) = made(&members, &limits) else { return Ok(()) };
        let view = View::of(&entry).expect("a set");
        let mut sampled = Vec::new();
        view.sample(count, below(seed), |member| sampled.push(member.to_vec()));
        let different: BTreeSet<Vec<u8>> = sampled.iter().cloned().collect();
        prop_assert_eq!((different.len(), sampled.len()), (count.min(view.len()), count.min(view.len())));
        prop_assert!(different.is_subset(&members_of(view)));
        let mut drawn = 0;
        view.draw(count, below(seed), |member| {
            drawn += 1;
            assert!(view.contains(&member));
            drawn != 20
        });
        prop_assert_eq!(drawn, count.min(20));
    }
}

/// One set of each form.
fn one_of_each(count: usize) -> [Entry; 3] {
    let limits = SetLimits { max_intset_entries: 10_000, max_listpack_entries: 10_000, ..SetLimits::default() };
    let numbers = numbers(count);
    let words: Vec<Vec<u8>> = (0..count).map(|at| format!("w{at}").into_bytes()).collect();
    let table: Vec<Member<'_>> = words.iter().map(|word| Member::Bytes(word)).collect();
    let made = |members| made(members, &limits).expect("not empty");
    [made(&numbers), made(&words), Form::Table.fill(b"k", 0, &table)]
}

/// What gives numbers below a bound, and what finds members with it.
type Below<'a> = dyn FnMut(usize) -> usize + 'a;
type Find<'a> = dyn FnMut(&mut Vec<Vec<u8>>, &mut Below<'_>) + 'a;

#[test]
fn every_member_has_the_same_chance() {
    const ROUNDS: usize = 4000;
    for entry in one_of_each(20) {
        let view = View::of(&entry).expect("a set");
        let all: Vec<Vec<u8>> = view.iter().map(|member| member.to_vec()).collect();
        let mut below = below(12345);
        // How often each member comes, when `count` of 20 are asked for in each round.
        let mut check = |what: &str, count: usize, run: &mut Find<'_>| {
            let mut found = Vec::new();
            (0..ROUNDS).for_each(|_| run(&mut found, &mut below));
            assert_eq!(found.len(), count * ROUNDS, "{what}");
            for member in &all {
                let times = found.iter().filter(|it| *it == member).count();
                // Six standard deviations.
                let expected = (count * ROUNDS / 20) as f64;
                assert!((times as f64 - expected).abs() < 6.0 * expected.sqrt(), "{what}: {times} for {expected}");
            }
        };
        let limits = SetLimits { max_intset_entries: 100, max_listpack_entries: 100, ..SetLimits::default() };
        for count in [1, 5, 15] {
            check("sample", count, &mut |found, below| view.sample(count, below, |it| found.push(it.to_vec())));
            check("draw", count, &mut |found, below| {
                view.draw(count, below, |it| {
                    found.push(it.to_vec());
                    true
                });
            });
        }
        check("pop", 5, &mut |found, below| {
            let mut copy = made(&all, &limits).expect("not empty");
            Edit::of(&mut copy, &limits).expect("a set").pop_sample(5, below, |it| found.push(it.to_vec()));
        });
    }
}

#[test]
fn few_members_of_many_are_drawn_without_looking_at_all() {
    let [_, _, table] = one_of_each(10_000);
    let view = View::of(&table).expect("a set");
    let mut draws = 0;
    let mut next = below(7);
    view.sample(
        10,
        |bound| {
            draws += 1;
            next(bound)
        },
        |_| {},
    );
    assert!(draws < 200, "{draws}");
}

#[test]
fn most_of_a_large_set_is_popped_by_moving_the_rest() {
    let limits = SetLimits::default();
    let [mut ints, mut words, mut table] = one_of_each(1000);
    for (entry, expected) in [(&mut ints, false), (&mut words, false), (&mut table, true)] {
        let edit = Edit::of(entry, &limits).expect("a set");
        assert_eq!((edit.is_mostly(833), edit.is_mostly(834), edit.is_mostly(5000)), (false, expected, expected));
    }
    // What stays is small enough for a smaller form.
    let mut edit = Edit::of(&mut table, &limits).expect("a set");
    let rest = edit.split_off(b"rest", 128, below(1));
    assert_eq!((encoding(&rest), rest.key(), edit.len()), ("listpack", b"rest".as_slice(), 872));
    let rest = edit.split_off(b"rest", 129, below(1));
    assert_eq!((encoding(&rest), edit.len()), ("hashtable", 743));
}

#[test]
fn a_difference_has_the_form_that_its_way_leads_to() {
    let limits = SetLimits { max_listpack_entries: 4, ..SetLimits::default() };
    let words = |count: usize| -> Vec<Vec<u8>> { (0..count).map(|at| format!("w{at}").into_bytes()).collect() };
    // From a set of `first` members one of `second` is taken, and then `ones` times one of a single member.
    let stored = |first: usize, second: usize, ones: usize| {
        let sizes = [first, second].into_iter().chain(std::iter::repeat_n(1, ones));
        let sets: Vec<Option<Entry>> = sizes.map(|size| made(&words(size), &limits)).collect();
        let views: Vec<Option<View<'_>>> = sets.iter().map(|entry| entry.as_ref().and_then(View::of)).collect();
        let stored = Operation::Difference.store(b"to", 0, &views, &limits).expect("some are left");
        (View::of(&stored).expect("a set").len(), encoding(&stored))
    };
    // Looked for one by one, only what is left is added; with many sets all of the first are added and then taken out.
    assert_eq!(stored(8, 6, 0), (2, "listpack"));
    assert_eq!(stored(8, 6, 8), (2, "hashtable"));
    // As well when it is the others whose members are remembered.
    assert_eq!(stored(20, 17, 0), (3, "listpack"));
    assert_eq!(stored(40, 18, 20), (22, "hashtable"));
    assert_eq!(stored(20, 3, 12), (17, "hashtable"));
}

#[test]
fn an_intersection_of_integers_is_an_intset_whatever_it_came_from() {
    let limits = SetLimits::default();
    let [ints, mixed] = [&["1", "2", "3"][..], &["x", "1", "2", "y", "5"]].map(|members| {
        let members: Vec<Vec<u8>> = members.iter().map(|member| member.as_bytes().to_vec()).collect();
        made(&members, &limits).expect("not empty")
    });
    let stored = |one: &Entry, other: &Entry| {
        let views = [View::of(one), View::of(other)];
        encoding(&Operation::Intersection.store(b"to", 0, &views, &limits).expect("not empty"))
    };
    assert_eq!(stored(&ints, &mixed), "intset");
    assert_eq!(stored(&mixed, &ints), "intset");
    assert_eq!(stored(&mixed, &mixed), "listpack");
}

fn filled<'a>(members: impl IntoIterator<Item = &'a [u8]>) -> Entry {
    let limits = SetLimits::default();
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
    let limits = SetLimits::default();
    let created = |first: &[u8], count| encoding(&create_for(b"k", 0, first, count, &limits));
    assert_eq!(created(b"1", 512), "intset");
    assert_eq!(created(b"1", 513), "hashtable");
    assert_eq!(created(b"a", 128), "listpack");
    assert_eq!(created(b"a", 129), "hashtable");
    let few = SetLimits { max_intset_entries: 0, ..limits };
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
    let limits = SetLimits::default();
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
    assert!(View::of(&entry).is_none() && Edit::of(&mut entry, &SetLimits::default()).is_none());
}
