//! The server: TIME ROLE SHUTDOWN.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{Arity, Call, Flags, Keys, Next, Run, Spec};
use crate::error::Error;
use crate::reply::Reply;
use crate::session::Session;

pub(super) const SPECS: &[Spec] = &[
    Spec {
        name: "time",
        arity: Arity::exactly(1),
        keys: Keys::None,
        run: Run::Session(time),
        flags: Flags::FAST.and(Flags::LOADING).and(Flags::STALE),
        since: "2.6.0",
        complexity: "O(1)",
        summary: "Returns the server time.",
    },
    Spec {
        name: "monitor",
        arity: Arity::exactly(1),
        keys: Keys::None,
        run: Run::Session(monitor),
        flags: Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE),
        since: "1.0.0",
        complexity: "O(1) to begin; each command costs O(N) where N is the number of those who watch.",
        summary: "Listens for all requests received by the server in real-time.",
    },
    Spec {
        name: "role",
        arity: Arity::exactly(1),
        keys: Keys::None,
        run: Run::Session(role),
        flags: Flags::FAST.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE).and(Flags::SENTINEL),
        since: "2.8.12",
        complexity: "O(1)",
        summary: "Returns the replication role.",
    },
    Spec {
        name: "shutdown",
        arity: Arity::at_least(1),
        keys: Keys::None,
        run: Run::Session(shutdown),
        flags: Flags::ADMIN
            .and(Flags::NOSCRIPT)
            .and(Flags::LOADING)
            .and(Flags::STALE)
            .and(Flags::NO_MULTI)
            .and(Flags::SENTINEL)
            .and(Flags::ALLOW_BUSY)
            .and(Flags::NEVER_PAUSED),
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Shuts the server down after answering what it has read.",
    },
];

/// TIME -> seconds since the Unix epoch, and microseconds within the second.
fn time(_: &mut Session, _: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    // Not the batch's time: two TIMEs of a pipeline may differ, as they do in Redis.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    reply.array(2);
    reply.bulk_integer(now.as_secs() as i64);
    reply.bulk_integer(i64::from(now.subsec_micros()));
    Ok(Next::Continue)
}

/// MONITOR -> OK; from then on a line for each command that any client runs.
fn monitor(session: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    if session.is_executing {
        return Err(Error::Other("ERR MONITOR isn't allowed for DENY BLOCKING client"));
    }
    // Who watches already gets no reply, as in Redis.
    if call.server.monitors.add(&session.client) {
        reply.ok();
    }
    Ok(Next::Continue)
}

/// ROLE -> `master`, the replication offset, and the replicas: there are none yet.
fn role(_: &mut Session, _: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    reply.array(3);
    reply.bulk(b"master");
    reply.integer(0);
    reply.array(0);
    Ok(Next::Continue)
}

/// `SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE] [ABORT]` -> no reply; the connection is closed.
fn shutdown(_: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    match ShutdownOptions::parse(call)? {
        ShutdownOptions { abort: true, .. } => Err(Error::Other("ERR No shutdown in progress.")),
        ShutdownOptions { save: true, .. } => {
            reply.error("ERR Kiba does not save snapshots yet; SHUTDOWN NOSAVE stops it without");
            Ok(Next::Continue)
        }
        _ => {
            call.server.request_stop();
            Ok(Next::Close)
        }
    }
}

/// NOW and FORCE are accepted: there is no replica to wait for and nothing that could fail to be saved.
#[derive(Debug, Default, PartialEq, Eq)]
struct ShutdownOptions {
    save: bool,
    abort: bool,
}

impl ShutdownOptions {
    fn parse(call: &Call<'_>) -> Result<Self, Error> {
        let (mut options, mut nosave) = (Self::default(), false);
        for i in 1..call.len() {
            match () {
                () if call.is(i, "save") => options.save = true,
                () if call.is(i, "nosave") => nosave = true,
                () if call.is(i, "abort") => options.abort = true,
                () if call.is(i, "now") || call.is(i, "force") => {}
                () => return Err(Error::Syntax),
            }
        }
        // ABORT stands alone, and SAVE and NOSAVE exclude each other.
        if (options.abort && call.len() > 2) || (options.save && nosave) { Err(Error::Syntax) } else { Ok(options) }
    }
}
