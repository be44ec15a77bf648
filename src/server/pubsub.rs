//! Pub/sub: who listens to which channels and patterns.
//!
//! Publishing to a channel that nobody listens to is one look-up. Messages of a channel reach all of its subscribers
//! in the same order, because whoever publishes holds the channel while it pushes; pushing never waits.
//!
//! Lock order: a client's own list, the table of channels (a shard of it) or patterns, a channel, an outbox.

use std::collections::{HashMap, HashSet};

use super::clients::Client;
use super::outbox::Message;
use crate::config::Config;
use crate::fault;
use crate::glob;
use crate::sync::{Arc, AtomicUsize, HashState, Map, Mutex, Ordering, PoisonError, RwLock, lock, planted, read, write};

/// What one subscribes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    Channel,
    Pattern,
    /// A channel of SSUBSCRIBE: a name space of its own, which patterns do not reach.
    Shard,
}

impl Feed {
    pub const ALL: [Self; 3] = [Self::Channel, Self::Pattern, Self::Shard];
}

/// The name of a channel or a pattern; shared by the table and its subscribers.
pub type Name = Arc<[u8]>;

type Subscribers = HashMap<u64, Arc<Client>, HashState>;
type Channels = Map<Name, Mutex<Subscribers>>;

/// What a client listens to, by [`Feed`].
#[derive(Debug, Default)]
pub struct Subscriptions([HashSet<Name, HashState>; 3]);

impl Subscriptions {
    fn counts(&self) -> [usize; 3] {
        Feed::ALL.map(|feed| self.len(feed))
    }

    fn len(&self, feed: Feed) -> usize {
        self.0[feed as usize].len()
    }
}

/// All subscriptions.
#[derive(Debug, Default)]
pub struct PubSub {
    channels: Channels,
    shard_channels: Channels,
    patterns: RwLock<HashMap<Name, Subscribers, HashState>>,
    /// Number of patterns: without any, publishing does not ask for them.
    pattern_count: AtomicUsize,
    /// Number of clients that listen to anything.
    subscribers: AtomicUsize,
}

impl PubSub {
    /// Sends a message to all who listen. Returns how many there are; one who listens in several ways counts as often.
    pub fn publish(&self, channel: &[u8], message: &[u8], config: &Config) -> usize {
        let mut receivers = publish_to(&self.channels, b"message", channel, message, config);
        // Relaxed: who subscribes at this moment may or may not get the message.
        if self.pattern_count.load(Ordering::Relaxed) > 0 {
            receivers += self.publish_to_patterns(channel, message, config);
        }
        receivers
    }

    /// As [`PubSub::publish`], to shard channels.
    pub fn publish_sharded(&self, channel: &[u8], message: &[u8], config: &Config) -> usize {
        publish_to(&self.shard_channels, b"smessage", channel, message, config)
    }

    fn publish_to_patterns(&self, channel: &[u8], message: &[u8], config: &Config) -> usize {
        let patterns = read(&self.patterns);
        let matching = patterns.iter().filter(|(pattern, _)| glob::matches(pattern, channel));
        matching
            .map(|(pattern, subscribers)| {
                let message = Message::push(&[b"pmessage", pattern, channel, message]);
                push_to(subscribers, &message, config)
            })
            .sum()
    }

    /// Adds a subscription. Returns how many of its kind the client has: channels and patterns count together.
    pub fn subscribe(&self, client: &Arc<Client>, feed: Feed, name: &[u8]) -> usize {
        client.with_subscriptions(|own| {
            if own.counts() == [0; 3] {
                self.subscribers.fetch_add(1, Ordering::Relaxed);
            }
            if own.0[feed as usize].insert(Name::from(name)) {
                // Noted first, so that it is taken off the table whatever happens.
                client.listens(own.counts());
                let name = self.add(client, feed, name);
                own.0[feed as usize].replace(name);
            }
            count(own, feed)
        })
    }

    /// Ends a subscription, if the client has it. Returns how many are left, counted as by [`PubSub::subscribe`].
    pub fn unsubscribe(&self, client: &Client, feed: Feed, name: &[u8]) -> usize {
        client.with_subscriptions(|own| {
            if own.0[feed as usize].remove(name) {
                self.remove(client, feed, name);
                self.left(client, own);
            }
            count(own, feed)
        })
    }

    /// Ends all subscriptions of a kind. Returns their names.
    pub fn unsubscribe_all(&self, client: &Client, feed: Feed) -> Vec<Name> {
        client.with_subscriptions(|own| {
            let names: Vec<Name> = std::mem::take(&mut own.0[feed as usize]).into_iter().collect();
            if !names.is_empty() {
                names.iter().for_each(|name| self.remove(client, feed, name));
                self.left(client, own);
            }
            names
        })
    }

    /// Ends all that a client listens to.
    pub fn leave(&self, client: &Client) {
        if client.is_subscriber() {
            for feed in Feed::ALL {
                self.unsubscribe_all(client, feed);
            }
        }
    }

    /// How many subscriptions of a kind the client has, counted as by [`PubSub::subscribe`].
    pub fn count(&self, client: &Client, feed: Feed) -> usize {
        client.with_subscriptions(|own| count(own, feed))
    }

    /// The channels that somebody listens to, and for shard channels likewise.
    pub fn channels(&self, feed: Feed) -> Vec<Name> {
        self.table(feed).iter().map(|channel| Arc::clone(channel.key())).collect()
    }

    /// How many listen to a channel by its name.
    pub fn subscribers(&self, feed: Feed, channel: &[u8]) -> usize {
        self.table(feed).get(channel).map_or(0, |subscribers| lock(&subscribers).len())
    }

    pub fn channel_count(&self, feed: Feed) -> usize {
        self.table(feed).len()
    }

    /// Number of patterns that somebody listens to.
    pub fn pattern_count(&self) -> usize {
        self.pattern_count.load(Ordering::Relaxed)
    }

    /// Number of clients that listen to anything.
    pub fn subscriber_count(&self) -> usize {
        self.subscribers.load(Ordering::Relaxed)
    }

    fn table(&self, feed: Feed) -> &Channels {
        if feed == Feed::Shard { &self.shard_channels } else { &self.channels }
    }

    fn add(&self, client: &Arc<Client>, feed: Feed, name: &[u8]) -> Name {
        if feed == Feed::Pattern {
            let mut patterns = write(&self.patterns);
            let name = patterns.get_key_value(name).map_or_else(|| Name::from(name), |(name, _)| Arc::clone(name));
            patterns.entry(Arc::clone(&name)).or_default().insert(client.id, Arc::clone(client));
            self.pattern_count.store(patterns.len(), Ordering::Relaxed);
            return name;
        }
        let mut channel = self.table(feed).entry(Name::from(name)).or_default();
        fault::point("pubsub.subscribe");
        exclusive(&mut channel).insert(client.id, Arc::clone(client));
        Arc::clone(channel.key())
    }

    fn remove(&self, client: &Client, feed: Feed, name: &[u8]) {
        if feed == Feed::Pattern {
            let mut patterns = write(&self.patterns);
            if let Some(subscribers) = patterns.get_mut(name) {
                subscribers.remove(&client.id);
                if subscribers.is_empty() {
                    patterns.remove(name);
                }
            }
            self.pattern_count.store(patterns.len(), Ordering::Relaxed);
            return;
        }
        if planted("channel-removed-in-two-steps") {
            let is_left = self.table(feed).get(name).is_some_and(|subscribers| {
                let mut subscribers = lock(&subscribers);
                subscribers.remove(&client.id);
                subscribers.is_empty()
            });
            if is_left {
                self.table(feed).remove(name);
            }
            return;
        }
        // One step, so that nobody subscribes to a channel that is being removed.
        self.table(feed).remove_if_mut(name, |_, subscribers| {
            let subscribers = exclusive(subscribers);
            subscribers.remove(&client.id);
            subscribers.is_empty()
        });
    }

    /// Notes that a client that listened has fewer subscriptions.
    fn left(&self, client: &Client, own: &Subscriptions) {
        client.listens(own.counts());
        if !client.is_subscriber() {
            self.subscribers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn count(own: &Subscriptions, feed: Feed) -> usize {
    if feed == Feed::Shard { own.len(Feed::Shard) } else { own.len(Feed::Channel) + own.len(Feed::Pattern) }
}

fn publish_to(channels: &Channels, kind: &[u8], channel: &[u8], message: &[u8], config: &Config) -> usize {
    let Some(subscribers) = channels.get(channel) else { return 0 };
    let message = Message::push(&[kind, channel, message]);
    if planted("published-without-the-channel") {
        let subscribers = lock(&subscribers).clone();
        return push_to(&subscribers, &message, config);
    }
    push_to(&lock(&subscribers), &message, config)
}

fn push_to(subscribers: &Subscribers, message: &Message, config: &Config) -> usize {
    for client in subscribers.values() {
        fault::point("pubsub.push");
        client.push(message.clone(), config);
    }
    subscribers.len()
}

fn exclusive(subscribers: &mut Mutex<Subscribers>) -> &mut Subscribers {
    subscribers.get_mut().unwrap_or_else(PoisonError::into_inner)
}
