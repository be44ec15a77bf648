//! Whatever a connection may be in the middle of, in every order of two and in random sequences, with every kind of
//! end: both engines and redis-server 7.0 answer alike and hold the same data afterwards.

use std::collections::BTreeSet;
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use crate::others::{GROWTH_MAX, Others, start};
use crate::support::server::PATIENCE;
use crate::support::{Client, Peer, Server, Value, each_engine};

/// Commands that change what a connection is, or depend on it. `SELF` is the connection's own address.
const STEPS: &[&str] = &[
    "MULTI",
    "EXEC",
    "DISCARD",
    "WATCH k",
    "UNWATCH",
    "SUBSCRIBE c",
    "UNSUBSCRIBE",
    "PSUBSCRIBE c*",
    "PUNSUBSCRIBE",
    "SSUBSCRIBE c",
    "SUNSUBSCRIBE",
    "PUBLISH c m",
    "SPUBLISH c m",
    "RESET",
    "HELLO 2",
    "HELLO 3",
    "SELECT 1",
    "CLIENT KILL ADDR SELF SKIPME no",
    "CLIENT REPLY OFF",
    "CLIENT REPLY SKIP",
    "CLIENT REPLY ON",
    "CLIENT TRACKING ON",
    "CLIENT TRACKING ON BCAST",
    "CLIENT TRACKING OFF",
    "CLIENT CACHING YES",
    "MONITOR",
    "BLPOP l 0.01",
    "BLMOVE l l2 LEFT RIGHT 0.01",
    "BZPOPMIN z 0.01",
    "XREAD BLOCK 10 STREAMS x $",
    "XREAD BLOCK 10 STREAMS x 0",
    "QUIT",
    "CLIENT UNBLOCK 999999999",
    "CLIENT PAUSE 5 ALL",
    "CLIENT PAUSE 5 WRITE",
    "CLIENT UNPAUSE",
    "FLUSHALL",
    "SWAPDB 0 1",
    "RPUSH l a",
    "SET k v",
    "GET k",
    "GET",
    "PING",
    "XADD x * f v",
];

/// How a connection ends after its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Quit,
    HalfClose,
    /// A reset, when everything has been answered that is answered.
    Reset,
}

/// Much longer than any of the waits.
const SILENCE: Duration = Duration::from_millis(500);

impl End {
    /// The same, or one that all servers have: 7.0 does not end the connection of a muted client that says QUIT, and
    /// one who leaves with QUIT does not hear of the changes of that turn of its loop.
    fn of(self, steps: &[&str]) -> Self {
        let is_other = |step: &&str| step.starts_with("CLIENT REPLY") || *step == "CLIENT TRACKING ON BCAST";
        if self == Self::Quit && steps.iter().any(is_other) { Self::HalfClose } else { self }
    }
}

/// What there was to see.
#[derive(Debug, PartialEq)]
struct Seen {
    /// Whether the server ended the connection.
    is_over: bool,
    replies: Vec<Value>,
    /// Messages, and what MONITOR shows. Where they come among the replies of one write is not compared.
    news: Vec<Value>,
    data: Vec<Value>,
}

/// A server with a connection that looks on.
struct Stage {
    server: Server,
    watcher: Client,
    /// Who says nothing for so long will not say more.
    silence: Duration,
}

impl Stage {
    fn new(peer: Peer, silence: Duration) -> Self {
        let server = peer.start_small();
        let watcher = server.client();
        Self { server, watcher, silence }
    }

    /// Runs steps on a new connection, sent in one write.
    fn run(&mut self, steps: &[&str], end: End) -> Seen {
        self.watcher.check("CLIENT UNPAUSE", "+OK\r\n");
        self.watcher.check("FLUSHALL", "+OK\r\n");
        let mut client = self.server.client();
        let own = client.local_addr().to_string();
        let mut input = steps.join("\r\n").replace("SELF", &own) + "\r\n";
        if end == End::Quit {
            input += "QUIT\r\n";
        }
        client.send(input);
        let (bytes, is_over) = match end {
            End::Quit | End::HalfClose => {
                if end == End::HalfClose {
                    client.finish_sending();
                }
                let read = client.read_until_silence(self.silence);
                drop(client);
                read
            }
            End::Reset => {
                // Nothing waits for longer, as nobody else does anything.
                self.wait_until_idle(&own);
                client.reset();
                (Vec::new(), true)
            }
        };
        let (mut replies, mut news) = (Vec::new(), Vec::new());
        let mut at = 0;
        while at < bytes.len() {
            let Some((value, used)) = Value::parse(&bytes[at..]) else {
                panic!("{steps:?} {end:?} ends in the middle of a reply: {}", bytes.escape_ascii())
            };
            at += used;
            match plain(value, &own) {
                // 7.0 does not show it.
                (Value::Simple(shown), true) if shown.ends_with("\"QUIT\"") => {}
                (value, true) => news.push(value),
                (value, false) => replies.push(value),
            }
        }
        if steps.contains(&"CLIENT TRACKING ON BCAST") {
            news = told_together(news);
        }
        self.wait_until_gone();
        self.watcher.check("CLIENT UNPAUSE", "+OK\r\n");
        let mut data = Vec::new();
        for db in ["SELECT 1", "SELECT 0"] {
            self.watcher.call(db);
            data.extend(
                ["GET k", "LRANGE l 0 -1", "LRANGE l2 0 -1", "XLEN x"].map(|request| self.watcher.call(request)),
            );
        }
        Seen { is_over, replies, news, data }
    }

    /// Waits until a connection has nothing to do, or is gone.
    fn wait_until_idle(&mut self, own: &str) {
        let since = Instant::now();
        // Longer than any of the waits.
        const QUIET: Duration = Duration::from_millis(50);
        let (mut last, mut quiet, mut enough) = (String::new(), Instant::now(), self.silence);
        while quiet.elapsed() < enough {
            let list = self.watcher.call("CLIENT LIST").text();
            let line = list.lines().find(|line| line.contains(own)).unwrap_or_default();
            let fields = |name: &str| line.split(' ').find(|it| it.starts_with(name)).unwrap_or_default().to_owned();
            let now = ["flags=", "cmd=", "qbuf=", "tot-net-out="].map(fields).concat();
            if now != last || now.contains("flags=b") {
                (last, quiet) = (now, Instant::now());
            }
            // It may be gone, or not have begun.
            enough = if line.is_empty() || line.contains("cmd=NULL") { self.silence } else { QUIET };
            assert!(since.elapsed() < PATIENCE, "never idle: {line}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn wait_until_gone(&mut self) {
        let since = Instant::now();
        while !self.watcher.call("INFO clients").text().contains("connected_clients:1\r\n") {
            assert!(since.elapsed() < PATIENCE, "a connection is left: {:?}", self.watcher.call("CLIENT LIST"));
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A value without what differs between servers and times, and whether it is news instead of a reply.
fn plain(value: Value, own: &str) -> (Value, bool) {
    match &value {
        Value::Simple(text) if text.starts_with(|letter: char| letter.is_ascii_digit()) && text.contains('"') => {
            let shown = text.split_once(' ').expect("a time comes first").1;
            (Value::Simple(shown.replace(own, "SELF")), true)
        }
        Value::Array(items) | Value::Other(_, items) => match items.first() {
            Some(Value::Bulk(kind))
                if [b"message".as_slice(), b"pmessage", b"smessage", b"invalidate"].contains(&kind.as_slice()) =>
            {
                (value, true)
            }
            _ => (without_ids(value), false),
        },
        _ => (without_ids(value), false),
    }
}

/// News with all keys that changed in one last message, each once: redis-server tells of those of one turn of its loop
/// at once.
fn told_together(news: Vec<Value>) -> Vec<Value> {
    let mut names = BTreeSet::new();
    let mut rest: Vec<Value> = Vec::new();
    for value in news {
        match value {
            Value::Other(b'>', items) if matches!(&items[..], [Value::Bulk(kind), Value::Array(_)] if kind == b"invalidate") =>
            {
                let keys =
                    items.into_iter().flat_map(|item| if let Value::Array(keys) = item { keys } else { Vec::new() });
                names
                    .extend(keys.map(|key| if let Value::Bulk(name) = key { name } else { panic!("no key: {key:?}") }));
            }
            other => rest.push(other),
        }
    }
    rest.push(Value::Array(names.into_iter().map(Value::Bulk).collect()));
    rest
}

/// Replaces the reply of HELLO and IDs of entries, wherever they are.
fn without_ids(value: Value) -> Value {
    let is_server = |value: &Value| *value == Value::Bulk(b"server".to_vec());
    match value {
        Value::Array(items) if items.first().is_some_and(is_server) => Value::Simple("hello in RESP2".into()),
        Value::Map(pairs) if pairs.first().is_some_and(|(name, _)| is_server(name)) => {
            Value::Simple("hello in RESP3".into())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_ids).collect()),
        Value::Map(pairs) => {
            Value::Map(pairs.into_iter().map(|(name, value)| (without_ids(name), without_ids(value))).collect())
        }
        Value::Bulk(bytes) if bytes.len() > 13 && bytes[..13].iter().all(u8::is_ascii_digit) => {
            Value::Simple("an ID".into())
        }
        other => other,
    }
}

/// Whether redis-server has an answer of its own to such steps; see `docs/differences.md`.
fn differs_on_purpose(steps: &[&str], end: End) -> bool {
    let before = |first: &str, second: &str| {
        let first = steps.iter().position(|step| step.starts_with(first));
        first.is_some_and(|first| steps[first..].iter().any(|step| step.starts_with(second)))
    };
    // Redis tells of all changes of one turn of its loop at once, unless the client has gone, in what it speaks by
    // then.
    let broadcasts = |step: &str| before("CLIENT TRACKING ON BCAST", step);
    if ["RESET", "CLIENT TRACKING OFF", "HELLO 3"].into_iter().any(broadcasts) {
        return true;
    }
    let changes = ["RPUSH", "SET", "XADD", "BLPOP", "BLMOVE", "FLUSHALL", "SWAPDB", "EXEC"];
    let leaves = |change: &str| before(change, "QUIT") || before(change, "CLIENT KILL");
    if changes.into_iter().any(|change| broadcasts(change) && leaves(change)) {
        return true;
    }
    // Redis does not tell those who keep copies that all of them are of another database.
    if before("CLIENT TRACKING ON", "SWAPDB") && before("HELLO 3", "SWAPDB") {
        return true;
    }
    // Pushes come after the batch, and a client that speaks RESP2 by then gets none.
    if before("CLIENT TRACKING ON", "HELLO 2") && before("HELLO 3", "HELLO 2") {
        return true;
    }
    // For the same reason a message to oneself is in RESP2 by then. And Redis writes one into EXEC's array, which has
    // announced fewer elements.
    let tells_itself = |from: &str, to: &str| {
        let pairs = [("SUBSCRIBE", "PUBLISH"), ("PSUBSCRIBE", "PUBLISH"), ("SSUBSCRIBE", "SPUBLISH")];
        let is_within =
            |(subscribe, publish)| before(subscribe, publish) && before(from, publish) && before(publish, to);
        before(from, to) && pairs.into_iter().any(is_within)
    };
    if tells_itself("HELLO 3", "HELLO 2") || tells_itself("MULTI", "EXEC") {
        return true;
    }
    // What MONITOR shows is muted a batch at a time.
    if (before("MONITOR", "CLIENT REPLY") || before("CLIENT REPLY", "MONITOR")) && steps.len() > 2 {
        return true;
    }
    // What a client has sent runs after a pause, though it sends no more; Redis drops it.
    if end != End::Quit && steps.iter().any(|step| step.starts_with("CLIENT PAUSE")) {
        return true;
    }
    // It is refused while queueing; and 7.0 does not end the connection of a muted client that says QUIT.
    before("MULTI", "CLIENT REPLY") || before("CLIENT REPLY", "QUIT") || before("MULTI", "CLIENT KILL")
}

/// Steps, and how their connection ends.
type Sequence = (Vec<&'static str>, End);

/// Servers of a kind that work on the sequences at the same time.
const STAGES: usize = 3;

/// Runs the same sequences on all servers, and compares.
fn compare(sequences: &[Sequence], seed: u64) {
    let mut peers = Peer::ENGINES.to_vec();
    if Peer::has_redis() {
        peers.push(Peer::Redis);
    }
    let see = |sequences: &[&Sequence], silence: Duration| -> Vec<Vec<Seen>> {
        // Most of the time they wait.
        let part = sequences.len().div_ceil(STAGES).max(1);
        std::thread::scope(|scope| {
            let run = |peer: Peer, sequences: &[&Sequence]| -> Vec<Seen> {
                let mut stage = Stage::new(peer, silence);
                sequences.iter().map(|(steps, end)| stage.run(steps, *end)).collect()
            };
            let workers: Vec<Vec<_>> = peers
                .iter()
                .map(|&peer| sequences.chunks(part).map(|part| scope.spawn(move || run(peer, part))).collect())
                .collect();
            let join = |workers: Vec<ScopedJoinHandle<'_, Vec<Seen>>>| {
                workers.into_iter().flat_map(|worker| worker.join().expect("see above")).collect()
            };
            workers.into_iter().map(join).collect()
        })
    };
    let mut suspects: Vec<&Sequence> =
        sequences.iter().filter(|(steps, end)| !differs_on_purpose(steps, *end)).collect();
    let mut differences = Vec::new();
    // On a busy machine a server may be silent for longer than was waited: what differs has to do so again, in peace.
    for silence in [SILENCE, 5 * SILENCE, 5 * SILENCE] {
        let seen = see(&suspects, silence);
        differences.clear();
        let mut next = Vec::new();
        for (number, suspect) in suspects.iter().enumerate() {
            if seen.iter().any(|one| one[number] != seen[0][number]) {
                let each: String =
                    peers.iter().zip(&seen).map(|(peer, one)| format!("\n  {peer:?}: {:?}", one[number])).collect();
                differences.push(format!("{:?} {:?}{each}", suspect.0, suspect.1));
                next.push(*suspect);
            }
        }
        suspects = next;
        if suspects.is_empty() {
            break;
        }
    }
    let shown = differences.iter().take(10).cloned().collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "seed {seed}: {} differences\n{shown}", differences.len());
}

#[test]
fn two_steps_in_both_orders_answer_alike() {
    let mut sequences = Vec::new();
    for first in STEPS {
        for second in STEPS {
            for end in [End::Quit, End::HalfClose] {
                let steps = vec![*first, *second];
                let end = end.of(&steps);
                sequences.push((steps, end));
            }
        }
    }
    compare(&sequences, 0);
}

#[test]
fn random_sequences_answer_alike() {
    let seed = std::env::var("KIBA_SEQUENCES_SEED").ok().and_then(|text| text.parse().ok());
    let count = std::env::var("KIBA_SEQUENCES").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    let mut random = fastrand::Rng::with_seed(seed);
    let sequences: Vec<_> = (0..count.unwrap_or(400))
        .map(|_| {
            let steps: Vec<_> = (0..random.usize(3..=8)).map(|_| STEPS[random.usize(..STEPS.len())]).collect();
            let end = [End::Quit, End::Quit, End::HalfClose, End::Reset][random.usize(..4)].of(&steps);
            (steps, end)
        })
        .collect();
    compare(&sequences, seed);
}

each_engine! {
    /// A pause is for others as well.
    fn others_notice_nothing_of_two_steps(peer) {
        let server = start(peer, &["--shards", "16"]);
        let mut others = Others::of(&server, "");
        let steps = || STEPS.iter().filter(|step| !step.starts_with("CLIENT PAUSE"));
        for first in steps() {
            others.notice_nothing(&server, GROWTH_MAX, first, || {
                for second in steps() {
                    let mut client = server.client();
                    let input = format!("{first}\r\n{second}\r\n").replace("SELF", &client.local_addr().to_string());
                    client.send(input);
                    client.finish_sending();
                    // A client that was killed gets no orderly end.
                    client.read_until_silence(PATIENCE);
                }
            });
        }
    }
}
