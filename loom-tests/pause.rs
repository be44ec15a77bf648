//! CLIENT PAUSE: whoever waits goes on when the pause ends, and a pause in force only ever grows.
//!
//! Planted bugs: `pause-looked-at-before-waiting` (it ends in between, and is waited for in vain) and
//! `pause-begun-without-its-lock` (of two that begin at once, one is lost).
#![cfg(kiba_loom)]

use kiba::server::{Pause, PauseMode};
use kiba::sync::Arc;
use loom::thread;
use loom_tests::block_on;

const NOW: u64 = 1_000;

#[test]
fn whoever_waits_goes_on_when_it_is_called_off() {
    loom::model(|| {
        let pause = Arc::new(Pause::default());
        pause.start(NOW + 500, PauseMode::All, NOW);
        let operator = {
            let pause = Arc::clone(&pause);
            thread::spawn(move || {
                pause.start(NOW + 900, PauseMode::All, NOW);
                pause.stop();
            })
        };
        while let Some((wait, changed)) = pause.look(false, NOW) {
            assert!([500, 900].contains(&wait));
            block_on(changed);
        }
        operator.join().expect("joins");
        assert_eq!(pause.mode(NOW), None);
    });
}

#[test]
fn of_two_pauses_the_longer_and_the_wider_hold() {
    loom::model(|| {
        let pause = Arc::new(Pause::default());
        let other = {
            let pause = Arc::clone(&pause);
            thread::spawn(move || pause.start(NOW + 900, PauseMode::Write, NOW))
        };
        pause.start(NOW + 500, PauseMode::All, NOW);
        other.join().expect("joins");
        assert_eq!(pause.look(false, NOW).map(|(wait, _)| wait), Some(900));
    });
}
