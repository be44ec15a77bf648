//! The connection: PING ECHO SELECT QUIT RESET.

use super::{Arity, Call, Control, Flags, Keys, Next, Run, Spec};
use crate::error::Error;
use crate::reply::Reply;
use crate::session::Session;

pub(super) const SPECS: &[Spec] = &[
    Spec {
        name: "ping",
        arity: Arity::at_least(1),
        keys: Keys::None,
        run: Run::Session(ping),
        flags: Flags::FAST.and(Flags::SENTINEL),
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Returns the server's liveliness response.",
    },
    Spec {
        name: "echo",
        arity: Arity::exactly(2),
        keys: Keys::None,
        run: Run::Session(echo),
        flags: Flags::FAST.and(Flags::LOADING).and(Flags::STALE),
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Returns the given string.",
    },
    Spec {
        name: "select",
        arity: Arity::exactly(2),
        keys: Keys::None,
        run: Run::Session(select),
        flags: Flags::FAST.and(Flags::LOADING).and(Flags::STALE),
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Changes the selected database.",
    },
    Spec {
        name: "quit",
        arity: Arity::at_least(1),
        keys: Keys::None,
        run: Run::Control(Control::Quit),
        flags: Flags::FAST
            .and(Flags::NOSCRIPT)
            .and(Flags::LOADING)
            .and(Flags::STALE)
            .and(Flags::NO_AUTH)
            .and(Flags::ALLOW_BUSY),
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Closes the connection.",
    },
    Spec {
        name: "reset",
        arity: Arity::exactly(1),
        keys: Keys::None,
        run: Run::Control(Control::Reset),
        flags: Flags::FAST
            .and(Flags::NOSCRIPT)
            .and(Flags::LOADING)
            .and(Flags::STALE)
            .and(Flags::NO_AUTH)
            .and(Flags::ALLOW_BUSY),
        since: "6.2.0",
        complexity: "O(1)",
        summary: "Resets the connection.",
    },
];

/// PING [message] -> PONG, or the message.
fn ping(_: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    match call.len() {
        1 => reply.simple("PONG"),
        2 => reply.bulk(call.arg(1)),
        _ => return Err(call.arity_error()),
    }
    Ok(Next::Continue)
}

/// ECHO message -> the message.
fn echo(_: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    reply.bulk(call.arg(1));
    Ok(Next::Continue)
}

/// SELECT index -> OK.
fn select(session: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    let index = call.integer(1)?;
    if i32::try_from(index).is_err() {
        return Err(Error::Other("ERR value is out of range, value must between -2147483648 and 2147483647"));
    }
    let databases = call.server.config.databases();
    let db = u16::try_from(index).ok().filter(|&db| u32::from(db) < databases).ok_or(Error::DbIndexOutOfRange)?;
    session.select(db);
    reply.ok();
    Ok(Next::Continue)
}
