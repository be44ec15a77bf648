//! Who is told of changes: keyspace events become messages, and clients that keep copies are told to drop them.

use super::pubsub::PubSub;
use super::tracking::Tracking;
use crate::config::{Config, Events};
use crate::store::Audience;
use crate::sync::Arc;

/// The store's audience.
#[derive(Debug)]
pub struct Announcer {
    pub config: Arc<Config>,
    pub pubsub: Arc<PubSub>,
    pub tracking: Arc<Tracking>,
}

impl Audience for Announcer {
    fn event(&self, db: u16, key: &[u8], event: &'static str) {
        let events = self.config.notify_keyspace_events();
        if !events.publishes(class_of(event)) || self.pubsub.subscriber_count() == 0 {
            return;
        }
        if events.contains(Events::KEYSPACE) {
            let channel = [format!("__keyspace@{db}__:").as_bytes(), key].concat();
            self.pubsub.publish(&channel, event.as_bytes(), &self.config);
        }
        if events.contains(Events::KEYEVENT) {
            self.pubsub.publish(format!("__keyevent@{db}__:{event}").as_bytes(), key, &self.config);
        }
    }

    fn changed(&self, key: &[u8], by: u64) {
        self.tracking.invalidate(key, by, &self.config);
    }
}

/// The class to which an event belongs.
fn class_of(event: &str) -> Events {
    match event {
        "set" | "setrange" | "append" | "incrby" | "incrbyfloat" | "setbit" | "pfadd" => Events::STRING,
        "del" | "expire" | "persist" | "rename_from" | "rename_to" | "move_from" | "move_to" | "copy_to"
        | "restore" => Events::GENERIC,
        "sadd" | "srem" | "spop" | "sinterstore" | "sunionstore" | "sdiffstore" => Events::SET,
        "geosearchstore" | "georadiusstore" => Events::ZSET,
        "sortstore" => Events::LIST,
        "expired" => Events::EXPIRED,
        "evicted" => Events::EVICTED,
        "new" => Events::NEW,
        "keymiss" => Events::MISS,
        _ => match event.as_bytes().first() {
            Some(b'l' | b'r') => Events::LIST,
            Some(b'h') => Events::HASH,
            Some(b'z') => Events::ZSET,
            Some(b'x') => Events::STREAM,
            _ => Events::GENERIC,
        },
    }
}
