//! Blocking commands of many clients: each element is served once, who came first goes first, and nobody is forgotten.

use kiba::server::block::{End, Wait};
use kiba::sync::Arc;
use loom_tests::{Model, Outcome};
use shuttle::thread;

use crate::chance::explore;

const TESTS: usize = 3;

/// The element in a reply to BLPOP.
fn element(reply: &str) -> String {
    reply.lines().last().expect("not empty").to_owned()
}

#[test]
fn each_element_is_served_once_whoever_leaves_meanwhile() {
    explore(TESTS, || {
        let model = Arc::new(Model::new());
        let (a, b) = (model.keys().a, model.keys().b);
        let clients: Vec<_> = (0..6).map(|_| model.client()).collect();
        let waiting: Vec<_> = clients
            .iter()
            .enumerate()
            .map(|(number, client)| {
                let (model, client) = (Arc::clone(&model), Arc::clone(client));
                let lists = if number % 2 == 0 { format!("{a} {b}") } else { b.clone() };
                thread::spawn(move || model.wait(&client, &format!("BLPOP {lists} 0")))
            })
            .collect();
        let pushers = ["p", "q", "r", "s"].map(|name| {
            let (model, list) = (Arc::clone(&model), if name < "q" { a.clone() } else { b.clone() });
            thread::spawn(move || {
                model.run(&format!("RPUSH {list} {name}1"));
                model.run(&format!("RPUSH {list} {name}2"));
            })
        });
        // Two are killed and one is out of time, whenever that is: before, in the middle, or too late. Nobody waits for
        // ever, since there is more than the others take.
        for (number, client) in clients.iter().enumerate().take(3) {
            if number == 2 {
                client.blocked.end(End::TimedOut);
            } else {
                client.kill();
            }
        }
        pushers.into_iter().for_each(|pusher| pusher.join().expect("joins"));
        let outcomes: Vec<_> = waiting.into_iter().map(|waiting| waiting.join().expect("joins")).collect();
        let served = outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Served(reply) => Some(element(reply)),
            _ => None,
        });
        let left = model.run(&format!("LRANGE {a} 0 -1\nLRANGE {b} 0 -1"));
        let left = left.lines().filter(|line| !line.starts_with(['*', '$'])).map(str::to_owned);
        let mut elements: Vec<String> = served.chain(left).collect();
        elements.sort_unstable();
        assert_eq!(elements.concat(), "p1p2q1q2r1r2s1s2");
    });
}

#[test]
fn who_came_first_is_served_first() {
    explore(TESTS, || {
        let model = Arc::new(Model::new());
        let (a, b) = (model.keys().a, model.keys().b);
        let line: Vec<_> =
            (0..5).map(|_| model.block(&format!("BLPOP {a} {b} 0")).expect_err("there is nothing")).collect();
        let pushers: Vec<_> = [&a, &b, &a]
            .into_iter()
            .enumerate()
            .map(|(number, list)| {
                let (model, push) = (Arc::clone(&model), format!("RPUSH {list} e{number}"));
                thread::spawn(move || {
                    model.run(&push);
                })
            })
            .collect();
        let quitter = {
            let waiter = Arc::clone(&line[1]);
            thread::spawn(move || {
                waiter.end(End::TimedOut);
            })
        };
        pushers.into_iter().chain([quitter]).for_each(|thread| thread.join().expect("joins"));
        let outcomes: Vec<_> = line.iter().map(|waiter| Outcome::of(waiter)).collect();
        let is_served = |number: usize| matches!(outcomes[number], Outcome::Served(_));
        // Three elements, for the first three who are still there.
        let has_left = outcomes[1] == Outcome::Ended(End::TimedOut);
        assert!(has_left || is_served(1));
        assert!(is_served(0) && is_served(2) && is_served(3) == has_left, "{outcomes:?}");
        assert_eq!((&outcomes[4], model.run(&format!("EXISTS {a} {b}")).as_str()), (&Outcome::Waits, ":0\r\n"));
    });
}

#[test]
fn what_is_moved_on_for_those_who_wait_arrives() {
    explore(TESTS, || {
        let model = Arc::new(Model::new());
        let (a, b) = (model.keys().a, model.keys().b);
        // A chain: who waits at the second list gets what another moves there from the first.
        let takers = [(); 2].map(|()| {
            let (model, client, take) = (Arc::clone(&model), model.client(), format!("BLPOP {b} 0"));
            thread::spawn(move || model.wait(&client, &take))
        });
        let movers = [(); 3].map(|()| {
            let (model, client) = (Arc::clone(&model), model.client());
            let move_on = format!("BLMOVE {a} {b} LEFT RIGHT 0");
            thread::spawn(move || model.wait(&client, &move_on))
        });
        let pushers = ["x", "y", "z"].map(|name| {
            let (model, push) = (Arc::clone(&model), format!("RPUSH {a} {name}"));
            thread::spawn(move || {
                model.run(&push);
            })
        });
        pushers.into_iter().for_each(|pusher| pusher.join().expect("joins"));
        for mover in movers {
            assert!(matches!(mover.join().expect("joins"), Outcome::Served(_)));
        }
        let mut taken = takers.map(|taker| match taker.join().expect("joins") {
            Outcome::Served(reply) => element(&reply),
            other => panic!("{other:?}"),
        });
        taken.sort_unstable();
        assert_ne!(taken[0], taken[1]);
        assert_eq!(model.run(&format!("LLEN {a}\nLLEN {b}")), ":0\r\n:1\r\n");
    });
}
