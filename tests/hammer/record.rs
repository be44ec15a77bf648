//! What the workers have seen and done, as they write it down.

/// The queues: lists, the first of which is first in, first out; then sorted sets.
pub const QUEUES: [&str; 6] = ["q:0", "q:1", "q:2", "q:3", "z:0", "z:1"];
pub const LISTS: usize = 4;
pub const STREAMS: [&str; 2] = ["x:0", "x:1"];
pub const COUNTERS: [&str; 3] = ["n:0", "n:1", "n:2"];
pub const CHANNELS: [&str; 4] = ["p:0", "p:1", "p:2", "p:3"];
pub const SHARD_CHANNELS: [&str; 2] = ["s:0", "s:1"];
pub const CACHED: usize = 20;

/// A point in the order of what the workers do: what has a smaller one at its end was over before the other began.
pub type Tick = u64;

/// The notes of one worker.
#[derive(Debug, Default)]
pub struct Log {
    pub who: usize,
    /// Elements that are in a queue, or on their way there, for certain.
    pub pushed: Vec<(usize, String)>,
    /// Elements whose producer vanished: they are there if the marker is.
    pub perhaps_pushed: Vec<Perhaps>,
    /// Elements in the order in which they were taken.
    pub taken: Vec<(usize, String)>,
    /// Commands that took something from a queue.
    pub pops: [u64; QUEUES.len()],
    /// Commands that may have taken one element when their client vanished.
    pub vanished_pops: u64,

    /// Entries added, with their ID; without one when their producer vanished.
    pub added: Vec<(usize, Option<String>, String)>,
    pub readings: Vec<Reading>,
    /// Entries that came by `>`.
    pub fresh: Vec<(usize, String)>,
    /// Entries taken over from another consumer, and from whom.
    pub taken_over: Vec<(usize, String, String)>,
    /// Acknowledgements and their replies; none when the client vanished.
    pub acks: Vec<(usize, String, Option<i64>)>,
    /// Consumers that vanished while reading or taking over.
    pub vanished_consumers: Vec<String>,

    /// Messages by number.
    pub published: Vec<Published>,
    pub subscriptions: Vec<Subscription>,
    /// The order in which messages of each publisher came over each connection.
    pub heard: Vec<Vec<(usize, usize)>>,

    /// Increments that were answered or may have been made.
    pub increments: Vec<Increment>,
    pub increments_heard: Vec<Heard>,

    /// What was kept of keys and never invalidated.
    pub copies: Vec<(usize, String)>,
    /// Copies of keys that were not what the server had: the key, the copy, and the value.
    pub stale: Vec<(usize, String, String)>,
    pub invalidations: u64,

    /// Replies of UNBLOCKED, and waits that were ended like that.
    pub unblocked: u64,
    pub unblocks: u64,
    /// Requests answered.
    pub calls: u64,
    pub deaths: u64,
}

#[derive(Debug)]
pub struct Perhaps {
    pub marker: String,
    pub elements: Vec<(usize, String)>,
}

/// What a reader saw of a stream.
#[derive(Debug)]
pub struct Reading {
    pub stream: usize,
    /// Or from the first entry on that it saw.
    pub from_the_start: bool,
    pub entries: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Answered, with the number of receivers.
    Done(i64),
    /// The connection ended and it was not done.
    NotDone,
    Unknown,
}

#[derive(Debug)]
pub struct Published {
    pub channel: &'static str,
    pub is_sharded: bool,
    pub start: Tick,
    pub end: Tick,
    pub fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    Channel,
    Pattern,
    Shard,
    Monitor,
}

/// From a subscription to its end.
#[derive(Debug)]
pub struct Subscription {
    pub feed: Feed,
    /// A channel, or the beginning of channels' names.
    pub name: String,
    /// Before it was asked for, and after it was confirmed.
    pub asked: Tick,
    pub confirmed: Option<Tick>,
    /// Before its end was asked for, and after that was confirmed or the connection was over.
    pub until: Option<Tick>,
    pub over: Tick,
    pub got: Vec<(usize, usize)>,
}

impl Subscription {
    pub fn matches(&self, message: &Published) -> bool {
        match self.feed {
            Feed::Channel => !message.is_sharded && message.channel == self.name,
            Feed::Pattern => !message.is_sharded && message.channel.starts_with(&self.name),
            Feed::Shard => message.is_sharded && message.channel == self.name,
            Feed::Monitor => true,
        }
    }
}

#[derive(Debug)]
pub struct Increment {
    pub counter: usize,
    pub start: Tick,
    pub end: Tick,
    pub is_certain: bool,
}

/// How many increments of a counter somebody heard of while he listened; the times as in [`Subscription`].
#[derive(Debug)]
pub struct Heard {
    pub counter: usize,
    pub asked: Tick,
    pub confirmed: Tick,
    pub until: Option<Tick>,
    pub over: Tick,
    pub count: u64,
}
