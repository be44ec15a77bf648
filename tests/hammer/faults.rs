//! The proof that losses are seen: a proxy between the clients and the server that does wrong now and then.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::account::{Kind, report};
use crate::record::QUEUES;
use crate::support::{Peer, Value};
use crate::{ROUND, stage, start};

/// What goes wrong, now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Of what is pushed the last element is forgotten, or kept twice.
    ForgetElement,
    DoubleElement,
    /// What is taken from a queue gets lost on its way.
    LosePop,
    LoseEntry,
    DoubleEntry,
    LoseMessage,
    DoubleMessage,
    SwapMessages,
    InventMessage,
    LoseEvent,
    DoubleEvent,
    LoseInvalidation,
}

/// A fault happens once in so many times. Most lost invalidations do no harm, since another one follows.
fn rarity(fault: Fault) -> u64 {
    if fault == Fault::LoseInvalidation { 50 } else { 1000 }
}

/// What is reported then: the kind, and a part of the text.
fn symptom(fault: Fault) -> (Kind, &'static str) {
    match fault {
        Fault::ForgetElement | Fault::LosePop => (Kind::Lost, "clients that vanished took"),
        Fault::DoubleElement => (Kind::Twice, "element "),
        Fault::LoseEntry => (Kind::Lost, "reader "),
        Fault::DoubleEntry => (Kind::Twice, "reader "),
        Fault::LoseMessage => (Kind::Lost, " did not get "),
        Fault::DoubleMessage => (Kind::Twice, " messages, "),
        Fault::SwapMessages => (Kind::OutOfOrder, "message "),
        Fault::InventMessage => (Kind::Invented, " got "),
        Fault::LoseEvent => (Kind::Lost, " events of "),
        Fault::DoubleEvent => (Kind::Twice, " events of "),
        Fault::LoseInvalidation => (Kind::Stale, " keeps "),
    }
}

/// Faults that do not hide each other.
const SOME: &[Fault] = &[
    Fault::ForgetElement,
    Fault::LoseMessage,
    Fault::SwapMessages,
    Fault::DoubleEntry,
    Fault::DoubleEvent,
    Fault::LoseInvalidation,
];
const OTHERS: &[Fault] = &[
    Fault::DoubleElement,
    Fault::LosePop,
    Fault::DoubleMessage,
    Fault::InventMessage,
    Fault::LoseEntry,
    Fault::LoseEvent,
];

/// Hammers a server through the proxy until each fault has been reported.
fn prove(faults: &'static [Fault]) {
    const MOST: Duration = Duration::from_secs(180);
    let server = start(Peer::Sharded);
    let address = proxy(server.address, faults);
    let seed = fastrand::u64(..);
    let mut missing = faults.to_vec();
    let since = Instant::now();
    let mut round = 0;
    while !missing.is_empty() {
        let (findings, _) = stage::round(address, seed.wrapping_add(round), ROUND);
        missing.retain(|&fault| {
            let (kind, text) = symptom(fault);
            !findings.iter().any(|finding| finding.kind == kind && finding.text.contains(text))
        });
        assert!(since.elapsed() < MOST, "seed {seed}: not reported: {missing:?}\n{}", report(&findings));
        round += 1;
    }
}

#[test]
fn what_gets_lost_or_doubled_on_the_way_is_reported() {
    prove(SOME);
}

#[test]
fn what_gets_lost_or_doubled_on_the_way_in_other_ways_is_reported() {
    prove(OTHERS);
}

#[test]
fn an_honest_proxy_is_not_accused() {
    let server = start(Peer::Channel);
    let seed = fastrand::u64(..);
    let (findings, _) = stage::round(proxy(server.address, &[]), seed, ROUND / 2);
    assert!(findings.is_empty(), "seed {seed}: {}", report(&findings));
}

/// What all connections share.
struct Proxy {
    faults: &'static [Fault],
    /// How many times each of them could have happened.
    chances: [AtomicU64; 12],
}

/// Starts a proxy, which lasts as long as the process.
fn proxy(server: SocketAddr, faults: &'static [Fault]) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("the loopback interface has free ports");
    let address = listener.local_addr().expect("bound");
    let proxy = Arc::new(Proxy { faults, chances: Default::default() });
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(server) else { return };
            for stream in [&client, &server] {
                stream.set_nodelay(true).expect("TCP allows it");
            }
            let (client_2, server_2) = (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
            let (requests, replies) = (Arc::clone(&proxy), Arc::clone(&proxy));
            std::thread::spawn(move || pass(client_2, server_2, |value| requests.request(value)));
            std::thread::spawn(move || {
                let mut held = None;
                pass(server, client, |value| replies.reply(value, &mut held));
            });
        }
    });
    address
}

/// Passes values on, as `change` wants them, to the end.
fn pass(mut from: TcpStream, mut to: TcpStream, mut change: impl FnMut(Value) -> Vec<Value>) {
    let mut buffer = Vec::new();
    let mut chunk = [0; 16 * 1024];
    while let Ok(len @ 1..) = from.read(&mut chunk) {
        buffer.extend_from_slice(&chunk[..len]);
        let (mut used, mut out) = (0, Vec::new());
        while let Some((value, len)) = (used < buffer.len()).then(|| Value::parse(&buffer[used..])).flatten() {
            let before = value.clone();
            let values = change(value);
            // What is not changed is passed on to the letter.
            if values == [before] {
                out.extend_from_slice(&buffer[used..used + len]);
            } else {
                values.iter().for_each(|value| write(value, &mut out));
            }
            used += len;
        }
        buffer.drain(..used);
        if to.write_all(&out).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}

/// A message that is to come behind the next one of its publisher.
type Held = Option<(String, Value)>;

impl Proxy {
    fn happens(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
            && self.chances[fault as usize].fetch_add(1, Ordering::Relaxed) % rarity(fault) == rarity(fault) / 2
    }

    fn request(&self, value: Value) -> Vec<Value> {
        let Value::Array(mut words) = value else { return vec![value] };
        let is_push = matches!(words[0].text().as_str(), "RPUSH" | "LPUSH") && words[1].text().starts_with("q:");
        if is_push && words.len() > 3 && self.happens(Fault::ForgetElement) {
            words.pop();
        }
        if is_push && self.happens(Fault::DoubleElement) {
            words.extend(words.last().cloned());
        }
        vec![Value::Array(words)]
    }

    fn reply(&self, value: Value, held: &mut Held) -> Vec<Value> {
        let (Value::Array(items) | Value::Other(_, items)) = &value else { return vec![value] };
        let text = |item: Option<&Value>| match item {
            Some(Value::Bulk(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        };
        let (kind, name) = (text(items.first()), text(items.get(1)));
        if QUEUES.contains(&kind.as_str()) && self.happens(Fault::LosePop) {
            return vec![Value::Nil];
        }
        if kind == "invalidate" || kind == "message" && name == "__redis__:invalidate" {
            return if self.happens(Fault::LoseInvalidation) { vec![] } else { vec![value] };
        }
        let is_message = kind.ends_with("message") && items.len() > 2;
        if is_message && name.starts_with("__keyspace") {
            return match text(items.last()).as_str() {
                "incrby" if self.happens(Fault::LoseEvent) => vec![],
                "incrby" if self.happens(Fault::DoubleEvent) => vec![value.clone(), value],
                _ => vec![value],
            };
        }
        if is_message && (name.starts_with("p:") || name.starts_with("s:")) {
            return self.message(value, held);
        }
        self.entries(value)
    }

    fn message(&self, value: Value, held: &mut Held) -> Vec<Value> {
        let text = value.elements().last().expect("never empty").text();
        let publisher = text.split('.').next().unwrap_or_default().to_owned();
        if self.happens(Fault::LoseMessage) {
            return vec![];
        }
        if self.happens(Fault::DoubleMessage) {
            return vec![value.clone(), value];
        }
        if self.happens(Fault::InventMessage) {
            let (Value::Array(mut items) | Value::Other(_, mut items)) = value.clone() else { return vec![value] };
            *items.last_mut().expect("never empty") = Value::Bulk(format!("{publisher}.999999").into_bytes());
            return vec![if matches!(value, Value::Array(_)) {
                Value::Array(items)
            } else {
                Value::Other(b'>', items)
            }];
        }
        if held.as_ref().is_some_and(|(of, _)| *of == publisher) {
            return std::iter::once(value).chain(held.take().map(|(_, value)| value)).collect();
        }
        if held.is_none() && self.happens(Fault::SwapMessages) {
            *held = Some((publisher, value));
            return vec![];
        }
        vec![value]
    }

    /// What XREAD answers: streams with their entries.
    fn entries(&self, value: Value) -> Vec<Value> {
        let Value::Array(mut streams) = value else { return vec![value] };
        if let Some(Value::Array(stream)) = streams.first_mut()
            && let [Value::Bulk(name), Value::Array(entries)] = stream.as_mut_slice()
            && name.starts_with(b"x:")
            && !entries.is_empty()
        {
            if entries.len() > 1 && self.happens(Fault::LoseEntry) {
                entries.remove(0);
            }
            if self.happens(Fault::DoubleEntry) {
                entries.insert(0, entries[0].clone());
            }
        }
        vec![Value::Array(streams)]
    }
}

/// Writes a value as a server does.
fn write(value: &Value, out: &mut Vec<u8>) {
    let mut many = |kind: char, items: &[Value]| {
        out.extend(format!("{kind}{}\r\n", items.len()).into_bytes());
        items.iter().for_each(|item| write(item, out));
    };
    match value {
        Value::Array(items) => many('*', items),
        Value::Other(kind, items) => many(*kind as char, items),
        Value::Nil => out.extend(b"*-1\r\n"),
        Value::Int(int) => out.extend(format!(":{int}\r\n").into_bytes()),
        Value::Bulk(bytes) => {
            out.extend(format!("${}\r\n", bytes.len()).into_bytes());
            out.extend(bytes);
            out.extend(b"\r\n");
        }
        other => unreachable!("never changed: {other:?}"),
    }
}
