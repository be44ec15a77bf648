//! The counter of allocated bytes: each thread adds in a place of its own, and the sum is what all have added.
//!
//! Planted bugs: `stripe-given-twice` (two threads write one place, and one's addition is lost) and
//! `shared-stripe-added-to-without-exchange` (so do those that share the last place).
#![cfg(kiba_loom)]

use kiba::memory::stripes::Stripes;
use kiba::sync::Arc;
use loom::thread;

/// A thread's work: it allocates, and frees what another has allocated.
fn work(stripes: &Stripes<2>, own: i64) {
    let place = stripes.place();
    stripes.add(place, own);
    stripes.add(place, -3);
}

#[test]
fn what_threads_that_share_a_place_have_added_is_not_lost() {
    loom::model(|| {
        // One place of its own; two of the threads share the other, and all have ended when it is counted.
        let stripes = Arc::new(Stripes::<2>::new());
        let others = [10, 100].map(|own| {
            let stripes = Arc::clone(&stripes);
            thread::spawn(move || work(&stripes, own))
        });
        work(&stripes, 1000);
        for other in others {
            other.join().expect("joins");
        }
        assert_eq!(stripes.sum(), 1110 - 9);
    });
}

#[test]
fn a_thread_that_reads_meanwhile_is_off_by_what_is_added_meanwhile() {
    loom::model(|| {
        let stripes = Arc::new(Stripes::<3>::new());
        let place = stripes.place();
        stripes.add(place, 50);
        let other = {
            let stripes = Arc::clone(&stripes);
            thread::spawn(move || {
                let place = stripes.place();
                stripes.add(place, 10);
                stripes.add(place, -10);
            })
        };
        assert!([50, 60].contains(&stripes.sum()));
        other.join().expect("joins");
        assert_eq!(stripes.sum(), 50);
    });
}
