use super::*;
use crate::store::{Content, Kind};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Replace(usize, Vec<u8>),
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..20),
        1 => prop::collection::vec(any::<u8>(), 120..135),
        1 => prop::collection::vec(any::<u8>(), 16380..16390),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<usize>(), value()).prop_map(|(at, value)| Step::Insert(at, value)),
        1 => (any::<usize>(), 0..4_usize).prop_map(|(at, count)| Step::Remove(at, count)),
        1 => (any::<usize>(), value()).prop_map(|(at, value)| Step::Replace(at, value)),
    ]
}

fn check(bytes: &[u8], model: &[Vec<u8>]) {
    assert!(Pack::validate(bytes));
    let pack = Pack::new(bytes);
    assert_eq!(pack.len(), model.len());
    assert!(pack.iter().eq(model.iter().map(Vec::as_slice)));
    assert!(pack.iter().rev().eq(model.iter().rev().map(Vec::as_slice)));
    for (index, value) in model.iter().enumerate() {
        assert_eq!(pack.get(index), Some(value.as_slice()));
        let first = model.iter().position(|other| other == value);
        assert_eq!(pack.find(value, 1).map(|frame| frame.at), first.and_then(|at| pack.frame(at)).map(|f| f.at));
        assert!(pack.iter_from(index).eq(model[index..].iter().map(Vec::as_slice)));
    }
    assert_eq!((pack.get(model.len()), pack.iter_from(model.len()).count()), (None, 0));
}

fn apply<B: Buffer>(buffer: &mut B, model: &mut Vec<Vec<u8>>, step: &Step) {
    let pack = Pack::new(buffer.bytes());
    match step {
        Step::Insert(at, value) => {
            let index = at % (model.len() + 1);
            let at = pack.frame(index).map_or(pack.bytes().len(), |frame| frame.at);
            insert(buffer, at, &[value]);
            model.insert(index, value.clone());
        }
        Step::Remove(at, count) => {
            let index = at % (model.len() + 1);
            let count = (*count).min(model.len() - index);
            let from = pack.frame(index).map_or(pack.bytes().len(), |frame| frame.at);
            let to = pack.frame(index + count).map_or(pack.bytes().len(), |frame| frame.at);
            remove(buffer, from, to - from, count);
            model.drain(index..index + count);
        }
        Step::Replace(at, value) if !model.is_empty() => {
            let index = at % model.len();
            let frame = pack.frame(index).expect("in range");
            let (at, size) = (frame.at, frame.size());
            replace(buffer, at, size, value);
            model[index].clone_from(value);
        }
        Step::Replace(..) => {}
    }
}

proptest! {
    #[test]
    fn a_needle_is_what_comparing_slices_finds(bytes in prop::collection::vec(0..2_u8, 0..60), at: usize, len: usize) {
        let at = at % (bytes.len() + 1);
        let needle = &bytes[at..at + len % (bytes.len() - at + 1)];
        for other in 0..=bytes.len() - needle.len() {
            let equal = bytes[other..other + needle.len()] == *needle;
            prop_assert_eq!(Needle::new(needle).is_at(&bytes, other), equal);
        }
    }

    #[test]
    fn agrees_with_a_vector(steps in prop::collection::vec(step(), 0..40)) {
        let mut model = Vec::new();
        let mut twin = Vec::new();
        let mut vector = EMPTY.to_vec();
        let mut entry = Entry::new(b"key", Content::Inline(Kind::ListPack, EMPTY), None, 0);
        for step in steps {
            apply(&mut vector, &mut model, &step);
            apply(&mut entry, &mut twin, &step);
            check(&vector, &model);
            prop_assert_eq!(entry.bytes(), vector.as_slice());
        }
    }

    #[test]
    fn what_validates_can_be_read(bytes in prop::collection::vec(prop_oneof![0..6_u8, any::<u8>()], 0..24)) {
        if Pack::validate(&bytes) {
            let elements: Vec<Vec<u8>> = Pack::new(&bytes).iter().map(<[u8]>::to_vec).collect();
            check(&bytes, &elements);
        }
    }

    #[test]
    fn a_damaged_pack_is_refused_or_still_a_pack(
        values in prop::collection::vec(value(), 1..6), at in any::<usize>(), byte in any::<u8>(), cut in any::<usize>()
    ) {
        let mut bytes = EMPTY.to_vec();
        for value in &values {
            append(&mut bytes, &[value]);
        }
        let cut = 1 + cut % (bytes.len() - 1);
        prop_assert!(!Pack::validate(&bytes[..cut]));
        let at = at % bytes.len();
        bytes[at] = byte;
        if Pack::validate(&bytes) {
            prop_assert_eq!(Pack::new(&bytes).iter().rev().count(), Pack::new(&bytes).len());
        }
    }
}

#[test]
fn lengths_that_lie_are_refused() {
    let lies: [&[u8]; 8] = [
        &[],
        &[1],
        &[0x80, 0],
        &[1, 0x80, 0, 0, 0x80],
        &[1, 1, b'a', 2],
        &[2, 1, b'a', 1],
        &[1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1],
        &[1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
    ];
    for lie in lies {
        assert!(!Pack::validate(lie), "{lie:?}");
    }
    assert!(Pack::validate(EMPTY) && Pack::validate(&[1, 1, b'a', 1]) && Pack::validate(&[1, 0, 0]));
}

#[test]
fn the_header_grows_and_shrinks_with_the_count() {
    let mut bytes = EMPTY.to_vec();
    for _ in 0..128 {
        append(&mut bytes, &[b"x"]);
    }
    assert_eq!((Pack::new(&bytes).len(), Pack::new(&bytes).body_at(), bytes.len()), (128, 2, 2 + 3 * 128));
    remove(&mut bytes, 2, 3, 1);
    assert_eq!((Pack::new(&bytes).len(), Pack::new(&bytes).body_at()), (127, 1));
}

#[test]
fn every_other_element_can_be_searched() {
    let mut bytes = EMPTY.to_vec();
    append(&mut bytes, &[b"a", b"b", b"b", b"c"]);
    assert_eq!(Pack::new(&bytes).find(b"b", 2).map(|frame| frame.at), Some(7));
    assert!(Pack::new(&bytes).find(b"c", 2).is_none());
}
