//! Connections that die in one of three ways, and what is known of their last request then.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::stage::{Phase, Stage};
use crate::support::Value;
use crate::support::client::encode;
use crate::support::server::PATIENCE;

/// A connection that tells silence from the end.
pub struct Link {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were parsed.
    used: usize,
}

/// What was heard.
#[derive(Debug, PartialEq)]
pub enum Heard {
    Value(Value),
    Silence,
    /// The connection is over.
    End,
}

impl Link {
    /// # Panics
    /// If the server does not accept connections.
    pub fn connect(stage: &Stage) -> Self {
        let stream = TcpStream::connect(stage.address).expect("the server accepts connections");
        stream.set_nodelay(true).expect("TCP allows it");
        Self { stream, buffer: Vec::new(), used: 0 }
    }

    /// Sends bytes. A server that has hung up is noticed by who reads.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    pub fn request(&mut self, words: &[impl AsRef<[u8]>]) {
        self.send(&encode(words));
    }

    /// Reads one value, waiting for it no longer than `patience`.
    pub fn read(&mut self, patience: Duration) -> Heard {
        let until = Instant::now() + patience;
        loop {
            let rest = &self.buffer[self.used..];
            if let Some((value, used)) = (!rest.is_empty()).then(|| Value::parse(rest)).flatten() {
                self.used += used;
                return Heard::Value(value);
            }
            self.buffer.drain(..self.used);
            self.used = 0;
            let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.stream.set_read_timeout(Some(left)).expect("not zero");
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Heard::End,
                Ok(len) => self.buffer.extend_from_slice(&chunk[..len]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if Instant::now() >= until {
                        return Heard::Silence;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // What had arrived before the reset was read before.
                Err(_) => return Heard::End,
            }
        }
    }

    /// Whether the connection ended in the middle of a value.
    pub fn is_torn(&self) -> bool {
        self.buffer.len() > self.used
    }

    /// Ends the sending direction only.
    pub fn finish_sending(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Ends the connection, with a reset or in an orderly way, whatever may be on its way.
    pub fn hang_up(self, by_reset: bool) {
        if by_reset {
            let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        }
    }
}

/// How a connection ends on its own account. Besides, anybody may be killed at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// Its sending direction ends, and it reads to the end: what the server has done for it is known.
    HalfClose,
    /// It is gone with a request under way: what became of that is not known.
    Vanish,
}

/// What became of a request.
#[derive(Debug)]
pub enum Answer {
    Reply(Value),
    /// The connection was read to its end and there was no reply: nothing was done.
    Nothing,
    /// Nobody knows.
    Unknown,
}

impl Answer {
    /// The reply, when there is one.
    pub fn reply(self) -> Option<Value> {
        match self {
            Self::Reply(value) => Some(value),
            _ => None,
        }
    }

    pub fn succeeded(self) -> bool {
        matches!(self, Self::Reply(value) if !value.is_error() && value != Value::Nil)
    }
}

/// A connection from its beginning to its death.
pub struct Life<'a> {
    link: Option<Link>,
    stage: &'a Stage,
    pub random: fastrand::Rng,
    /// Requests that are left, the last of which it does not survive; for those who live for ever, many.
    left: u32,
    death: Death,
    /// At which it stops waiting for what may never come.
    retires: Phase,
    id: i64,
    /// Pushes that came between replies.
    pub pushes: VecDeque<Value>,
}

/// More requests than anybody makes.
const FOR_EVER: u32 = u32::MAX;

impl<'a> Life<'a> {
    /// A life of some length, that may be ended by others as well.
    ///
    /// * `retires`: the phase in which it ends its waits.
    pub fn begin(stage: &'a Stage, random: &mut fastrand::Rng, retires: Phase) -> Self {
        let mut random = random.fork();
        let death = if random.bool() { Death::HalfClose } else { Death::Vanish };
        let left = random.u32(5..250);
        let mut life = Self::new(stage, random, retires, death, FOR_EVER);
        // Until it has told who it is, nobody kills it.
        if let Answer::Reply(Value::Int(id)) = life.call(&["CLIENT", "ID"]) {
            life.id = id;
            stage.admit(id);
        }
        life.left = left;
        life
    }

    /// A life that nobody ends.
    pub fn immortal(stage: &'a Stage, random: &mut fastrand::Rng) -> Self {
        Self::new(stage, random.fork(), Phase::Never, Death::HalfClose, FOR_EVER)
    }

    fn new(stage: &'a Stage, random: fastrand::Rng, retires: Phase, death: Death, left: u32) -> Self {
        let link = Some(Link::connect(stage));
        Self { link, stage, random, left, death, retires, id: 0, pushes: VecDeque::new() }
    }

    /// The server's number for it.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// Whether the connection is still there, as far as it knows.
    pub fn lives(&self) -> bool {
        self.link.is_some()
    }

    /// Whether what becomes of one of the next few requests may stay unknown.
    pub fn may_vanish_within(&self, requests: u32) -> bool {
        self.death == Death::Vanish && self.left <= requests
    }

    /// Whether it is to vanish at some time.
    pub fn will_vanish(&self) -> bool {
        self.death == Death::Vanish && self.left != FOR_EVER
    }

    pub fn call(&mut self, words: &[impl AsRef<[u8]>]) -> Answer {
        self.exchange(&encode(words), 1)
    }

    /// Runs requests in a transaction; the answer is that of EXEC.
    pub fn transact(&mut self, requests: &[&[&str]]) -> Answer {
        let mut bytes = encode(&["MULTI"]);
        requests.iter().for_each(|request| bytes.extend(encode(request)));
        bytes.extend(encode(&["EXEC"]));
        self.exchange(&bytes, requests.len() + 2)
    }

    /// The next push, or any other value that nobody asked for; also `Silence` when it dies of itself.
    pub fn listen(&mut self, patience: Duration) -> Heard {
        if let Some(push) = self.pushes.pop_front() {
            return Heard::Value(push);
        }
        let Some(link) = &mut self.link else { return Heard::End };
        let heard = link.read(patience);
        if heard == Heard::End {
            self.bury();
        }
        heard
    }

    /// Sends a request without waiting for the reply.
    pub fn tell(&mut self, words: &[impl AsRef<[u8]>]) {
        if let Some(link) = &mut self.link {
            link.request(words);
        }
    }

    /// Dies in its own way, now; returns what there was to read.
    pub fn die(&mut self) -> Vec<Value> {
        let mut rest = Vec::new();
        let Some(link) = self.link.take() else { return rest };
        self.stage.dismiss(self.id);
        if self.death == Death::Vanish {
            link.hang_up(self.random.bool());
            return rest;
        }
        self.link = Some(link);
        self.read_to_end(&mut rest);
        rest
    }

    fn exchange(&mut self, bytes: &[u8], replies: usize) -> Answer {
        let Some(link) = &mut self.link else { return Answer::Nothing };
        if self.left != FOR_EVER {
            self.left -= 1;
        }
        let is_last = self.left == 0;
        link.send(bytes);
        if is_last && self.death == Death::Vanish {
            if self.random.bool() {
                std::thread::sleep(Duration::from_micros(self.random.u64(..20_000)));
            }
            self.die();
            return Answer::Unknown;
        }
        let patience = if is_last { Duration::from_micros(self.random.u64(..20_000)) } else { PATIENCE };
        self.answer(replies, patience, is_last)
    }

    /// Waits for the last of some replies.
    fn answer(&mut self, replies: usize, patience: Duration, is_last: bool) -> Answer {
        const GLANCE: Duration = Duration::from_millis(50);
        let since = Instant::now();
        let mut missing = replies;
        while let Some(link) = &mut self.link {
            match link.read(GLANCE.min(patience)) {
                Heard::Value(push @ Value::Other(b'>', _)) => self.pushes.push_back(push),
                Heard::Value(value) => {
                    missing -= 1;
                    if missing > 0 {
                        continue;
                    }
                    if is_last {
                        let rest = self.die();
                        self.pushes.extend(rest);
                    }
                    return Answer::Reply(value);
                }
                Heard::End => {
                    if link.is_torn() {
                        self.stage.complain("a connection ended in the middle of a reply".into());
                    }
                    self.bury();
                }
                Heard::Silence if is_last || self.stage.phase() >= self.retires => {
                    let mut rest = Vec::new();
                    self.read_to_end(&mut rest);
                    return self.last_of(rest, missing);
                }
                Heard::Silence if since.elapsed() > PATIENCE => {
                    self.stage.complain("no reply for too long".into());
                    self.bury();
                }
                Heard::Silence => {}
            }
        }
        Answer::Nothing
    }

    fn last_of(&mut self, rest: Vec<Value>, missing: usize) -> Answer {
        let (pushes, mut replies): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|value| matches!(value, Value::Other(b'>', _)));
        self.pushes.extend(pushes);
        if replies.len() > missing {
            self.stage.complain(format!("more replies than requests: {replies:?}"));
        }
        match replies.pop() {
            Some(reply) if replies.len() + 1 == missing => Answer::Reply(reply),
            _ => Answer::Nothing,
        }
    }

    /// Ends the sending direction and reads what is still to come.
    fn read_to_end(&mut self, rest: &mut Vec<Value>) {
        let Some(mut link) = self.link.take() else { return };
        self.stage.dismiss(self.id);
        link.finish_sending();
        let since = Instant::now();
        loop {
            match link.read(PATIENCE) {
                Heard::Value(value) => rest.push(value),
                Heard::End => return,
                Heard::Silence => {}
            }
            if since.elapsed() > PATIENCE {
                return self.stage.complain("the server does not end a connection that has ended".into());
            }
        }
    }

    fn bury(&mut self) {
        self.link = None;
        self.stage.dismiss(self.id);
    }
}

impl Drop for Life<'_> {
    fn drop(&mut self) {
        self.stage.dismiss(self.id);
    }
}
