//! Freeing in the background: what is handed over is freed once, and only so much waits.
//!
//! Planted bugs: `garbage-counted-after-the-look` (more waits than may) and `garbage-forgotten-when-many-wait` (what finds
//! no place is not freed at all).
#![cfg(kiba_loom)]

use kiba::store::reaper::Reaper;
use kiba::sync::{Arc, AtomicUsize, Ordering};
use loom::thread;
use loom_tests::Large;

#[test]
fn everything_is_freed_once_and_no_more_waits_than_may() {
    loom::model(|| {
        const MOST: u64 = 1;
        let (reaper, reaping) = Reaper::new(MOST);
        let thread = thread::spawn(move || reaping.run());
        let freed = [(); 3].map(|()| Arc::new(AtomicUsize::new(0)));
        let reaper = Arc::new(reaper);
        let other = {
            let (reaper, freed) = (Arc::clone(&reaper), Arc::clone(&freed[0]));
            thread::spawn(move || {
                reaper.free(Large(freed));
                assert!(reaper.things() <= MOST);
            })
        };
        for freed in &freed[1..] {
            reaper.free(Large(Arc::clone(freed)));
            assert!(reaper.things() <= MOST);
        }
        other.join().expect("joins");
        // The thread ends when the reaper is gone, and not before everything is freed.
        drop(reaper);
        thread.join().expect("joins");
        for freed in freed {
            assert_eq!(freed.load(Ordering::Relaxed), 1);
        }
    });
}

#[test]
fn what_a_thread_that_is_gone_does_not_free_is_freed_by_the_client() {
    loom::model(|| {
        let (reaper, reaping) = Reaper::new(8);
        let gone = thread::spawn(move || drop(reaping));
        let freed = Arc::new(AtomicUsize::new(0));
        reaper.free(Large(Arc::clone(&freed)));
        gone.join().expect("joins");
        reaper.free(Large(Arc::clone(&freed)));
        assert_eq!(freed.load(Ordering::Relaxed), 2);
    });
}
