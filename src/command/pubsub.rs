//! Pub/sub: (P|S)SUBSCRIBE (P|S)UNSUBSCRIBE PUBLISH SPUBLISH PUBSUB.
//!
//! A confirmation is a push itself, written among the replies. What was pushed before a subscription ended is sent before
//! that is confirmed, so that a client which has left the mode of subscribers gets no message any more.

use super::{Arity, Call, Flags, Keys, Next, Run, Spec, help};
use crate::error::Error;
use crate::glob;
use crate::reply::Reply;
use crate::server::pubsub::{Feed, Name};
use crate::session::Session;

const LISTEN: Flags = Flags::PUBSUB.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE).and(Flags::PUSHES);
const KNOWN: Flags = LISTEN.and(Flags::SENTINEL);
const POST: Flags = Flags::PUBSUB.and(Flags::LOADING).and(Flags::STALE).and(Flags::FAST).and(Flags::MAY_REPLICATE);
const ASK: Flags = Flags::PUBSUB.and(Flags::LOADING).and(Flags::STALE);

pub(super) const SPECS: &[Spec] = &[
    Spec {
        name: "subscribe",
        arity: Arity::at_least(2),
        keys: Keys::None,
        run: Run::Session(|session, call, reply| subscribe(Feed::Channel, session, call, reply)),
        flags: KNOWN,
        since: "2.0.0",
        complexity: "O(N) where N is the number of channels to subscribe to.",
        summary: "Listens for messages published to channels.",
    },
    Spec {
        name: "unsubscribe",
        arity: Arity::at_least(1),
        keys: Keys::None,
        run: Run::Session(|session, call, reply| unsubscribe(Feed::Channel, session, call, reply)),
        flags: KNOWN,
        since: "2.0.0",
        complexity: "O(N) where N is the number of channels to unsubscribe.",
        summary: "Stops listening to messages posted to channels.",
    },
    Spec {
        name: "psubscribe",
        arity: Arity::at_least(2),
        keys: Keys::None,
        run: Run::Session(|session, call, reply| subscribe(Feed::Pattern, session, call, reply)),
        flags: KNOWN,
        since: "2.0.0",
        complexity: "O(N) where N is the number of patterns to subscribe to.",
        summary: "Listens for messages published to channels that match one or more patterns.",
    },
    Spec {
        name: "punsubscribe",
        arity: Arity::at_least(1),
        keys: Keys::None,
        run: Run::Session(|session, call, reply| unsubscribe(Feed::Pattern, session, call, reply)),
        flags: KNOWN,
        since: "2.0.0",
        complexity: "O(N) where N is the number of patterns to unsubscribe.",
        summary: "Stops listening to messages published to channels that match one or more patterns.",
    },
    Spec {
        name: "publish",
        arity: Arity::exactly(3),
        keys: Keys::None,
        run: Run::Session(publish),
        flags: POST.and(Flags::SENTINEL),
        since: "2.0.0",
        complexity: "O(N+M) where N is the number of clients that listen to the channel and M the number of patterns.",
        summary: "Posts a message to a channel.",
    },
    Spec {
        name: "pubsub",
        arity: Arity::at_least(2),
        keys: Keys::None,
        run: Run::Container(SUBCOMMANDS),
        flags: Flags::NONE,
        since: "2.8.0",
        complexity: "Depends on subcommand.",
        summary: "A container for Pub/Sub commands.",
    },
    Spec {
        name: "ssubscribe",
        arity: Arity::at_least(2),
        keys: Keys::ALL,
        run: Run::Session(|session, call, reply| subscribe(Feed::Shard, session, call, reply)),
        flags: LISTEN,
        since: "7.0.0",
        complexity: "O(N) where N is the number of shard channels to subscribe to.",
        summary: "Listens for messages published to shard channels.",
    },
    Spec {
        name: "sunsubscribe",
        arity: Arity::at_least(1),
        keys: Keys::ALL,
        run: Run::Session(|session, call, reply| unsubscribe(Feed::Shard, session, call, reply)),
        flags: LISTEN,
        since: "7.0.0",
        complexity: "O(N) where N is the number of shard channels to unsubscribe.",
        summary: "Stops listening to messages posted to shard channels.",
    },
    Spec {
        name: "spublish",
        arity: Arity::exactly(3),
        keys: Keys::ONE,
        run: Run::Session(spublish),
        flags: POST,
        since: "7.0.0",
        complexity: "O(N) where N is the number of clients that listen to the shard channel.",
        summary: "Posts a message to a shard channel.",
    },
];

const SUBCOMMANDS: &[Spec] = &[
    Spec {
        name: "channels",
        arity: Arity::at_least(2),
        keys: Keys::None,
        run: Run::Session(|_, call, reply| channels(Feed::Channel, call, reply)),
        flags: ASK,
        since: "2.8.0",
        complexity: "O(N) where N is the number of active channels.",
        summary: "Returns the active channels.",
    },
    help::row(Flags::LOADING.and(Flags::STALE), "6.2.0"),
    Spec {
        name: "numpat",
        arity: Arity::exactly(2),
        keys: Keys::None,
        run: Run::Session(numpat),
        flags: ASK,
        since: "2.8.0",
        complexity: "O(1)",
        summary: "Returns the number of patterns that clients listen to.",
    },
    Spec {
        name: "numsub",
        arity: Arity::at_least(2),
        keys: Keys::None,
        run: Run::Session(|_, call, reply| numsub(Feed::Channel, call, reply)),
        flags: ASK,
        since: "2.8.0",
        complexity: "O(N) for the NUMSUB subcommand, where N is the number of requested channels",
        summary: "Returns the number of subscribers of channels.",
    },
    Spec {
        name: "shardchannels",
        arity: Arity::at_least(2),
        keys: Keys::None,
        run: Run::Session(|_, call, reply| channels(Feed::Shard, call, reply)),
        flags: ASK,
        since: "7.0.0",
        complexity: "O(N) where N is the number of active shard channels.",
        summary: "Returns the active shard channels.",
    },
    Spec {
        name: "shardnumsub",
        arity: Arity::at_least(2),
        keys: Keys::None,
        run: Run::Session(|_, call, reply| numsub(Feed::Shard, call, reply)),
        flags: ASK,
        since: "7.0.0",
        complexity: "O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels",
        summary: "Returns the number of subscribers of shard channels.",
    },
];

/// PUBLISH channel message -> the number of those who got it; who listens in two ways counts twice.
fn publish(_: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    reply.count(call.server.pubsub.publish(call.arg(1), call.arg(2), &call.server.config));
    Ok(Next::Continue)
}

/// SPUBLISH shardchannel message -> the number of those who got it.
fn spublish(_: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    reply.count(call.server.pubsub.publish_sharded(call.arg(1), call.arg(2), &call.server.config));
    Ok(Next::Continue)
}

/// SUBSCRIBE name ... -> a push for each name, with the number of subscriptions.
fn subscribe(feed: Feed, session: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    if feed == Feed::Shard && session.is_executing {
        return Err(Error::Other("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client"));
    }
    let kind = [&b"subscribe"[..], b"psubscribe", b"ssubscribe"][feed as usize];
    for name in call.args(1) {
        let count = call.server.pubsub.subscribe(&session.client, feed, name);
        confirm(kind, Some(name), count, reply);
    }
    Ok(Next::Continue)
}

/// `UNSUBSCRIBE [name ...]` -> a push for each name, or for each that there was a subscription to.
fn unsubscribe(feed: Feed, session: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    let kind = [&b"unsubscribe"[..], b"punsubscribe", b"sunsubscribe"][feed as usize];
    let (pubsub, client) = (&call.server.pubsub, &session.client);
    if call.len() > 1 {
        let counts: Vec<usize> = call.args(1).map(|name| pubsub.unsubscribe(client, feed, name)).collect();
        deliver(session, reply);
        call.args(1).zip(counts).for_each(|(name, count)| confirm(kind, Some(name), count, reply));
        return Ok(Next::Continue);
    }
    let names = pubsub.unsubscribe_all(client, feed);
    let rest = pubsub.count(client, feed);
    deliver(session, reply);
    for (i, name) in names.iter().enumerate() {
        confirm(kind, Some(name), rest + names.len() - 1 - i, reply);
    }
    if names.is_empty() {
        confirm(kind, None, rest, reply);
    }
    Ok(Next::Continue)
}

/// Writes what has been pushed so far, unless this is within a transaction.
pub(crate) fn deliver(session: &Session, reply: &mut Reply) {
    let outbox = &session.client.outbox;
    // The reply of EXEC has announced how many replies it holds.
    if outbox.has_news() && !session.is_executing {
        let news = outbox.take();
        // It came while the client was a subscriber, whatever it is now.
        news.messages.iter().for_each(|message| message.write(true, reply));
        outbox.sent(news);
    }
}

fn confirm(kind: &[u8], name: Option<&[u8]>, count: usize, reply: &mut Reply) {
    reply.push(3);
    reply.bulk(kind);
    match name {
        Some(name) => reply.bulk(name),
        None => reply.nil(),
    }
    reply.count(count);
}

/// `PUBSUB CHANNELS [pattern]` -> the channels that somebody listens to by their name.
fn channels(feed: Feed, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    if call.len() > 3 {
        help::wrong_form(call, reply);
        return Ok(Next::Continue);
    }
    let pattern = (call.len() == 3).then(|| call.arg(2));
    let mut names: Vec<Name> = call.server.pubsub.channels(feed);
    names.retain(|name| pattern.is_none_or(|pattern| glob::matches(pattern, name)));
    reply.array(names.len());
    names.iter().for_each(|name| reply.bulk(name));
    Ok(Next::Continue)
}

/// PUBSUB NUMPAT -> the number of patterns that somebody listens to.
fn numpat(_: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    reply.count(call.server.pubsub.pattern_count());
    Ok(Next::Continue)
}

/// `PUBSUB NUMSUB [channel ...]` -> each channel and how many listen to it by its name.
fn numsub(feed: Feed, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    reply.array(2 * (call.len() - 2));
    for channel in call.args(2) {
        reply.bulk(channel);
        reply.count(call.server.pubsub.subscribers(feed, channel));
    }
    Ok(Next::Continue)
}
