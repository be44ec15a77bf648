//! Pub/sub and tracking: what is published or changed reaches all who listen then, in one order, and nobody else.
//!
//! Planted bugs: `published-without-the-channel` (two subscribers get two messages in different orders),
//! `channel-removed-in-two-steps` (who subscribes while the last one leaves is never told anything),
//! `reader-noted-before-the-lock` (it was told of a change before what it has read) and `copy-read-by-one-who-tracks` (it is
//! told nothing at all).
#![cfg(kiba_loom)]

use kiba::server::clients::Client;
use kiba::server::outbox::Message;
use kiba::server::pubsub::Feed;
use kiba::server::tracking::mode;
use kiba::sync::{Arc, Ordering};
use loom::thread;
use loom_tests::Model;

/// The last words of all that waits for a client.
fn received(client: &Client) -> Vec<String> {
    let text = |message: Message| match message {
        Message::Push(bytes) | Message::Line(bytes) => String::from_utf8(bytes.to_vec()).expect("text"),
    };
    let words = |text: String| text.trim_end().rsplit("\r\n").next().map(str::to_owned).expect("not empty");
    client.outbox.take().messages.into_iter().map(text).map(words).collect()
}

fn publish(model: &Model, message: &str) -> usize {
    model.server.pubsub.publish(b"channel", message.as_bytes(), &model.server.config)
}

#[test]
fn two_subscribers_get_two_messages_in_one_order() {
    loom::model(|| {
        let model = Arc::new(Model::new());
        let clients = [model.client(), model.client()];
        for client in &clients {
            model.server.pubsub.subscribe(client, Feed::Channel, b"channel");
        }
        let other = {
            let model = Arc::clone(&model);
            thread::spawn(move || publish(&model, "1"))
        };
        assert_eq!(publish(&model, "2"), 2);
        assert_eq!(other.join().expect("joins"), 2);
        let [one, two] = clients.map(|client| received(&client));
        assert_eq!((one.len(), &one), (2, &two));
    });
}

#[test]
fn a_subscription_that_is_made_while_the_last_one_ends_holds() {
    loom::model(|| {
        let model = Arc::new(Model::new());
        let (old, new) = (model.client(), model.client());
        model.server.pubsub.subscribe(&old, Feed::Channel, b"channel");
        let leaver = {
            let (model, old) = (Arc::clone(&model), Arc::clone(&old));
            thread::spawn(move || model.server.forget(&old))
        };
        model.server.pubsub.subscribe(&new, Feed::Channel, b"channel");
        leaver.join().expect("joins");
        assert_eq!((publish(&model, "x"), received(&new)), (1, vec!["x".to_owned()]));
        assert_eq!(model.server.pubsub.subscriber_count(), 1);
    });
}

#[test]
fn what_is_published_while_a_subscriber_ends_is_counted_and_freed() {
    loom::model(|| {
        let model = Arc::new(Model::new());
        let (stays, goes) = (model.client(), model.client());
        for client in [&stays, &goes] {
            model.server.pubsub.subscribe(client, Feed::Channel, b"channel");
        }
        let leaver = {
            let (model, goes) = (Arc::clone(&model), Arc::clone(&goes));
            // As a connection does at its end.
            thread::spawn(move || {
                goes.outbox.close();
                model.server.forget(&goes);
                model.server.clients.remove(goes.id);
            })
        };
        assert!([1, 2].contains(&publish(&model, "x")));
        leaver.join().expect("joins");
        assert_eq!(received(&stays), ["x"]);
        assert_eq!((goes.outbox.waiting().messages, goes.outbox.waiting().bytes), (0, 0));
        assert_eq!(publish(&model, "y"), 1);
    });
}

#[test]
fn a_client_that_keeps_copies_is_told_of_what_comes_after_it_has_read() {
    loom::model(|| {
        let model = Arc::new(Model::new());
        let (key, client) = (model.keys().a, model.client());
        client.resp.store(3, Ordering::Relaxed);
        model.server.tracking.start(&client, mode::ON, None, &[], &model.server.env);
        model.run(&format!("SET {key} 0"));
        // There is a copy that is read without the lock.
        model.run(&format!("GET {key}"));
        let writer = {
            let (model, client, key) = (Arc::clone(&model), Arc::clone(&client), key.clone());
            thread::spawn(move || {
                model.run(&format!("SET {key} 1"));
                let told = client.outbox.waiting().messages;
                model.run(&format!("SET {key} 2"));
                told
            })
        };
        let read = model.run_as(&client, &format!("GET {key}"));
        let told_first = writer.join().expect("joins");
        let told = received(&client).len();
        // Told once, of the change that came after what it has read.
        match read.as_str() {
            "$1\r\n0\r\n" => assert_eq!(told, 1),
            "$1\r\n1\r\n" => assert_eq!((told_first, told), (0, 1)),
            _ => assert_eq!(told, 0),
        }
    });
}
