//! The end: nobody is let in after it, everybody inside hears of it, and whoever waits for the last one hears of that.
//!
//! Planted bugs: `gate-entered-after-its-end` (somebody is inside though all had left), `gate-left-without-exchange` (one
//! who leaves undoes what another did at the same time) and `gate-looked-at-before-waiting` (the last one leaves in between,
//! and is waited for in vain).
#![cfg(kiba_loom)]

use std::future::poll_fn;
use std::task::Poll;

use kiba::config::Config;
use kiba::server::Server;
use kiba::server::gate::Gate;
use kiba::sync::{Arc, AtomicUsize, Ordering};
use loom::thread;
use loom_tests::block_on;

#[test]
fn once_it_is_closed_and_empty_it_stays_so() {
    loom::model(|| {
        let (gate, inside) = (Arc::new(Gate::default()), Arc::new(AtomicUsize::new(0)));
        let visitors = [(); 2].map(|()| {
            let (gate, inside) = (Arc::clone(&gate), Arc::clone(&inside));
            thread::spawn(move || {
                if gate.enter(8) {
                    inside.fetch_add(1, Ordering::SeqCst);
                    inside.fetch_sub(1, Ordering::SeqCst);
                    gate.leave();
                }
            })
        });
        gate.close();
        block_on(gate.until_empty());
        // The process ends here: whoever works now would be cut off.
        assert_eq!(inside.load(Ordering::SeqCst), 0);
        assert!(!gate.enter(8) && gate.is_closed() && gate.is_empty());
        for visitor in visitors {
            visitor.join().expect("joins");
        }
        assert_eq!(inside.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn no_more_are_let_in_than_may() {
    loom::model(|| {
        let gate = Arc::new(Gate::default());
        let other = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || u32::from(gate.enter(1)))
        };
        let mine = u32::from(gate.enter(1));
        assert_eq!(mine + other.join().expect("joins"), 1);
        gate.leave();
        assert!(gate.enter(1));
    });
}

/// A connection: reads, answers what it has read, and leaves when it finds that it is to.
fn serve(server: &Server, unread: &AtomicUsize, answered: &AtomicUsize) {
    let Some(client) = server.clients.add(String::new(), String::new(), true, 8) else { return };
    loop {
        let read = block_on(poll_fn(|cx| {
            // As the connection does: the end goes first, and is looked for again after the waker is registered.
            if server.is_stopping() {
                return Poll::Ready(0);
            }
            let read = unread.swap(0, Ordering::SeqCst);
            if read > 0 {
                return Poll::Ready(read);
            }
            client.register(cx.waker());
            if server.is_stopping() { Poll::Ready(0) } else { Poll::Pending }
        }));
        if read == 0 {
            break;
        }
        answered.fetch_add(read, Ordering::SeqCst);
    }
    server.clients.remove(client.id);
}

#[test]
fn everybody_who_waits_hears_of_the_end_and_what_was_read_is_answered() {
    loom::model(|| {
        let server = Server::new(Arc::new(Config::default()), None);
        let [unread, answered] = [1, 0].map(|count| Arc::new(AtomicUsize::new(count)));
        let connection = {
            let (server, unread, answered) = (Arc::clone(&server), Arc::clone(&unread), Arc::clone(&answered));
            thread::spawn(move || serve(&server, &unread, &answered))
        };
        server.request_stop();
        block_on(server.clients.wait_until_empty());
        assert_eq!(unread.load(Ordering::SeqCst) + answered.load(Ordering::SeqCst), 1);
        connection.join().expect("joins");
        assert_eq!(unread.load(Ordering::SeqCst) + answered.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn whoever_waits_for_the_end_hears_of_it() {
    loom::model(|| {
        let server = Server::new(Arc::new(Config::default()), None);
        let other = {
            let server = Arc::clone(&server);
            thread::spawn(move || server.request_stop())
        };
        block_on(server.stopped());
        other.join().expect("joins");
    });
}
