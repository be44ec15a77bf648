//! The connection: PING ECHO SELECT QUIT RESET AUTH HELLO.

use std::hash::{BuildHasher, RandomState};

use siphasher::sip128::{Hasher128, SipHasher24};
use subtle::ConstantTimeEq;

use super::{Arity, Call, Control, Flags, Keys, Next, Run, Spec, client};
use crate::error::Error;
use crate::number::parse_i64;
use crate::reply::{Reply, Resp};
use crate::server::Server;
use crate::session::Session;

/// What a client needs to come in: also before login, and while commands are paused.
const ENTRANCE: Flags = Flags::FAST
    .and(Flags::NOSCRIPT)
    .and(Flags::LOADING)
    .and(Flags::STALE)
    .and(Flags::NO_AUTH)
    .and(Flags::SENTINEL)
    .and(Flags::ALLOW_BUSY)
    .and(Flags::NEVER_PAUSED);

pub(super) const SPECS: &[Spec] = &[
    Spec {
        name: "ping",
        arity: Arity::at_least(1),
        keys: Keys::None,
        run: Run::Session(ping),
        flags: Flags::FAST.and(Flags::SENTINEL).and(Flags::WHILE_SUBSCRIBED),
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
            .and(Flags::WHILE_SUBSCRIBED)
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
            .and(Flags::WHILE_SUBSCRIBED)
            .and(Flags::ALLOW_BUSY),
        since: "6.2.0",
        complexity: "O(1)",
        summary: "Resets the connection.",
    },
    Spec {
        name: "auth",
        arity: Arity::at_least(2),
        keys: Keys::None,
        run: Run::Session(auth),
        flags: ENTRANCE,
        since: "1.0.0",
        complexity: "O(N) where N is the length of the password.",
        summary: "Authenticates the connection.",
    },
    Spec {
        name: "hello",
        arity: Arity::at_least(1),
        keys: Keys::None,
        run: Run::Session(hello),
        flags: ENTRANCE,
        since: "6.0.0",
        complexity: "O(1)",
        summary: "Handshakes with the server: protocol, login and the connection's name.",
    },
];

const WRONG_PASS: Error = Error::Other("WRONGPASS invalid username-password pair or user is disabled.");

/// `PING [message]` -> PONG, or the message; for a subscriber in RESP2 an array that looks like its messages.
fn ping(session: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    match call.len() {
        1 | 2 if session.resp == Resp::V2 && session.client.is_subscriber() => {
            reply.array(2);
            reply.bulk(b"pong");
            reply.bulk(if call.len() == 2 { call.arg(1) } else { b"" });
        }
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
    session.select(call.database(1)?);
    reply.ok();
    Ok(Next::Continue)
}

/// `AUTH [username] password` -> OK.
fn auth(session: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    let (user, password) = match call.len() {
        2 if call.server.config.requirepass().is_empty() => {
            return Err(Error::Other(
                "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
                 configuration is correct?",
            ));
        }
        2 => (USER.as_bytes(), call.arg(1)),
        3 => (call.arg(1), call.arg(2)),
        _ => return Err(Error::Syntax),
    };
    log_in(session, call.server, user, password)?;
    reply.ok();
    Ok(Next::Continue)
}

/// HELLO [protocol [AUTH username password] [SETNAME name]] -> a map about the server.
///
/// Everything is checked before anything is changed.
fn hello(session: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    let resp = match call.len() {
        1 => session.resp,
        _ => match parse_i64(call.arg(1)) {
            None => return Err(Error::Other("ERR Protocol version is not an integer or out of range")),
            Some(2) => Resp::V2,
            Some(3) => Resp::V3,
            Some(_) => return Err(Error::Other("NOPROTO unsupported protocol version")),
        },
    };
    let (mut login, mut name) = (None, None);
    let mut i = 2;
    while i < call.len() {
        if call.is(i, "auth") && i + 2 < call.len() {
            login = Some((call.arg(i + 1), call.arg(i + 2)));
            i += 3;
        } else if call.is(i, "setname") && i + 1 < call.len() {
            name = Some(client::name(call.arg(i + 1))?);
            i += 2;
        } else {
            reply.error([b"ERR Syntax error in HELLO option '", call.arg(i), b"'"].concat());
            return Ok(Next::Continue);
        }
    }
    if let Some((user, password)) = login {
        log_in(session, call.server, user, password)?;
    }
    if session.must_log_in(call.server) {
        return Err(Error::Other(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> \
             option can be used to authenticate the client and select the RESP protocol version at the same time",
        ));
    }
    if let Some(name) = name {
        session.client.set_name(name);
    }
    session.set_resp(resp);
    reply.set_resp(resp);
    reply.map(7);
    reply.bulk(b"server");
    reply.bulk(b"redis");
    reply.bulk(b"version");
    reply.bulk(call.server.config.compat_version().as_bytes());
    reply.bulk(b"proto");
    reply.integer(if resp == Resp::V3 { 3 } else { 2 });
    reply.bulk(b"id");
    reply.integer(session.client.id as i64);
    reply.bulk(b"mode");
    reply.bulk(b"standalone");
    reply.bulk(b"role");
    reply.bulk(b"master");
    reply.bulk(b"modules");
    reply.array(0);
    Ok(Next::Continue)
}

/// The only user that there is.
pub(super) const USER: &str = "default";

/// Logs the client in; one that was logged in stays so when it fails.
fn log_in(session: &mut Session, server: &Server, user: &[u8], password: &[u8]) -> Result<(), Error> {
    let expected = server.config.requirepass();
    // Both are looked at in every case, so that the time tells nothing.
    let is_user = user == USER.as_bytes();
    let is_password = expected.is_empty() | is_same_secret(expected.as_bytes(), password);
    if !(is_user & is_password) {
        tracing::debug!(client = session.client.addr, "a login failed");
        return Err(WRONG_PASS);
    }
    session.is_authenticated = true;
    Ok(())
}

/// Whether a secret was given. The time depends on the length of what was given, but not on how much of it is right.
fn is_same_secret(secret: &[u8], given: &[u8]) -> bool {
    // Hashing under a key that nobody knows gives both the same length; 128 bits do not collide by chance.
    let random = RandomState::new();
    let key = (random.hash_one(0), random.hash_one(1));
    let digest = |bytes| {
        let mut hasher = SipHasher24::new_with_keys(key.0, key.1);
        std::hash::Hasher::write(&mut hasher, bytes);
        hasher.finish128().as_bytes()
    };
    digest(secret).ct_eq(&digest(given)).into()
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_secret_is_the_secret() {
        assert!(is_same_secret(b"secret", b"secret"));
        for wrong in [&b""[..], b"s", b"secre", b"secret2", b"secret\0", b"Secret", b"terces"] {
            assert!(!is_same_secret(b"secret", wrong), "{wrong:?}");
        }
    }
}
