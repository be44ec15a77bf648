//! Copies of every kind of value against their originals.

use proptest::prelude::*;

use super::super::list::End;
use super::super::{HashLimits, Limits, ListLimits, SetLimits, ZSetLimits, hash, list, set, zset};
use super::*;

const NOW: u64 = 1_800_000_000_000;

fn limits() -> Limits {
    Limits {
        list: ListLimits { max_listpack_size: 7 },
        set: SetLimits { max_intset_entries: 4, max_listpack_entries: 6, ..SetLimits::default() },
        hash: HashLimits { max_listpack_entries: 6, ..HashLimits::default() },
        zset: ZSetLimits { max_listpack_entries: 6, ..ZSetLimits::default() },
        ..Limits::default()
    }
}

#[derive(Clone, Copy, Debug)]
enum Type {
    List,
    Set,
    Hash,
    ZSet,
}

/// Adds, or else removes, an element with this number; every seventh gets a deadline where `is_timed` says so.
fn change(entry: &mut Entry, kind: Type, is_timed: bool, number: u32, is_added: bool) {
    let (limits, name) = (limits(), format!("element-{number}").into_bytes());
    let deadline = (is_timed && number.is_multiple_of(7)).then_some(NOW + u64::from(number));
    match kind {
        Type::List => {
            let mut list = list::Edit::of(entry, &limits.list).expect("a list");
            if is_added {
                list.push(if number.is_multiple_of(2) { End::Front } else { End::Back }, &name);
            } else if list.len() > 1 {
                list.remove(number as usize % list.len());
            }
        }
        Type::Set => {
            let mut set = set::Edit::of(entry, &limits.set).expect("a set");
            if is_added {
                set.add(&name);
            } else {
                set.remove(&name);
            }
            if deadline.is_some() {
                set.set_deadline(&name, deadline);
            }
        }
        Type::Hash => {
            let mut hash = hash::Edit::of(entry, &limits.hash, NOW).expect("a hash");
            if is_added {
                hash.set(&name, &name.repeat(number as usize % 3));
            } else {
                hash.remove(&name);
            }
            if deadline.is_some() {
                hash.set_deadline(&name, deadline);
            }
        }
        Type::ZSet => {
            let mut zset = zset::Edit::of(entry, &limits.zset).expect("a sorted set");
            if is_added {
                zset.set(&name, f64::from(number % 11));
            } else {
                zset.remove(&name);
            }
            if deadline.is_some() {
                zset.set_deadline(&name, deadline);
            }
        }
    }
}

fn create(kind: Type) -> Entry {
    match kind {
        Type::List => list::create(b"key", 7),
        Type::Set => set::create(b"key", 7),
        Type::Hash => hash::create(b"key", 7),
        Type::ZSet => zset::create(b"key", 7),
    }
}

/// Everything in the order in which commands go through it.
fn contents(entry: &Entry) -> Vec<String> {
    if let Some(list) = list::View::of(entry) {
        list.iter().map(|element| format!("{}", element.escape_ascii())).collect()
    } else if let Some(set) = set::View::of(entry) {
        let member = |member: set::Member<'_>| format!("{} {:?}", member.escape_ascii(), set.deadline(&member));
        set.iter().map(member).collect()
    } else if let Some(hash) = hash::View::of(entry, NOW) {
        let pair = |(field, value): (&[u8], &[u8])| {
            format!("{} {} {:?}", field.escape_ascii(), value.escape_ascii(), hash.deadline(field))
        };
        hash.iter().map(pair).collect()
    } else {
        let zset = zset::View::of(entry).expect("nothing else is left");
        let item = |item: zset::Item<'_>| {
            let found = (zset.score(item.member), zset.rank(item.member).map(|(rank, _)| rank));
            format!("{} {found:?} {:?}", item.member.escape_ascii(), zset::deadline(entry, item.member))
        };
        zset.iter().map(item).collect()
    }
}

fn whole(entry: &Entry, budget: usize) -> (Entry, usize) {
    let mut copy = begin(entry, entry.clock()).expect("no stream");
    let mut slices = 1;
    while go_on(entry, &mut copy, Budget(budget)) != Copied::All {
        slices += 1;
    }
    (copy, slices)
}

fn kinds() -> impl Strategy<Value = Type> {
    prop_oneof![Just(Type::List), Just(Type::Set), Just(Type::Hash), Just(Type::ZSet)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A copy has the same elements in the same order, and is as good as the original: both go on alike, and neither
    /// changes with the other.
    #[test]
    fn a_copy_in_slices_is_what_the_original_is(
        kind in kinds(),
        is_timed: bool,
        count in prop_oneof![0..20_u32, 0..3000_u32],
        budget in 1..500_usize,
        has_deadline: bool,
        changes in prop::collection::vec((0..3000_u32, any::<bool>()), 0..50),
    ) {
        let mut entry = create(kind);
        for number in 0..count {
            change(&mut entry, kind, is_timed, number, true);
            if number % 3 == 0 {
                change(&mut entry, kind, is_timed, number / 2, false);
            }
        }
        entry.set_deadline(has_deadline.then_some(NOW + 5));
        let (mut copy, _) = whole(&entry, budget);
        let before = contents(&entry);
        prop_assert_eq!(contents(&copy), before.clone());
        prop_assert_eq!((copy.key(), copy.deadline(), copy.due()), (entry.key(), entry.deadline(), entry.due()));
        prop_assert_eq!(elements(&copy), elements(&entry));
        prop_assert!(!copy.is_on_wheel());
        for &(number, is_added) in &changes {
            change(&mut copy, kind, is_timed, number, is_added);
        }
        prop_assert_eq!(contents(&entry), before);
        for &(number, is_added) in &changes {
            change(&mut entry, kind, is_timed, number, is_added);
        }
        prop_assert_eq!(contents(&copy), contents(&entry));
    }

    /// Should the original change although it must not, the copy is given up or useless, and nothing panics.
    #[test]
    fn a_copy_of_what_changes_does_no_harm(
        (kind, other) in (kinds(), kinds()),
        is_timed: bool,
        counts in (0..2000_u32, 0..2000_u32),
        slices in 0..20_usize,
    ) {
        let mut entry = create(kind);
        (0..counts.0).for_each(|number| change(&mut entry, kind, false, number, true));
        let mut copy = begin(&entry, 0).expect("no stream");
        for _ in 0..slices {
            go_on(&entry, &mut copy, Budget(10));
        }
        let mut changed = create(other);
        (0..counts.1).for_each(|number| change(&mut changed, other, is_timed, number, true));
        while go_on(&changed, &mut copy, Budget(100)) == Copied::Some {}
        prop_assert!(copy.is_heavy() || !copy.is_heavy());
    }
}

#[test]
fn a_large_copy_takes_many_slices() {
    for kind in [Type::List, Type::Set, Type::Hash, Type::ZSet] {
        let mut entry = create(kind);
        (0..10_000).for_each(|number| change(&mut entry, kind, true, number, true));
        let (_, slices) = whole(&entry, 1);
        assert!(slices >= 15, "{kind:?}: {slices}");
        let (_, slices) = whole(&entry, usize::MAX);
        assert_eq!(slices, 1);
    }
}

#[test]
fn a_large_stream_is_not_copied_this_way() {
    use super::super::stream::Stream;
    let object = Box::new(Object::Stream(Box::<Stream>::default()));
    let entry = Entry::new(b"key", Content::Boxed(object), None, 0);
    assert!(begin(&entry, 0).is_none());
    assert_eq!(elements(&entry), 0);
}
