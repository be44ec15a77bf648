//! The servers that are compared, and one conversation with all of them at once.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

use crate::grammar::Words;
use crate::reply::{self, Reply};
use crate::support::client::{encode, words};
use crate::support::{Client, Peer, Server, Value};
use crate::things::{SORTED, TEXTS};

/// The servers; the first is the reference.
pub struct Servers {
    servers: Vec<Server>,
    /// One connection to each; gone when the server ended it.
    clients: Vec<Option<Client>>,
    /// What the reference has queued since MULTI.
    queue: Option<Vec<Words>>,
    protocol: u8,
}

/// A request whose replies differ.
pub struct Difference {
    pub words: Words,
    pub replies: Vec<(Peer, Vec<u8>)>,
    /// What the difference shows in, for those that shorten the way to it.
    pub subject: String,
}

/// Requests of one round trip.
const BATCH: usize = 80;

/// What a difference shows in when a server ended the connection or did not answer.
const NO_REPLY: &str = "no reply";

/// What all servers start with; whatever the grammar changes has to be here.
const START: &[&str] = &[
    "DISCARD",
    "UNWATCH",
    "SELECT 0",
    "FLUSHALL",
    "CONFIG SET loglevel warning",
    // The smallest that is allowed: no string becomes so long that it slows the comparison down.
    "CONFIG SET proto-max-bulk-len 1048576",
    "CONFIG SET hash-max-listpack-entries 128",
    "CONFIG SET hash-max-listpack-value 64",
    "CONFIG SET set-max-intset-entries 512",
    "CONFIG SET zset-max-listpack-entries 128",
    "CONFIG SET zset-max-listpack-value 64",
    "CONFIG SET stream-node-max-entries 100",
    "CONFIG SET stream-node-max-bytes 4096",
    "CONFIG SET list-max-listpack-size -2",
    "CONFIG SET list-compress-depth 0",
];

impl Servers {
    pub fn start(peers: &[Peer]) -> Self {
        let servers: Vec<Server> = peers.iter().map(|peer| peer.start()).collect();
        let clients = servers.iter().map(|server| Some(server.client())).collect();
        Self { servers, clients, queue: None, protocol: 2 }
    }

    /// Empties all databases, sets all options back and speaks this protocol from now on.
    pub fn reset(&mut self, protocol: u8) {
        for (server, client) in self.servers.iter().zip(&mut self.clients) {
            client.get_or_insert_with(|| server.client());
        }
        self.queue = None;
        self.protocol = protocol;
        let mut lines: Vec<Words> = START.iter().map(|line| words(line)).collect();
        lines.extend(TEXTS.map(|key| words(&format!("SET {key} abc"))));
        lines.push(words(&format!("HELLO {protocol}")));
        for client in self.clients.iter_mut().flatten() {
            client.send(encode_all(&lines));
            let replies = client.read_many(lines.len());
            assert_eq!(replies.len(), lines.len(), "a server ends a new connection");
        }
    }

    /// Starts redis-server anew if it has crashed, and tells whether it had. That is a bug of its own; an engine that
    /// ends is one of ours.
    pub fn replace_crashed_reference(&mut self) -> bool {
        const REPORT: &str = "=== REDIS BUG REPORT START";
        let mut all = self.servers.iter_mut().zip(&mut self.clients);
        let Some((server, client)) = all.find(|(server, client)| server.peer == Peer::Redis && client.is_none()) else {
            return false;
        };
        let has_crashed = server.logs(REPORT, Duration::from_secs(1));
        if has_crashed {
            *server = Peer::Redis.start();
            *client = Some(server.client());
        }
        has_crashed
    }

    /// Sends requests to all servers and compares the replies, up to the first difference.
    pub fn run(&mut self, lines: &[Words]) -> Result<Vec<Reply>, Box<Difference>> {
        let mut all = Vec::with_capacity(lines.len());
        for batch in lines.chunks(BATCH) {
            let bytes = encode_all(batch);
            for client in self.clients.iter_mut().flatten() {
                // A server that has hung up is found by its replies.
                let _ = client.try_send(&bytes);
            }
            let replies: Vec<Vec<Vec<u8>>> = self
                .clients
                .iter_mut()
                .map(|client| client.as_mut().map_or_else(Vec::new, |client| client.read_many(batch.len())))
                .collect();
            for (client, replies) in self.clients.iter_mut().zip(&replies) {
                if replies.len() < batch.len() {
                    *client = None;
                }
            }
            self.compare(batch, &replies, &mut all)?;
        }
        Ok(all)
    }

    /// Compares what all databases hold.
    pub fn compare_contents(&mut self) -> Result<(), Box<Difference>> {
        self.run(&[words("DISCARD")])?;
        for db in ["1", "0"] {
            let keys = self.run(&[words(&format!("SELECT {db}")), words("KEYS *")])?;
            let mut keys: Vec<Vec<u8>> = keys[1].items().iter().map(|key| key.text().to_vec()).collect();
            keys.sort();
            let about =
                |command: &str, key: &Vec<u8>, rest: &str| [words(command), vec![key.clone()], words(rest)].concat();
            let types = self.run(&keys.iter().map(|key| about("TYPE", key, "")).collect::<Vec<_>>())?;
            let mut lines = Vec::new();
            for (key, kind) in keys.iter().zip(&types) {
                lines.push(about("PEXPIRETIME", key, ""));
                if key != SORTED.as_bytes() {
                    lines.push(about("OBJECT ENCODING", key, ""));
                }
                let content = match kind.text() {
                    b"string" => about("GET", key, ""),
                    b"list" => about("LRANGE", key, "0 -1"),
                    b"set" => about("SMEMBERS", key, ""),
                    b"hash" => about("HGETALL", key, ""),
                    b"zset" => about("ZRANGE", key, "0 -1 WITHSCORES"),
                    b"stream" => {
                        lines.push([words("XINFO STREAM"), vec![key.clone()]].concat());
                        about("XRANGE", key, "- +")
                    }
                    other => panic!("no such type: {}", other.escape_ascii()),
                };
                lines.push(content);
            }
            self.run(&lines)?;
        }
        Ok(())
    }

    /// Names of all commands that every server has, and of those that take as many arguments everywhere.
    pub fn common_commands(&mut self) -> (HashSet<String>, HashSet<String>) {
        let tables: Vec<BTreeMap<String, i64>> = self.servers.iter().map(arities).collect();
        let (first, others) = tables.split_first().expect("there are servers");
        let known = first.keys().filter(|name| others.iter().all(|table| table.contains_key(*name)));
        let alike = first.iter().filter(|(name, arity)| others.iter().all(|table| table.get(*name) == Some(arity)));
        (known.cloned().collect(), alike.map(|(name, _)| name.clone()).collect())
    }

    /// What the reference's DUMP says about values of all types and encodings; nothing if it has no DUMP.
    pub fn payloads(&mut self) -> Vec<Vec<u8>> {
        let numbers = |count: usize| (0..count).map(|number| (number * 7).to_string()).collect::<Vec<_>>().join(" ");
        let pairs = |count: usize| (0..count).map(|number| format!("{number} m{number}")).collect::<Vec<_>>().join(" ");
        let long = "long ".repeat(40).replace(' ', "_");
        let makers = [
            "SET k short".to_owned(),
            "SET k 12".to_owned(),
            "SET k -123456789".to_owned(),
            format!("SET k {long}"),
            "RPUSH k a b 3 -4000 \"\"".to_owned(),
            format!("RPUSH k {}", numbers(600)),
            format!("SADD k {}", numbers(5)),
            format!("SADD k {} 100000 10000000000", numbers(5)),
            format!("SADD k {} x", numbers(3)),
            format!("SADD k {} x", numbers(600)),
            format!("HSET k {}", pairs(3)),
            format!("HSET k {} f1 {long}", pairs(3)),
            format!("ZADD k {} -inf x inf y 0.1 z", pairs(3)),
            format!("ZADD k {}", pairs(200)),
        ];
        self.reset(2);
        let client = self.clients[0].as_mut().expect("connected");
        let dump = |maker: &String| {
            client.call(maker);
            let payload = client.call("DUMP k");
            client.call("DEL k");
            match payload {
                Value::Bulk(payload) => Some(payload),
                _ => None,
            }
        };
        makers.iter().filter_map(dump).collect()
    }

    fn compare(
        &mut self,
        batch: &[Words],
        replies: &[Vec<Vec<u8>>],
        all: &mut Vec<Reply>,
    ) -> Result<(), Box<Difference>> {
        for (at, line) in batch.iter().enumerate() {
            let differ = |subject: &str| {
                let replies = self.servers.iter().zip(replies);
                let replies =
                    replies.map(|(server, replies)| (server.peer, replies.get(at).cloned().unwrap_or_default()));
                Box::new(Difference { words: line.clone(), replies: replies.collect(), subject: subject.to_owned() })
            };
            let parsed = |replies: &Vec<Vec<u8>>| match replies.get(at) {
                None => Err(differ(NO_REPLY)),
                Some(bytes) => Reply::parse(bytes).map(|(reply, _)| reply).ok_or_else(|| differ("what is no reply")),
            };
            let reference = parsed(&replies[0])?;
            for (number, replies) in replies.iter().enumerate() {
                let found = parsed(replies)?;
                if number > 0
                    && let Some(words) = self.first_that_differs(line, &reference, &found)
                {
                    return Err(differ(&String::from_utf8_lossy(&words[0]).to_ascii_lowercase()));
                }
                if at > 0 && reply::is_random(line) {
                    let (before, _) = Reply::parse(&replies[at - 1]).expect("compared before");
                    if !reply::is_choice((&batch[at - 1], &before), line, &found) {
                        return Err(differ("a choice"));
                    }
                }
            }
            self.follow(line, &reference);
            all.push(reference);
        }
        Ok(())
    }

    /// The command whose reply differs: the line's, or the one that EXEC ran.
    fn first_that_differs<'a>(&'a self, line: &'a Words, reference: &Reply, found: &Reply) -> Option<&'a Words> {
        if let Some(queue) = &self.queue
            && line[0].eq_ignore_ascii_case(b"exec")
            && reference.items().len() == queue.len()
            && found.items().len() == queue.len()
        {
            let mut items = queue.iter().zip(reference.items().iter().zip(found.items()));
            return items.find(|(words, (one, other))| !reply::are_same(words, one, other)).map(|(words, _)| words);
        }
        (!reply::are_same(line, reference, found)).then_some(line)
    }

    /// Keeps in mind what EXEC will run.
    fn follow(&mut self, line: &Words, reference: &Reply) {
        let is = |name: &str| line[0].eq_ignore_ascii_case(name.as_bytes());
        match &mut self.queue {
            Some(queue) if reference.text() == b"QUEUED" => queue.push(line.clone()),
            Some(_) if (is("exec") || is("discard")) && line.len() == 1 => self.queue = None,
            Some(_) if reference.text().starts_with(b"EXECABORT") => self.queue = None,
            None if is("multi") && !reference.is_error() => self.queue = Some(Vec::new()),
            _ => {}
        }
    }
}

/// A command as it is counted here: `object encoding` for what COMMAND calls `object|encoding`.
fn arities(server: &Server) -> BTreeMap<String, i64> {
    let mut arities = BTreeMap::new();
    let commands = server.client().call("COMMAND");
    for command in commands.items() {
        for command in [command].into_iter().chain(command.items().get(9).map_or(&[][..], Value::items)) {
            arities.insert(command.items()[0].text().replace('|', " "), command.items()[1].int());
        }
    }
    arities
}

fn encode_all(lines: &[Words]) -> Vec<u8> {
    lines.iter().flat_map(|line| encode(line)).collect()
}

/// A request as one types it into redis-cli.
pub fn as_typed(words: &Words) -> String {
    let is_plain = |word: &Vec<u8>| {
        !word.is_empty() && word.iter().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\'))
    };
    let word = |word: &Vec<u8>| {
        if is_plain(word) { word.escape_ascii().to_string() } else { format!("\"{}\"", word.escape_ascii()) }
    };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {}", as_typed(&self.words))?;
        for (peer, reply) in &self.replies {
            let reply = if reply.is_empty() { NO_REPLY.into() } else { reply.escape_ascii().to_string() };
            let most = reply.len().min(2000);
            writeln!(f, "    {peer:?}: {}{}", &reply[..most], if most < reply.len() { "..." } else { "" })?;
        }
        Ok(())
    }
}
