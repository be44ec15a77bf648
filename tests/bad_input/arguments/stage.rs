//! One server, a connection that misbehaves, and others that must not notice.

use std::time::Duration;

use super::file::{Answer, File, Row};
use crate::others::{GROWTH_MAX, Others, pong_max, start};
use crate::rows::repeat;
use crate::support::client::{encode, words};
use crate::support::{Client, Peer, Server};

/// What a connection is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Plain,
    Resp3,
    Multi,
    Subscribed,
    Unauthenticated,
    /// CLIENT PAUSE WRITE: what it asks for comes after the pause.
    Paused,
}

impl State {
    pub const OTHERS: [Self; 5] = [Self::Resp3, Self::Multi, Self::Subscribed, Self::Unauthenticated, Self::Paused];

    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Resp3 => "resp3",
            Self::Multi => "multi",
            Self::Subscribed => "subscribed",
            Self::Unauthenticated => "unauthenticated",
            Self::Paused => "paused",
        }
    }

    /// What comes before the request, and how many replies it has.
    fn begin(self) -> (&'static str, usize) {
        match self {
            Self::Plain | Self::Unauthenticated | Self::Paused => ("", 0),
            Self::Resp3 => ("HELLO 3\r\n", 1),
            Self::Multi => ("MULTI\r\n", 1),
            Self::Subscribed => ("SUBSCRIBE c\r\n", 1),
        }
    }
}

/// A machine that stands still looks like a slow server, and a thread's first allocation like a large one: what fails
/// so often, does.
const ATTEMPTS: usize = 8;

pub struct Stage {
    /// One that asks for no password, and one that does.
    servers: [Server; 2],
    /// A connection to each of them.
    clients: [Client; 2],
    others: Others,
    /// Removes every key that a case may leave behind.
    clear: Vec<u8>,
    data: Vec<(String, Vec<u8>)>,
    cases: usize,
}

impl Stage {
    pub fn new(peer: Peer, file: &File) -> Self {
        // No string becomes long.
        let start = |password| start(peer, &["--proto-max-bulk-len", "1mb", "--requirepass", password]);
        let servers = [start(""), start("secret")];
        // The numbers of these are in the file, where they stand for clients that are not there.
        for _ in 0..3 {
            servers[0].client().check("PING", "+PONG\r\n");
        }
        let clients = [servers[0].client(), servers[1].client()];
        let others = Others::of(&servers[0], "");
        let data: Vec<(String, Vec<Vec<u8>>)> =
            file.data.iter().map(|(key, line)| (key.clone(), words(&repeat(line)))).collect();
        let made = data.iter().filter(|(_, words)| !words[0].starts_with(b"X")).map(|(_, words)| words[1].clone());
        let clear = words("DEL x a b c d none").into_iter().chain(made);
        let clear = encode(&clear.collect::<Vec<_>>());
        let data = data.into_iter().map(|(key, words)| (key, encode(&words))).collect();
        Self { clear, clients, others, servers, data, cases: 0 }
    }

    pub fn peer(&self) -> Peer {
        self.servers[0].peer
    }

    /// The first line of the answer to a request.
    pub fn ask(&mut self, row: &Row, value: &str) -> Answer {
        self.prepare(row);
        self.clients[0].send(encode(&row.request(value)));
        let reply = self.clients[0].read_many(1).pop();
        self.finish(row, State::Plain, reply.is_none());
        row.answer(reply.as_deref())
    }

    /// Runs a case; tells what was wrong, if anything was.
    pub fn check(&mut self, row: &Row, value: &str, expected: &Answer, state: State) -> Option<String> {
        let mut wrong = None;
        for _ in 0..ATTEMPTS {
            wrong = self.attempt(row, value, expected, state);
            match &wrong {
                Some(Wrong::Slow(_) | Wrong::Large(_)) => {}
                _ => break,
            }
        }
        wrong.map(|wrong| format!("{} with {value}, {state:?}: {}", row.text, wrong.text(expected)))
    }

    fn attempt(&mut self, row: &Row, value: &str, expected: &Answer, state: State) -> Option<Wrong> {
        let is_redis = self.peer() == Peer::Redis;
        let which = usize::from(state == State::Unauthenticated);
        if which == 0 {
            self.prepare(row);
        }
        let (begin, replies) = state.begin();
        self.clients[which].send(begin);
        self.clients[which].read_many(replies);
        if state == State::Paused {
            self.others.watcher().check("CLIENT PAUSE 1000000 WRITE", "+OK\r\n");
        }
        let server = &self.servers[which];
        let before = if is_redis { 0 } else { server.forget_resident_bytes_max() };
        let client = &mut self.clients[which];
        // A server that closes the connection may do so on the way.
        let _ = client.try_send(encode(&row.request(value)));
        if state == State::Multi {
            let _ = client.try_send("EXEC\r\n");
        }
        let mut slowest = Duration::ZERO;
        loop {
            slowest = slowest.max(self.others.pong());
            if state == State::Paused || client.has_arrived() {
                break;
            }
        }
        if state == State::Paused {
            self.others.watcher().check("CLIENT UNPAUSE", "+OK\r\n");
        }
        let found = reply(client, state);
        let grown = if is_redis { 0 } else { server.resident_bytes_max().saturating_sub(before) };
        self.finish(row, state, found.is_none());
        if !is_expected(row, found.as_deref(), expected, state) {
            let found = found.map_or("closed".into(), |reply| reply[..reply.len().min(300)].escape_ascii().to_string());
            return Some(Wrong::Reply(found));
        }
        match () {
            () if is_redis => None,
            () if slowest > pong_max() => Some(Wrong::Slow(slowest)),
            () if grown > GROWTH_MAX => Some(Wrong::Large(grown)),
            () => None,
        }
    }

    /// Makes the keys that a row needs, and no others.
    fn prepare(&mut self, row: &Row) {
        let mut input = self.clear.clone();
        let mut replies = 1;
        for (_, request) in self.data.iter().filter(|(key, _)| row.needs(key)) {
            input.extend_from_slice(request);
            replies += 1;
        }
        self.clients[0].send(input);
        let found = self.clients[0].read_many(replies);
        let is_made = found.len() == replies && found.iter().all(|reply| reply[0] != b'-');
        assert!(is_made, "{}: {found:?}", row.text);
    }

    /// Checks that the connection is in step, and leaves it as a new one; or makes a new one.
    fn finish(&mut self, row: &Row, state: State, is_closed: bool) {
        let which = usize::from(state == State::Unauthenticated);
        if is_closed {
            self.clients[which].expect_closed();
            self.clients[which] = self.servers[which].client();
        } else if which == 0 {
            self.cases += 1;
            let nonce = format!("nonce-{}", self.cases);
            self.clients[0].send(format!("RESET\r\nECHO {nonce}\r\n"));
            self.clients[0].expect(format!("+RESET\r\n${}\r\n{nonce}\r\n", nonce.len()));
        } else {
            self.clients[1].check("ECHO x", "-NOAUTH Authentication required.\r\n");
        }
        if let Some(then) = &row.then {
            self.clients[0].call(then);
        }
    }
}

/// What was wrong with a case.
enum Wrong {
    Reply(String),
    Slow(Duration),
    Large(u64),
}

impl Wrong {
    fn text(&self, expected: &Answer) -> String {
        match self {
            Self::Reply(found) => format!("expected {expected}, found {found}"),
            Self::Slow(time) => format!("another connection waited {time:?} longer than one of an idle server"),
            Self::Large(bytes) => format!("the server grew by {bytes} bytes"),
        }
    }
}

/// The reply to the request alone; nothing when the connection is closed.
fn reply(client: &mut Client, state: State) -> Option<Vec<u8>> {
    if state != State::Multi {
        return client.read_many(1).pop();
    }
    let mut replies = client.read_many(2).into_iter();
    let (queued, executed) = (replies.next()?, replies.next()?);
    let is_queued = queued == b"+QUEUED\r\n";
    // What is refused while it is queued is looked at itself.
    Some(if is_queued { executed.strip_prefix(b"*1\r\n").unwrap_or(&executed).to_vec() } else { queued })
}

fn is_expected(row: &Row, found: Option<&[u8]>, expected: &Answer, state: State) -> bool {
    let begins = |text: &[u8]| found.is_some_and(|found| found.starts_with(text));
    match (state, expected) {
        (State::Subscribed, _) => begins(b"-ERR Can't execute '"),
        (State::Unauthenticated, _) => begins(b"-NOAUTH "),
        // Other types, of the same meaning.
        (State::Resp3, Answer::Begins(line)) if !line.starts_with('-') => found.is_some() && !begins(b"-"),
        _ => row.answer(found) == *expected,
    }
}
