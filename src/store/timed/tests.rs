//! Members of sets and sorted sets with deadlines, against a plain map; hashes are tested with the part.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::part::tests::Owned;
use super::super::wheel::TICK_MS;
use super::super::{SetLimits, Slot, ZSetLimits};
use super::*;

const START: u64 = 1_800_000_000_000;

/// Scores, of sorted sets alone, and deadlines.
type Model = BTreeMap<u8, (f64, Option<u64>)>;

fn limits() -> Limits {
    Limits {
        set: SetLimits { max_intset_entries: 4, max_listpack_entries: 6, ..SetLimits::default() },
        zset: ZSetLimits { max_listpack_entries: 6, ..ZSetLimits::default() },
        ..Limits::default()
    }
}

/// Members are numbers, so that small sets are integers too; some are not.
fn name(member: u8) -> Vec<u8> {
    if member.is_multiple_of(5) { format!("m{member}").into() } else { member.to_string().into() }
}

fn edit(slot: &mut Slot<'_>, is_zset: bool, change: impl FnOnce(&mut Entry)) {
    if !slot.exists() {
        slot.insert(if is_zset { zset::create(b"k", 0) } else { set::create(b"k", 0) });
    }
    slot.retime(change);
    let is_empty = slot.entry().is_some_and(|entry| contents(entry).is_empty());
    if is_empty {
        slot.remove();
    }
}

/// What is there, by way of iteration.
fn contents(entry: &Entry) -> BTreeMap<Vec<u8>, f64> {
    match (set::View::of(entry), zset::View::of(entry)) {
        (Some(set), _) => set.iter().map(|member| (member.to_vec(), 0.0)).collect(),
        (_, Some(zset)) => zset.iter().map(|item| (item.member.to_vec(), item.score)).collect(),
        _ => panic!("neither"),
    }
}

proptest! {
    /// What is due is never seen, what goes takes its deadline with it, and the wheel knows of all that is left.
    #[test]
    fn members_agree_with_a_map_of_deadlines(
        is_zset: bool,
        steps in prop::collection::vec((0..10_u8, 0..16_u8, prop_oneof![0..100_u64, 0..100_000_u64]), 1..200),
    ) {
        let (mut owned, mut now, limits) = (Owned::new(), START, limits());
        let mut model = Model::new();
        for (kind, member, amount) in steps {
            let (at, bytes) = (now + 1 + amount, name(member));
            let score = if is_zset { f64::from(member % 4) + amount as f64 } else { 0.0 };
            match kind {
                0..3 => {
                    owned.slot(b"k", now, |slot| edit(slot, is_zset, |entry| {
                        if is_zset {
                            zset::Edit::of(entry, &limits.zset).expect("sorted").set(&bytes, score);
                        } else {
                            set::Edit::of(entry, &limits.set).expect("a set").add(&bytes);
                        }
                    }));
                    model.entry(member).or_insert((0.0, None)).0 = score;
                }
                3..6 => {
                    let deadline = (amount % 3 > 0).then_some(at);
                    let mut is_set = false;
                    owned.slot(b"k", now, |slot| edit(slot, is_zset, |entry| {
                        is_set = set_deadline(entry, &limits, &bytes, deadline, now);
                    }));
                    prop_assert_eq!(is_set, model.contains_key(&member));
                    model.entry(member).and_modify(|(_, it)| *it = deadline);
                }
                6 => {
                    owned.slot(b"k", now, |slot| edit(slot, is_zset, |entry| {
                        remove(entry, &limits, &bytes, now);
                    }));
                    model.remove(&member);
                }
                7 => {
                    // Some go by chance or by their rank.
                    let (mut gone, mut rng) = (Vec::new(), fastrand::Rng::with_seed(amount));
                    owned.slot(b"k", now, |slot| edit(slot, is_zset, |entry| {
                        if is_zset {
                            let mut zset = zset::Edit::of(entry, &limits.zset).expect("sorted");
                            let ranks = zset.len() / 3..zset.len() / 2;
                            gone.extend(zset.view().range(ranks.clone()).map(|item| item.member.to_vec()));
                            zset.remove_range(ranks);
                        } else {
                            let mut set = set::Edit::of(entry, &limits.set).expect("a set");
                            let count = set.len() / 4;
                            set.pop_random(|below| rng.usize(..below), |member| gone.push(member.to_vec()));
                            set.pop_sample(count, |below| rng.usize(..below), |it| gone.push(it.to_vec()));
                        }
                    }));
                    model.retain(|member, _| !gone.contains(&name(*member)));
                }
                8 => {
                    // As COPY and RENAME do it.
                    let copy = owned.slot(b"k", now, |slot| slot.entry().map(|entry| entry.duplicate(b"k", 0)));
                    if let Some(copy) = copy {
                        owned.slot(b"k", now, |slot| slot.put(copy));
                    }
                }
                _ => {
                    now += amount;
                    if member % 2 == 0 {
                        while owned.part().expire(now, 3) {}
                    }
                }
            }
            model.retain(|_, (_, deadline)| deadline.is_none_or(|it| it > now));
            let found = owned.slot(b"k", now, |slot| slot.entry().map(|entry| {
                assert!(!entry.must_be_pruned(now));
                let members = contents(entry);
                let with_deadlines = members.iter().map(|(member, score)| {
                    let deadline = deadline(entry, member, now).expect("has parts").expect("is there");
                    (member.clone(), (*score, deadline))
                });
                (with_deadlines.collect::<BTreeMap<_, _>>(), entry.due())
            }));
            let expected: BTreeMap<_, _> = model.iter().map(|(member, it)| (name(*member), *it)).collect();
            let first = model.values().filter_map(|(_, deadline)| *deadline).min();
            prop_assert_eq!(found, (!expected.is_empty()).then_some((expected, first)));
            let next = owned.part().env.agenda.next_tick();
            prop_assert!(first.is_none_or(|first| next.is_some_and(|next| next <= first / TICK_MS + 1)));
        }
    }
}

#[test]
fn a_member_that_was_removed_leaves_no_deadline_behind() {
    for is_zset in [false, true] {
        let (mut owned, limits) = (Owned::new(), Limits::default());
        let add = |entry: &mut Entry, member: &[u8]| {
            if is_zset {
                zset::Edit::of(entry, &limits.zset).expect("sorted").set(member, 1.0);
            } else {
                set::Edit::of(entry, &limits.set).expect("a set").add(member);
            }
        };
        owned.slot(b"k", START, |slot| {
            edit(slot, is_zset, |entry| {
                add(entry, b"stays");
                add(entry, b"goes");
                assert!(set_deadline(entry, &limits, b"goes", Some(START + 100), START));
                assert!(!remove(entry, &limits, b"goes", START));
                add(entry, b"goes");
            })
        });
        while owned.part().expire(START + 1000, 8) {}
        owned.slot(b"k", START + 1000, |slot| assert_eq!(contents(slot.entry().expect("there")).len(), 2));
    }
}
