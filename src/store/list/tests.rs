use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

#[derive(Clone, Debug)]
enum Step {
    Push(End, Vec<u8>),
    PushAll(End, Vec<Vec<u8>>),
    Pop(End),
    PopMany(End, usize),
    Set(usize, Vec<u8>),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    RemoveEqual(Vec<u8>, usize, End),
    Trim(usize, usize),
    /// Many pushes or pops at one end, so that runs cross several chunks.
    Run(End, bool, usize),
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Front), Just(End::Back)]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(b'a'..b'd', 0..3),
        3 => prop::collection::vec(any::<u8>(), 0..60),
        1 => prop::collection::vec(any::<u8>(), 120..140),
        1 => (any::<u8>(), prop::sample::select(vec![2000, 4090, 5000, 8187, 8190, 9000, 17000]))
            .prop_map(|(byte, len)| vec![byte; len]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (end(), value()).prop_map(|(end, value)| Step::Push(end, value)),
        2 => (end(), prop::collection::vec(value(), 0..8)).prop_map(|(end, values)| Step::PushAll(end, values)),
        3 => end().prop_map(Step::Pop),
        1 => (end(), 0..300_usize).prop_map(|(end, count)| Step::PopMany(end, count)),
        2 => (any::<usize>(), value()).prop_map(|(at, value)| Step::Set(at, value)),
        3 => (any::<usize>(), value()).prop_map(|(at, value)| Step::Insert(at, value)),
        1 => (any::<usize>(), 0..20_usize).prop_map(|(at, count)| Step::Remove(at, count)),
        1 => (value(), 1..5_usize, end()).prop_map(|(value, max, end)| Step::RemoveEqual(value, max, end)),
        1 => (any::<usize>(), any::<usize>()).prop_map(|(at, count)| Step::Trim(at, count)),
        2 => (end(), any::<bool>(), 1..400_usize).prop_map(|(end, push, count)| Step::Run(end, push, count)),
    ]
}

fn limits() -> impl Strategy<Value = ListLimits> {
    prop::sample::select(vec![-2, -1, 0, 1, 2, 3, 16, 128]).prop_map(|size| ListLimits { max_listpack_size: size })
}

fn apply(edit: &mut Edit<'_>, model: &mut VecDeque<Vec<u8>>, step: Step) {
    let push = |edit: &mut Edit<'_>, model: &mut VecDeque<Vec<u8>>, end, value: Vec<u8>| {
        edit.push(end, &value);
        match end {
            End::Front => model.push_front(value),
            End::Back => model.push_back(value),
        }
    };
    let pop = |edit: &mut Edit<'_>, model: &mut VecDeque<Vec<u8>>, end| {
        let expected = match end {
            End::Front => model.pop_front(),
            End::Back => model.pop_back(),
        };
        assert_eq!(edit.pop(end, <[u8]>::to_vec), expected);
    };
    match step {
        Step::Push(end, value) => push(edit, model, end, value),
        Step::PushAll(end, values) => {
            edit.push_all(end, values.iter().map(Vec::as_slice));
            for value in values {
                match end {
                    End::Front => model.push_front(value),
                    End::Back => model.push_back(value),
                }
            }
        }
        Step::Pop(end) => pop(edit, model, end),
        Step::PopMany(end, count) => {
            let next = || match end {
                End::Front => model.pop_front(),
                End::Back => model.pop_back(),
            };
            let expected: Vec<Vec<u8>> = std::iter::from_fn(next).take(count).collect();
            let mut popped = Vec::new();
            assert_eq!(edit.pop_many(end, count, |element| popped.push(element.to_vec())), expected.len());
            assert_eq!(popped, expected);
        }
        Step::Run(end, true, count) => {
            (0..count).for_each(|at| push(edit, model, end, format!("element {at}").into_bytes()));
        }
        Step::Run(end, false, count) => (0..count).for_each(|_| pop(edit, model, end)),
        Step::Set(at, value) => {
            let at = at % (model.len() + 1);
            assert_eq!(edit.set(at, &value), at < model.len());
            if let Some(slot) = model.get_mut(at) {
                *slot = value;
            }
        }
        Step::Insert(at, value) => {
            let at = at % (model.len() + 1);
            edit.insert(at, &value);
            model.insert(at, value);
        }
        Step::Remove(at, count) => {
            let at = at % (model.len() + 1);
            let to = model.len().min(at + count);
            assert_eq!(edit.remove_range(at, count), to - at);
            model.drain(at..to);
        }
        Step::RemoveEqual(value, max, end) => {
            let mut at: Vec<usize> = (0..model.len()).filter(|at| model[*at] == value).collect();
            match end {
                End::Front => at.truncate(max),
                End::Back => drop(at.drain(..at.len().saturating_sub(max))),
            }
            assert_eq!(edit.remove_equal(&value, max, end), at.len());
            at.iter().rev().for_each(|at| {
                model.remove(*at);
            });
        }
        Step::Trim(at, count) => {
            let at = at % (model.len() + 1);
            let count = count % (model.len() - at + 2);
            edit.trim(at, count);
            model.truncate(at + count);
            model.drain(..at);
        }
    }
}

/// Whether a large list should have gone back to its small form.
fn is_too_small(deque: &Deque, limits: &ListLimits) -> bool {
    let half = limits.chunk().half();
    deque.sole_chunk(ChunkLimit { bytes: half.bytes - LISTPACK_FRAME, ..half }).is_some()
}

fn check(entry: &Entry, model: &VecDeque<Vec<u8>>) {
    let view = View::of(entry).expect("a list");
    let expected = || model.iter().map(Vec::as_slice);
    assert_eq!((view.len(), view.is_empty()), (model.len(), model.is_empty()));
    assert!(view.iter().eq(expected()) && view.iter().rev().eq(expected().rev()));
    let middle = model.len() / 2;
    for at in [0, 1, middle, model.len().saturating_sub(1), model.len()] {
        assert_eq!(view.get(at), model.get(at).map(Vec::as_slice));
        assert!(view.range(at, 7).eq(expected().skip(at).take(7)));
    }
    let mut both = view.iter();
    let front: Vec<_> = both.by_ref().take(middle).collect();
    let back: Vec<_> = both.rev().collect();
    assert!(front.into_iter().chain(back.into_iter().rev()).eq(expected()));
    match view {
        View::Packed(pack) => assert!(Pack::validate(pack.bytes()) && entry.size() < INLINE_BYTES_MAX),
        View::Large(deque) => {
            assert!(deque.heap_bytes() >= model.iter().map(Vec::len).sum::<usize>());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn agrees_with_a_vec_deque(limits in limits(), steps in prop::collection::vec(step(), 0..60)) {
        let mut entry = create(b"list", 3);
        entry.set_deadline(Some(99));
        let mut model = VecDeque::new();
        for step in steps {
            let mut edit = Edit::of(&mut entry, &limits).expect("a list");
            apply(&mut edit, &mut model, step);
            assert_eq!(edit.len(), model.len());
            check(&entry, &model);
            if let View::Large(deque) = View::of(&entry).expect("a list") {
                prop_assert!(!is_too_small(deque, &limits));
            }
        }
        prop_assert_eq!((entry.deadline(), entry.clock(), entry.key()), (Some(99), 3, b"list".as_slice()));
    }

    #[test]
    fn limits_may_change_at_any_time(steps in prop::collection::vec((limits(), step()), 0..60)) {
        let mut entry = create(b"list", 3);
        let mut model = VecDeque::new();
        for (limits, step) in steps {
            apply(&mut Edit::of(&mut entry, &limits).expect("a list"), &mut model, step);
            check(&entry, &model);
        }
    }
}

fn filled(limits: &ListLimits, count: usize, value: &[u8]) -> Entry {
    let mut entry = create(b"k", 0);
    let mut edit = Edit::of(&mut entry, limits).expect("a list");
    (0..count).for_each(|_| edit.push(End::Back, value));
    entry
}

fn encoding(entry: &Entry) -> &'static str {
    View::of(entry).expect("a list").encoding()
}

#[test]
fn the_encoding_changes_at_the_configured_count_and_back_at_half() {
    let limits = ListLimits { max_listpack_size: 4 };
    assert_eq!(encoding(&filled(&limits, 4, b"x")), "listpack");
    let mut entry = filled(&limits, 5, b"x");
    assert_eq!(encoding(&entry), "quicklist");
    let mut edit = Edit::of(&mut entry, &limits).expect("a list");
    let encodings: Vec<_> = (0..3)
        .map(|_| {
            edit.pop(End::Back, drop_it);
            edit.view().encoding()
        })
        .collect();
    assert_eq!(encodings, ["quicklist", "quicklist", "listpack"]);
}

fn drop_it(_: &[u8]) {}

/// The encodings after each step, as Redis 7.2's `list-max-listpack-size` decides them.
#[test]
fn encodings_follow_redis() {
    let of = |size: i32| ListLimits { max_listpack_size: size };
    let x = |len: usize| vec![b'x'; len];
    // Bytes: a header of 7, entries of 2 more than short strings, and what is added counts bare.
    for (size, limit) in [(-1, 4096), (-2, 8192), (-3, 16384), (-4, 32768), (-5, 65536)] {
        let limits = of(size);
        assert_eq!(encoding(&filled(&limits, 1, &x(limit - 7))), "listpack", "{size}");
        assert_eq!(encoding(&filled(&limits, 1, &x(limit - 6))), "quicklist", "{size}");
        // Each takes 64 bytes, the last one adds 62.
        let fit = (limit - 7 - 62) / 64 + 1;
        assert_eq!(encoding(&filled(&limits, fit, &x(62))), "listpack", "{size}");
        assert_eq!(encoding(&filled(&limits, fit + 1, &x(62))), "quicklist", "{size}");
    }
    // A number of elements is limited to 8 KiB as well.
    assert_eq!(encoding(&filled(&of(100), 2, &x(4000))), "listpack");
    assert_eq!(encoding(&filled(&of(100), 3, &x(4000))), "quicklist");
    // One call with several elements is looked at as a whole.
    let mut entry = create(b"k", 0);
    let values = vec![b"1234567".as_slice(); 1000];
    Edit::of(&mut entry, &of(-2)).expect("a list").push_all(End::Front, values.iter().copied());
    assert_eq!(encoding(&entry), "listpack");
    Edit::of(&mut entry, &of(-2)).expect("a list").push(End::Front, b"");
    assert_eq!(encoding(&entry), "quicklist");
    // A replaced element counts as one more.
    let mut entry = filled(&of(4), 4, b"a");
    assert!(Edit::of(&mut entry, &of(4)).expect("a list").set(0, b"b"));
    assert_eq!(encoding(&entry), "quicklist");
}

#[test]
fn only_a_single_chunk_goes_back_to_the_small_form() {
    let limits = ListLimits { max_listpack_size: 4 };
    let encoding_after = |change: fn(&mut Edit<'_>)| {
        let mut entry = create(b"k", 0);
        let mut edit = Edit::of(&mut entry, &limits).expect("a list");
        [b"1", b"2", b"3", b"4", b"5"].iter().for_each(|value| edit.push(End::Back, *value));
        change(&mut edit);
        (edit.len(), edit.view().encoding())
    };
    // Two chunks: 1 2 3 4 and 5.
    assert_eq!(encoding_after(|list| list.trim(3, 2)), (2, "quicklist"));
    assert_eq!(encoding_after(|list| list.trim(0, 3)), (3, "quicklist"));
    assert_eq!(encoding_after(|list| list.trim(1, 2)), (2, "listpack"));
    assert_eq!(encoding_after(|list| list.trim(4, 1)), (1, "listpack"));
    assert_eq!(encoding_after(|list| _ = list.pop_many(End::Front, 3, drop_it)), (2, "quicklist"));
    assert_eq!(encoding_after(|list| _ = list.remove_equal(b"5", 1, End::Front)), (4, "quicklist"));
    let without_three = |list: &mut Edit<'_>| {
        [b"2", b"3", b"4"].iter().for_each(|it| {
            list.remove_equal(*it, 1, End::Back);
        })
    };
    assert_eq!(encoding_after(without_three), (2, "quicklist"));
}

#[test]
fn elements_of_a_long_list_cost_little_more_than_themselves() {
    for size in [-1, -2, -5, 128] {
        let limits = ListLimits { max_listpack_size: size };
        for end in [End::Front, End::Back] {
            let mut entry = create(b"k", 0);
            let mut edit = Edit::of(&mut entry, &limits).expect("a list");
            (0..100_000).for_each(|_| edit.push(end, &[b'x'; 32]));
            let View::Large(deque) = edit.view() else { panic!("large") };
            assert!(deque.heap_bytes() <= 35 * 100_000, "{} for {size}", deque.heap_bytes());
        }
    }
}

#[test]
fn chunks_that_are_edited_in_the_middle_stay_full() {
    let limits = ListLimits::default();
    let mut entry = filled(&limits, 50_000, &[b'x'; 32]);
    let mut edit = Edit::of(&mut entry, &limits).expect("a list");
    (0..20_000).for_each(|at| edit.insert(at * 3, &[b'y'; 32]));
    (0..10_000).for_each(|at| assert!(edit.set(at * 5, &[b'z'; 40])));
    let View::Large(deque) = edit.view() else { panic!("large") };
    assert!(deque.heap_bytes() < 60 * 70_000, "{}", deque.heap_bytes());
    assert_eq!(edit.remove_equal(&[b'x'; 32], usize::MAX, End::Front) + edit.len(), 70_000);
    let (len, View::Large(deque)) = (edit.len(), edit.view()) else { panic!("large") };
    assert!(deque.heap_bytes() < 60 * len, "{} for {len}", deque.heap_bytes());
}

#[test]
fn a_single_element_above_the_limit_is_large() {
    let limits = ListLimits::default();
    assert_eq!(encoding(&filled(&limits, 1, &[b'x'; 8100])), "listpack");
    let mut entry = filled(&limits, 1, &[b'x'; 8200]);
    assert_eq!(encoding(&entry), "quicklist");
    let mut edit = Edit::of(&mut entry, &limits).expect("a list");
    assert_eq!(edit.pop(End::Front, <[u8]>::len), Some(8200));
    assert_eq!((edit.len(), edit.view().encoding()), (0, "listpack"));
}

#[test]
fn a_queue_of_steady_length_keeps_its_memory_bounded() {
    let limits = ListLimits::default();
    for (push, pop) in [(End::Back, End::Front), (End::Front, End::Back), (End::Back, End::Back)] {
        for len in [270, 1000] {
            let mut entry = filled(&limits, len, &[b'x'; 30]);
            let mut edit = Edit::of(&mut entry, &limits).expect("a list");
            for _ in 0..20_000 {
                edit.push(push, &[b'y'; 30]);
                edit.pop(pop, drop_it);
            }
            let View::Large(deque) = edit.view() else { panic!("large") };
            assert!(deque.heap_bytes() < len * 32 + 24 * 1024, "{} for {len}", deque.heap_bytes());
        }
    }
}

#[test]
fn removing_scattered_elements_leaves_no_crumbs() {
    let limits = ListLimits::default();
    let mut entry = create(b"k", 0);
    let mut edit = Edit::of(&mut entry, &limits).expect("a list");
    for at in 0..100_000_u32 {
        edit.push(End::Back, if at % 50 == 0 { b"keep" } else { b"drop" });
    }
    assert_eq!(edit.remove_equal(b"drop", usize::MAX, End::Back), 98_000);
    let View::Large(deque) = edit.view() else { panic!("large") };
    assert!(deque.weight() < 12 && deque.heap_bytes() < 20_000, "{} {}", deque.weight(), deque.heap_bytes());
}

#[test]
fn other_types_are_not_lists() {
    let mut entry = Entry::new(b"k", Content::Int(1), None, 0);
    assert!(View::of(&entry).is_none() && Edit::of(&mut entry, &ListLimits::default()).is_none());
}
