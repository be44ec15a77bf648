use super::*;
use crate::store::{Content, Kind};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn entry(member: &[u8], value: &[u8]) -> Entry {
    Entry::new(member, Content::Inline(Kind::Bytes, value), None, 0)
}

fn value(entry: &Entry) -> &[u8] {
    let Raw::Inline(_, value) = entry.raw() else { panic!("inline") };
    value
}

fn add(members: &mut Members, member: u32) -> bool {
    let member = member.to_le_bytes();
    members.upsert(&member, |_| {}, || entry(&member, b""))
}

fn check_shape(members: &Members) {
    let mut bytes = 0;
    for (at, segment) in members.segments.iter().enumerate() {
        let mut passed = vec![0_usize; segment.buckets.len()];
        for (place, bucket) in segment.buckets.iter().enumerate() {
            for (slot, entry) in bucket.slots.iter().enumerate() {
                let Some(entry) = entry else {
                    assert_eq!(bucket.tags[slot], 0);
                    continue;
                };
                let hash = hash_member(entry.key());
                assert_eq!((members.address(hash), bucket.tags[slot]), (at, tag(hash)));
                segment.path(segment.home(hash)).take_while(|at| *at != place).for_each(|at| passed[at] += 1);
                bytes += cost(entry);
            }
        }
        for (bucket, passed) in segment.buckets.iter().zip(passed) {
            let counted = usize::from(bucket.tags[PASSED]);
            assert!(counted == passed || counted == 255);
        }
        let slots = segment.buckets.iter().flat_map(|bucket| &bucket.slots);
        assert_eq!(slots.flatten().count(), segment.len as usize);
        assert!(members.segments.len() == 1 || segment.buckets.len() == SEGMENT);
        assert_eq!(members.address(segment.start), at);
        assert_eq!(
            members.directory.iter().filter(|to| **to as usize == at).count(),
            1 << (members.bits - segment.level)
        );
    }
    assert_eq!(members.directory.len(), 1 << members.bits);
    assert_eq!(members.segments.iter().filter(|part| part.level == members.bits).count(), members.deepest);
    assert_eq!(bytes, members.entry_bytes);
    assert_eq!((members.iter().count(), members.iter().len()), (members.len(), members.len()));
}

proptest! {
        #[test]
        fn agrees_with_a_btree_map(
            steps in prop::collection::vec((0..4_u8, 0..600_u32, prop::collection::vec(any::<u8>(), 0..40)), 0..1500)
        ) {
            let mut members = Members::new();
            let mut model = BTreeMap::new();
            for (step, member, bytes) in steps {
                let member = member.to_string().into_bytes();
                if step > 0 {
                    let change = |old: &mut Entry| old.replace(Content::Inline(Kind::Bytes, &bytes), None);
                    let added = members.upsert(&member, change, || entry(&member, &bytes));
                    prop_assert_eq!(added, model.insert(member, bytes.clone()).is_none());
                } else {
                    prop_assert_eq!(members.remove(&member).map(|old| value(&old).to_vec()), model.remove(&member));
                }
                prop_assert_eq!(members.len(), model.len());
            }
            check_shape(&members);
            for member in 0..600_u32 {
                let member = member.to_string().into_bytes();
                prop_assert_eq!(members.find(&member).map(value), model.get(&member).map(Vec::as_slice));
            }
            let copy = members.clone();
            check_shape(&copy);
            let all: BTreeMap<_, _> = copy.iter().map(|entry| (entry.key().to_vec(), value(entry).to_vec())).collect();
            prop_assert_eq!(all, model);
        }

        #[test]
    fn a_scan_sees_every_member_that_stays_exactly_once(
        start in 0..3000_u32, stay in 1..60_u32, rounds in prop::collection::vec((any::<bool>(), 0..400_u32), 0..200)
    ) {
        let mut members = Members::new();
        let mut next = start.max(stay);
        (0..next).for_each(|member| assert!(add(&mut members, member)));
        let (mut seen, mut cursor) = (BTreeMap::<Vec<u8>, u32>::new(), 0);
        let mut rounds = rounds.into_iter();
        for step in 0.. {
            cursor = members.scan(cursor, |entry| *seen.entry(entry.key().to_vec()).or_default() += 1);
            if cursor == 0 {
                break;
            }
            prop_assert!(step < 100_000, "a scan ends");
            match rounds.next() {
                Some((true, count)) => {
                    (next..next + count).for_each(|member| assert!(add(&mut members, member)));
                    next += count;
                }
                Some((false, count)) => {
                    let last = next.saturating_sub(2 * count).max(stay);
                    (last..next).for_each(|member| assert!(members.remove(&member.to_le_bytes()).is_some()));
                    next = last;
                }
                None => {}
            }
        }
        check_shape(&members);
        for member in 0..stay {
            prop_assert_eq!(seen.get(member.to_le_bytes().as_slice()), Some(&1), "{} of {}", member, stay);
        }
    }

    #[test]
        fn any_cursor_leads_to_the_end(count in 0..500_u32, cursor in any::<u64>()) {
            let mut members = Members::new();
            (0..count).for_each(|member| {
add(&mut members, member);
});
            let mut cursor = cursor;
            let mut steps = 0;
            while steps == 0 || cursor != 0 {
                cursor = members.scan(cursor, |_| {});
                steps += 1;
                prop_assert!(steps <= 300);
            }
        }
    }

#[test]
fn an_undisturbed_scan_sees_everything_once() {
    for count in [0, 1, 18, 19, 100, 1000, 5000] {
        let mut members = Members::new();
        (0..count).for_each(|member| {
            add(&mut members, member);
        });
        let (mut seen, mut cursor) = (Vec::new(), 0);
        loop {
            cursor = members.scan(cursor, |entry| seen.push(entry.key().to_vec()));
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(seen.len(), count as usize);
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), count as usize);
    }
}

#[test]
fn random_choice_reaches_all_and_favours_none() {
    let mut members = Members::new();
    (0..100).for_each(|member| {
        add(&mut members, member);
    });
    // A fixed xorshift, so that the bounds below hold in every run for all practical purposes.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut below = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound as u64) as usize
    };
    let mut hits = BTreeMap::<Vec<u8>, u32>::new();
    for _ in 0..100_000 {
        *hits.entry(members.random(&mut below).expect("not empty").key().to_vec()).or_default() += 1;
    }
    // A thousand expected each, with a deviation of 32: eight of them are allowed.
    assert!(hits.len() == 100 && hits.values().all(|count| (750..1250).contains(count)), "{hits:?}");
    let mut popped = BTreeSet::new();
    while let Some(entry) = members.remove_random(&mut below) {
        assert!(popped.insert(entry.key().to_vec()));
    }
    assert!(popped.len() == 100 && members.is_empty() && members.entry_bytes == 0);
}

#[test]
fn memory_follows_the_members_both_ways() {
    let mut members = Members::new();
    (0..20_000).for_each(|member| assert!(add(&mut members, member)));
    check_shape(&members);
    assert!(members.heap_bytes() / 20_000 < 16 + 22, "{}", members.heap_bytes());
    (10..20_000_u32).for_each(|member| assert!(members.remove(&member.to_le_bytes()).is_some()));
    check_shape(&members);
    assert!(members.segments.len() == 1 && members.heap_bytes() < 1000, "{}", members.heap_bytes());
}
