//! Copies of popular entries, with many readers: nobody reads an older value after a newer one.

use kiba::sync::Arc;
use loom_tests::Model;
use shuttle::thread;

use crate::chance::explore;

const TESTS: usize = 1;

fn value(reply: &str) -> u32 {
    reply.lines().last().and_then(|line| line.parse().ok()).expect("a number")
}

#[test]
fn no_reader_goes_back_in_time() {
    explore(TESTS, || {
        let model = Arc::new(Model::new());
        let (a, b) = (model.keys().a, model.keys().b);
        model.run(&format!("MSET {a} 0 {b} 0"));
        let writer = {
            let (model, a, b) = (Arc::clone(&model), a.clone(), b.clone());
            thread::spawn(move || {
                for value in 1..4 {
                    assert_eq!(model.run(&format!("INCR {a}\nGET {a}")), format!(":{value}\r\n$1\r\n{value}\r\n"));
                    model.run(&format!("INCR {b}"));
                }
            })
        };
        let readers = (0..6).map(|number| {
            let (model, a, b) = (Arc::clone(&model), a.clone(), b.clone());
            thread::spawn(move || {
                let mut last = 0;
                for _ in 0..3 {
                    // What the second key tells holds for the first.
                    let least = if number % 2 == 0 { last } else { value(&model.run(&format!("GET {b}"))) };
                    last = value(&model.run(&format!("GET {a}")));
                    assert!(last >= least, "{last} after {least}");
                }
            })
        });
        let threads: Vec<_> = readers.chain([writer]).collect();
        threads.into_iter().for_each(|thread| thread.join().expect("joins"));
        assert_eq!(value(&model.run(&format!("GET {a}"))), 3);
    });
}
