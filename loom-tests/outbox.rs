//! The outbox of a connection: publishers push while its task waits, takes and ends.
//!
//! Planted bugs: `outbox-looked-at-before-waiting` (the task looks, then registers: a message in between wakes nobody),
//! `outbox-news-forgotten` (what is pushed while the task takes is not announced) and `outbox-stays-open` (what is pushed
//! after the end stays in memory).
#![cfg(kiba_loom)]

use std::collections::VecDeque;
use std::future::poll_fn;

use kiba::config::Config;
use kiba::server::clients::{Client, Clients};
use kiba::server::outbox::{Message, Pushed};
use kiba::sync::Arc;
use loom::thread;
use loom_tests::block_on;

fn wait_for_news(client: &Client) {
    block_on(poll_fn(|cx| client.poll_news(cx)));
}

fn client() -> Arc<Client> {
    Clients::default().add(String::new(), String::new(), true, 1).expect("there is room")
}

fn message(text: &str) -> Message {
    Message::push(&[text.as_bytes()])
}

fn texts(messages: VecDeque<Message>) -> Vec<String> {
    let text = |message: Message| match message {
        Message::Push(bytes) | Message::Line(bytes) => String::from_utf8(bytes.to_vec()).expect("text"),
    };
    messages.into_iter().map(text).collect()
}

#[test]
fn all_that_is_pushed_arrives_once_and_in_order() {
    loom::model(|| {
        let (client, config) = (client(), Arc::new(Config::default()));
        let publisher = {
            let (client, config) = (Arc::clone(&client), Arc::clone(&config));
            thread::spawn(move || {
                client.push(message("1"), &config);
                client.push(message("2"), &config);
            })
        };
        let mut found = Vec::new();
        while found.len() < 2 {
            wait_for_news(&client);
            let mut news = client.outbox.take();
            found.extend(texts(std::mem::take(&mut news.messages)));
            client.outbox.sent(news);
        }
        publisher.join().expect("joins");
        assert_eq!(found, ["1\r\n$1\r\n1\r\n", "1\r\n$1\r\n2\r\n"]);
        assert_eq!(client.outbox.waiting().bytes, 0);
    });
}

#[test]
fn nothing_stays_behind_after_the_end() {
    loom::model(|| {
        let (client, config) = (client(), Arc::new(Config::default()));
        let publisher = {
            let (client, config) = (Arc::clone(&client), Arc::clone(&config));
            thread::spawn(move || [client.push(message("1"), &config), client.push(message("2"), &config)])
        };
        let taken = texts(client.outbox.take().messages);
        client.outbox.close();
        let pushed = publisher.join().expect("joins");
        assert_eq!(client.outbox.waiting().messages, 0);
        assert!(!client.outbox.has_news());
        // What arrived was pushed before the end.
        let accepted = pushed.iter().filter(|pushed| **pushed != Pushed::Closed).count();
        assert!(taken.len() <= accepted);
        assert_eq!(client.push(message("3"), &config), Pushed::Closed);
    });
}

#[test]
fn two_publishers_wake_one_that_waits() {
    loom::model(|| {
        let (client, config) = (client(), Arc::new(Config::default()));
        let publishers = ["1", "2"].map(|text| {
            let (client, config) = (Arc::clone(&client), Arc::clone(&config));
            thread::spawn(move || {
                client.push(message(text), &config);
            })
        });
        let mut found = 0;
        while found < 2 {
            wait_for_news(&client);
            found += client.outbox.take().messages.len();
        }
        assert_eq!(found, 2);
        for publisher in publishers {
            publisher.join().expect("joins");
        }
    });
}
