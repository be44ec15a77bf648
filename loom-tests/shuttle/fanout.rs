//! Pub/sub and outboxes: several publishers, several subscribers, and one who leaves.

use std::future::poll_fn;

use kiba::server::clients::Client;
use kiba::server::outbox::Message;
use kiba::server::pubsub::Feed;
use kiba::sync::Arc;
use loom_tests::{Model, block_on};
use shuttle::thread;

use crate::chance::explore;

const TESTS: usize = 2;
const PUBLISHERS: usize = 3;

/// Takes messages as a connection does, until it has so many; their last words.
fn listen(client: &Client, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    while found.len() < count {
        block_on(poll_fn(|cx| client.poll_news(cx)));
        let mut news = client.outbox.take();
        found.extend(std::mem::take(&mut news.messages).into_iter().map(|message| match message {
            Message::Push(bytes) | Message::Line(bytes) => {
                let text = String::from_utf8(bytes.to_vec()).expect("text");
                text.trim_end().rsplit("\r\n").next().expect("not empty").to_owned()
            }
        }));
        client.outbox.sent(news);
    }
    found
}

fn publish(model: &Arc<Model>, name: usize) -> thread::JoinHandle<()> {
    let model = Arc::clone(model);
    thread::spawn(move || {
        for i in 0..2 {
            let reached = model.server.pubsub.publish(b"c", format!("{name}{i}").as_bytes(), &model.server.config);
            assert!((3..=4).contains(&reached), "{reached}");
        }
    })
}

#[test]
fn all_subscribers_get_all_messages_in_one_order() {
    explore(TESTS, || {
        let model = Arc::new(Model::new());
        let subscribers = [(); 4].map(|()| model.client());
        for client in &subscribers {
            model.server.pubsub.subscribe(client, Feed::Channel, b"c");
        }
        let publishers: Vec<_> = (0..PUBLISHERS).map(|name| publish(&model, name)).collect();
        let [stays @ .., goes] = subscribers;
        let listeners = stays.map(|client| thread::spawn(move || listen(&client, 2 * PUBLISHERS)));
        let leaver = {
            let model = Arc::clone(&model);
            // As a connection does at its end.
            thread::spawn(move || {
                goes.outbox.close();
                model.server.forget(&goes);
                model.server.clients.remove(goes.id);
                assert_eq!(goes.outbox.waiting().messages, 0);
            })
        };
        publishers.into_iter().chain([leaver]).for_each(|thread| thread.join().expect("joins"));
        let [one, two, three] = listeners.map(|listener| listener.join().expect("joins"));
        assert_eq!((&one, &one), (&two, &three));
        for name in 0..PUBLISHERS {
            let own: Vec<_> = one.iter().filter(|text| text.starts_with(&name.to_string())).collect();
            assert_eq!(own, [&format!("{name}0"), &format!("{name}1")]);
        }
    });
}

#[test]
fn a_channel_lives_as_long_as_somebody_listens() {
    explore(TESTS, || {
        let model = Arc::new(Model::new());
        let leavers = [(); 3].map(|()| model.client());
        for client in &leavers {
            model.server.pubsub.subscribe(client, Feed::Channel, b"c");
        }
        let leavers = leavers.map(|client| {
            let model = Arc::clone(&model);
            thread::spawn(move || model.server.forget(&client))
        });
        let comers = [(); 3].map(|()| {
            let (model, client) = (Arc::clone(&model), model.client());
            thread::spawn(move || {
                model.server.pubsub.subscribe(&client, Feed::Channel, b"c");
                client
            })
        });
        leavers.into_iter().for_each(|leaver| leaver.join().expect("joins"));
        let comers = comers.map(|comer| comer.join().expect("joins"));
        assert_eq!(model.server.pubsub.publish(b"c", b"x", &model.server.config), comers.len());
        for client in &comers {
            assert_eq!(listen(client, 1), ["x"]);
            model.server.forget(client);
        }
        assert_eq!((model.server.pubsub.channel_count(Feed::Channel), model.server.pubsub.subscriber_count()), (0, 0));
    });
}
