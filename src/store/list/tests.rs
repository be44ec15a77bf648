use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

#[derive(Clone, Debug)]
enum Step {
    Push(End, Vec<u8>),
    Pop(End),
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
        3 => end().prop_map(Step::Pop),
        2 => (any::<usize>(), value()).prop_map(|(at, value)| Step::Set(at, value)),
        3 => (any::<usize>(), value()).prop_map(|(at, value)| Step::Insert(at, value)),
        1 => (any::<usize>(), 0..20_usize).prop_map(|(at, count)| Step::Remove(at, count)),
        1 => (value(), 1..5_usize, end()).prop_map(|(value, max, end)| Step::RemoveEqual(value, max, end)),
        1 => (any::<usize>(), any::<usize>()).prop_map(|(at, count)| Step::Trim(at, count)),
        2 => (end(), any::<bool>(), 1..400_usize).prop_map(|(end, push, count)| Step::Run(end, push, count)),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    prop::sample::select(vec![-2, -1, 0, 1, 2, 3, 16, 128])
        .prop_map(|size| Limits { list_max_listpack_size: size, ..Limits::default() })
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
        Step::Pop(end) => pop(edit, model, end),
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

fn check(entry: &Entry, limits: &Limits, model: &VecDeque<Vec<u8>>) {
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
            let half = limits.list_chunk().half();
            let half = ChunkLimit { bytes: half.bytes - LISTPACK_FRAME, ..half };
            assert!(deque.sole_chunk(half).is_none() && !deque.is_empty());
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
            check(&entry, &limits, &model);
        }
        prop_assert_eq!((entry.deadline(), entry.clock(), entry.key()), (Some(99), 3, b"list".as_slice()));
    }
}

fn filled(limits: &Limits, count: usize, value: &[u8]) -> Entry {
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
    let limits = Limits { list_max_listpack_size: 4, ..Limits::default() };
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

#[test]
fn a_single_element_above_the_limit_is_large() {
    let limits = Limits::default();
    assert_eq!(encoding(&filled(&limits, 1, &[b'x'; 8100])), "listpack");
    let mut entry = filled(&limits, 1, &[b'x'; 8200]);
    assert_eq!(encoding(&entry), "quicklist");
    let mut edit = Edit::of(&mut entry, &limits).expect("a list");
    assert_eq!(edit.pop(End::Front, <[u8]>::len), Some(8200));
    assert_eq!((edit.len(), edit.view().encoding()), (0, "listpack"));
}

#[test]
fn a_queue_of_steady_length_keeps_its_memory_bounded() {
    let limits = Limits::default();
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
    let limits = Limits::default();
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
    assert!(View::of(&entry).is_none() && Edit::of(&mut entry, &Limits::default()).is_none());
}
