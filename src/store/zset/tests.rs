use super::*;
use crate::store::pack::Pack;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// The plain model: scores by member, and the order on top.
type Model = BTreeMap<Vec<u8>, f64>;

#[derive(Clone, Debug)]
enum Step {
    Set(Vec<u8>, f64),
    Add(Vec<u8>, f64),
    Remove(Vec<u8>),
    RemoveRange(usize, usize),
    Expect(usize),
    Many(u16, u8, f64),
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        10 => (0..40_u8).prop_map(|at| format!("m{at}").into_bytes()),
        4 => (0..3000_u16).prop_map(|at| at.to_string().into_bytes()),
        2 => prop::collection::vec(b'a'..b'd', 0..4),
        1 => prop::collection::vec(any::<u8>(), 0..80),
        1 => (any::<u8>(), prop::sample::select(vec![64, 65, 127, 128, 3000, 5000]))
            .prop_map(|(byte, len)| vec![byte; len]),
    ]
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => (-5..5_i32).prop_map(f64::from),
        4 => any::<f64>().prop_filter("a number", |score| !score.is_nan()),
        1 => prop::sample::select(vec![0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 0.1]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (member(), score()).prop_map(|(member, score)| Step::Set(member, score)),
        4 => (member(), -2..3_i32).prop_map(|(member, by)| Step::Add(member, by.into())),
        5 => member().prop_map(Step::Remove),
        2 => (any::<usize>(), 0..200_usize).prop_map(|(start, len)| Step::RemoveRange(start, len)),
        1 => (0..20_usize).prop_map(Step::Expect),
        2 => (1..500_u16, 0..8_u8, score()).prop_map(|(count, shape, score)| Step::Many(count, shape, score)),
    ]
}

fn limits() -> impl Strategy<Value = ZSetLimits> {
    prop_oneof![
        Just(ZSetLimits::default()),
        (0..12_usize, 0..80_usize)
            .prop_map(|(entries, value)| ZSetLimits { max_listpack_entries: entries, max_listpack_value: value }),
    ]
}

/// Members and scores that come as in life: ascending, descending, all equal, anyhow.
fn many(count: u16, shape: u8, score: f64) -> impl Iterator<Item = (Vec<u8>, f64)> {
    (0..count).map(move |at| {
        let mixed = at.wrapping_mul(40_503);
        let step = match shape & 3 {
            0 => f64::from(at),
            1 => -f64::from(at),
            2 => 0.0,
            _ => f64::from(mixed),
        };
        let number = if shape & 4 == 0 { at } else { mixed };
        (number.to_string().into_bytes(), if score.is_finite() { score + step } else { score })
    })
}

fn in_order(model: &Model) -> Vec<(Vec<u8>, f64)> {
    let mut items: Vec<_> = model.iter().map(|(member, score)| (member.clone(), *score)).collect();
    items.sort_by(|a, b| a.1.partial_cmp(&b.1).expect("numbers").then_with(|| a.0.cmp(&b.0)));
    items
}

fn owned(item: Item<'_>) -> (Vec<u8>, f64) {
    (item.member.to_vec(), item.score)
}

fn check(view: View<'_>, limits: &ZSetLimits, model: &Model, probe: f64) {
    let items = in_order(model);
    assert_eq!((view.len(), view.is_empty(), view.iter().len()), (items.len(), items.is_empty(), items.len()));
    assert!(view.iter().map(owned).eq(items.iter().cloned()));
    assert!(view.iter().rev().map(owned).eq(items.iter().rev().cloned()));
    let (third, rest) = (items.len() / 3, items.len() / 4);
    let part = third..items.len() - rest;
    assert!(view.range(part.clone()).map(owned).eq(items[part.clone()].iter().cloned()));
    let mut both = view.range(part.clone());
    let (front, back) = (both.next(), both.next_back());
    assert_eq!(front.map(owned).as_ref(), items[part.clone()].first());
    assert_eq!(back.map(owned), items[part.clone()].get(1..).and_then(<[_]>::last).cloned());
    for (rank, (member, score)) in items.iter().enumerate().step_by(1 + items.len() / 16) {
        assert_eq!((view.score(member), view.rank(member)), (Some(*score), Some((rank, *score))));
        assert_eq!(view.get(rank).map(owned).as_ref(), Some(&items[rank]));
    }
    assert!(view.get(items.len()).is_none() && view.score(b"never there").is_none() && view.rank(b"-").is_none());
    let below = |bound: f64| items.iter().filter(|item| item.1 < bound).count();
    let upto = |bound: f64| items.iter().filter(|item| item.1 <= bound).count();
    let (low, high) = (probe, probe + 2.0);
    let (included, excluded) = (Bound::Included, Bound::Excluded);
    assert_eq!(view.score_ranks(included(low), included(high)), below(low)..upto(high).max(below(low)));
    assert_eq!(view.score_ranks(excluded(low), excluded(high)), upto(low)..below(high).max(upto(low)));
    assert_eq!(view.score_ranks(Bound::Unbounded, Bound::Unbounded), 0..items.len());
    let (mut scanned, mut cursor) = (Vec::new(), 0);
    loop {
        cursor = view.scan(cursor, 10, |item| scanned.push(owned(item)));
        if cursor == 0 {
            break;
        }
    }
    scanned.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(scanned.iter().map(|(member, score)| (member, score)).eq(model));
    match view {
        View::Packed(items) => {
            assert!(Pack::validate(items.bytes()) && items.len() <= limits.max_listpack_entries);
        }
        View::Large(sorted) => sorted.check(),
    }
}

proptest! {
    #[test]
    fn agrees_with_a_plain_model(limits in limits(), steps in prop::collection::vec(step(), 0..30), probe in score()) {
        let mut entry = create(b"zset", 3);
        entry.set_deadline(Some(99));
        let mut model = Model::new();
        for step in steps {
            let mut edit = Edit::of(&mut entry, &limits).expect("a sorted set");
            match step {
                Step::Set(member, score) => {
                    prop_assert_eq!(edit.set(&member, score), set(&mut model, &member, score));
                    prop_assert_eq!(edit.view().score(&member), model.get(&member).copied());
                }
                Step::Add(member, by) => {
                    let old = model.get(&member).copied();
                    let new = old.map(|old| old + by).filter(|new| !new.is_nan());
                    let change = edit.update(&member, |present| {
                        assert_eq!(present, old);
                        new
                    });
                    let expected = if new.is_some() && new != old { Change::Updated } else { Change::None };
                    prop_assert_eq!(change, expected);
                    new.into_iter().for_each(|new| {
                        set(&mut model, &member, new);
                    });
                }
                Step::Remove(member) => prop_assert_eq!(edit.remove(&member), model.remove(&member).is_some()),
                Step::RemoveRange(start, len) => {
                    let start = start % (model.len() + 1);
                    let end = model.len().min(start + len);
                    in_order(&model)[start..end].iter().for_each(|(member, _)| {
                        model.remove(member);
                    });
                    edit.remove_range(start..end);
                }
                Step::Expect(count) => edit.expect(count),
                Step::Many(count, shape, score) => {
                    for (member, score) in many(count, shape, score) {
                        edit.set(&member, score);
                        set(&mut model, &member, score);
                    }
                }
            }
            prop_assert_eq!((edit.len(), edit.is_empty()), (model.len(), model.is_empty()));
            if let View::Large(sorted) = edit.view() {
                sorted.check();
            }
        }
        check(View::of(&entry).expect("a sorted set"), &limits, &model, probe);
        prop_assert_eq!((entry.deadline(), entry.clock(), entry.key()), (Some(99), 3, b"zset".as_slice()));
    }

    #[test]
    fn what_is_built_at_once_is_what_was_added(limits in limits(), count in 0..300_u16, shape in 0..8_u8) {
        let model: Model = many(count, shape, 7.0).collect();
        let owned = in_order(&model);
        let items: Vec<_> = owned.iter().map(|(member, score)| Item { member, score: *score }).collect();
        let Some(built) = build(&items, &limits) else {
            prop_assert!(items.is_empty());
            return Ok(());
        };
        prop_assert_eq!(built.len(), items.len());
        let built = built.with_content(|content| Entry::new(b"k", content, None, 0));
        let view = View::of(&built).expect("a sorted set");
        check(view, &limits, &model, 9.0);
        let is_small = items.len() <= limits.max_listpack_entries
            && items.iter().all(|item| item.member.len() <= limits.max_listpack_value);
        prop_assert_eq!(view.encoding() == "listpack", is_small);
    }

    #[test]
    fn members_of_one_score_are_a_dictionary(
        words in prop::collection::btree_set(prop::collection::vec(b'a'..b'd', 0..5), 0..300),
        (low, high) in (prop::collection::vec(b'a'..b'd', 0..3), prop::collection::vec(b'a'..b'd', 0..3)),
        entries in prop::sample::select(vec![0_usize, 1000]),
    ) {
        let limits = ZSetLimits { max_listpack_entries: entries, ..ZSetLimits::default() };
        let mut entry = create(b"k", 0);
        let mut edit = Edit::of(&mut entry, &limits).expect("a sorted set");
        words.iter().for_each(|word| {
            edit.set(word, 0.0);
        });
        let view = edit.view();
        let below = |bound: &[u8]| words.iter().filter(|word| word.as_slice() < bound).count();
        let upto = |bound: &[u8]| words.iter().filter(|word| word.as_slice() <= bound).count();
        let expected = below(&low)..upto(&high).max(below(&low));
        prop_assert_eq!(view.lex_ranks(LexBound::Included(&low), LexBound::Included(&high)), expected);
        let expected = upto(&low)..below(&high).max(upto(&low));
        prop_assert_eq!(view.lex_ranks(LexBound::Excluded(&low), LexBound::Excluded(&high)), expected);
        prop_assert_eq!(view.lex_ranks(LexBound::Lowest, LexBound::Highest), 0..words.len());
        prop_assert!(view.lex_ranks(LexBound::Highest, LexBound::Highest).is_empty());
        prop_assert!(view.lex_ranks(LexBound::Lowest, LexBound::Lowest).is_empty());
        prop_assert!(view.lex_ranks(LexBound::Highest, LexBound::Lowest).is_empty());
    }
}

/// Sets a score as sorted sets do: zero stays the zero that it was.
fn set(model: &mut Model, member: &[u8], score: f64) -> bool {
    match model.get_mut(member) {
        Some(old) => {
            if *old != score {
                *old = score;
            }
            false
        }
        None => model.insert(member.to_vec(), score).is_none(),
    }
}

fn filled(items: impl IntoIterator<Item = (Vec<u8>, f64)>) -> Entry {
    let limits = ZSetLimits::default();
    let mut entry = create(b"k", 0);
    let mut edit = Edit::of(&mut entry, &limits).expect("a sorted set");
    items.into_iter().for_each(|(member, score)| {
        edit.set(&member, score);
    });
    entry
}

fn encoding(entry: &Entry) -> &'static str {
    View::of(entry).expect("a sorted set").encoding()
}

#[test]
fn the_encoding_changes_at_redis_borders() {
    let numbers = |count: u16| many(count, 0, 0.0);
    assert_eq!(encoding(&filled(numbers(128))), "listpack");
    assert_eq!(encoding(&filled(numbers(129))), "skiplist");
    assert_eq!(encoding(&filled([(vec![b'x'; 64], 1.0)])), "listpack");
    assert_eq!(encoding(&filled([(vec![b'x'; 65], 1.0)])), "skiplist");
    let limits = ZSetLimits::default();
    for (count, expected) in [(128, "listpack"), (129, "skiplist")] {
        let mut entry = filled([]);
        Edit::of(&mut entry, &limits).expect("a sorted set").expect(count);
        assert_eq!(encoding(&entry), expected);
    }
}

#[test]
fn a_full_small_set_still_takes_new_scores() {
    let mut entry = filled(many(128, 0, 0.0));
    let limits = ZSetLimits::default();
    let mut edit = Edit::of(&mut entry, &limits).expect("a sorted set");
    assert!(!edit.set(b"17", 1e9) && edit.view().encoding() == "listpack");
    assert_eq!(edit.view().rank(b"17"), Some((127, 1e9)));
}

#[test]
fn five_short_members_cost_one_small_allocation() {
    let limits = ZSetLimits::default();
    let mut entry = create(&[b'k'; 16], 0);
    let mut edit = Edit::of(&mut entry, &limits).expect("a sorted set");
    for (at, member) in [b"m1", b"m2", b"m3", b"m4", b"m5"].into_iter().enumerate() {
        edit.set(member, at as f64);
    }
    assert_eq!(entry.size(), 64);
}

#[test]
fn a_member_of_a_large_set_costs_less_than_fifty_bytes() {
    // Ascending leaves full leaves behind, anyhow does not.
    let mut state = 1_u64;
    for (name, scores) in [("ascending", None), ("anyhow", Some(&mut state))] {
        let mut sorted = Sorted::new();
        let mut scores = scores;
        for at in 0..30_000_u32 {
            let score = match &mut scores {
                None => f64::from(at),
                Some(state) => {
                    **state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
                    **state as f64 / 3.0
                }
            };
            sorted.insert(Item { member: format!("member:{at:06}").as_bytes(), score });
        }
        let each = sorted.heap_bytes() as f64 / sorted.len() as f64;
        assert!(each < 50.0, "{name}: {each} bytes");
        assert!(sorted.weight() < sorted.len() / 10);
    }
}

#[test]
fn a_member_that_stays_is_scanned_once_whatever_happens_to_its_score() {
    let limits = ZSetLimits::default();
    let mut entry = filled(many(2000, 3, 0.0));
    let stays: BTreeSet<Vec<u8>> = (0..1000_u32).map(|at| at.to_string().into_bytes()).collect();
    let (mut cursor, mut seen, mut round) = (0, Vec::new(), 0_u32);
    loop {
        cursor = View::of(&entry).expect("a sorted set").scan(cursor, 10, |item| seen.push(item.member.to_vec()));
        if cursor == 0 {
            break;
        }
        let mut edit = Edit::of(&mut entry, &limits).expect("a sorted set");
        for at in 0..20 {
            round += 1;
            edit.set((round * 7 % 1000).to_string().as_bytes(), f64::from(round * 31 % 4001));
            edit.remove((1000 + (round + at) % 1000).to_string().as_bytes());
            edit.set(format!("new{round}").as_bytes(), f64::from(at));
        }
    }
    seen.retain(|member| stays.contains(member));
    seen.sort();
    assert!(seen.iter().eq(&stays));
}

#[test]
fn a_tree_of_several_levels_grows_and_shrinks_at_any_place() {
    // More than a root of 64 full branches takes. By the birthday paradox some members share half of a hash.
    let count = 110_000_u32;
    // The factor has no divisor in common with the count.
    let mixed = |at: u32| (u64::from(at) * 48_271 % u64::from(count)) as u32;
    let mut sorted = Sorted::new();
    for at in 0..count {
        sorted.insert(Item { member: &mixed(at).to_be_bytes(), score: f64::from(at % 3) });
    }
    sorted.check();
    let (mut cursor, mut seen) = (0, 0);
    loop {
        cursor = sorted.scan(cursor, |_| seen += 1);
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(seen, sorted.len());
    // From the front, from the middle, one by one anywhere, then all the rest.
    sorted.remove_range(0, 20_000);
    sorted.check();
    sorted.remove_range(30_000, 60_000);
    sorted.check();
    let gone = (0..count).filter(|at| sorted.remove(&at.to_be_bytes()).is_some()).take(45_000).count();
    assert_eq!((gone, sorted.len()), (45_000, 15_000));
    sorted.check();
    sorted.remove_range(1, 15_000);
    sorted.check();
    assert_eq!(sorted.len(), 1);
    sorted.remove_range(0, 1);
    assert!(sorted.is_empty());
}

#[test]
fn new_scores_take_members_from_leaf_to_leaf() {
    let mut sorted = Sorted::new();
    let mut random = fastrand::Rng::with_seed(7);
    let count = 6_000_u32;
    for at in 0..count {
        sorted.insert(Item { member: &at.to_be_bytes(), score: f64::from(at) });
    }
    // Far away, to a few crowded leaves and from leaves that become sparse, and back by one.
    for round in 0..4 {
        for _ in 0..count {
            let member = random.u32(..count);
            let score = match round {
                0 => f64::from(random.u32(..count)),
                1 => f64::from(count / 2 + random.u32(..10)),
                2 => f64::from(random.u32(..2)) * 1e9,
                _ => sorted.score(&member.to_be_bytes()).expect("there") - 1.0,
            };
            sorted.update(&member.to_be_bytes(), |_| Some(score));
            assert_eq!(sorted.score(&member.to_be_bytes()), Some(score));
        }
        sorted.check();
        assert_eq!(sorted.len(), count as usize);
    }
}

#[test]
fn other_types_are_not_sorted_sets() {
    let mut entry = Entry::new(b"k", Content::Inline(Kind::HashPack, pack::EMPTY), None, 0);
    assert!(View::of(&entry).is_none() && Edit::of(&mut entry, &ZSetLimits::default()).is_none());
}
