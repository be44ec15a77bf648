//! A panic is contained: thrown at every point of the table, it costs the connection that it was at work for, and nothing
//! else. Both engines; the server goes through the whole table without being started anew.

#[path = "../support/mod.rs"]
mod support;

mod table;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use support::client::{encode, words};
use support::server::PATIENCE;
use support::{Client, Peer, Server, Value, each_engine};
use table::{Ends, On, Row, TABLE};

/// What a table of small values may leave behind in buffers and pools.
const MEMORY: i64 = 2 << 20;

fn start(peer: Peer) -> Server {
    let options = [
        ["--enable-debug-command", "yes"],
        ["--notify-keyspace-events", "KEA"],
        ["--maxmemory-policy", "allkeys-lru"],
        ["--long-command-elements", "20"],
        ["--threads", "2"],
    ];
    peer.start_with(&options.concat())
}

/// A request in which `..200` stands for the numbers from 1 to 200.
fn request(line: &str) -> Vec<u8> {
    let Some((head, most)) = line.split_once("..") else { return encode(&words(line)) };
    let most: u32 = most.parse().expect("a number");
    let numbers: Vec<String> = (1..=most).map(|number| number.to_string()).collect();
    encode(&words(&format!("{head}{}", numbers.join(" "))))
}

/// A field of INFO.
fn field(client: &mut Client, name: &str) -> i64 {
    let info = client.call("INFO everything").text();
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("INFO has no {name}")).trim().parse().expect("a number")
}

#[track_caller]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A server with those who must not notice anything.
struct Stage {
    server: Server,
    control: Client,
    /// Waits for the key `bystander`.
    waiter: Client,
    connections: i64,
}

impl Stage {
    fn new(peer: Peer) -> Self {
        let server = start(peer);
        let (mut control, mut waiter) = (server.client(), server.client());
        waiter.send(request("BLPOP bystander 0"));
        eventually("somebody waits", || field(&mut control, "blocked_clients") == 1);
        Self { server, control, waiter, connections: 2 }
    }

    fn arm(&mut self, point: &str, skip: usize) {
        let action = if skip == 0 { "1*panic".to_owned() } else { format!("{skip}*off->1*panic") };
        self.control.check(&format!("DEBUG FAULT {point} {action}"), "+OK\r\n");
    }

    fn play(&mut self, row: &Row) {
        let before = field(&mut self.control, "kiba_panics");
        let (mut other, mut victim) = (self.server.client(), self.server.client());
        let id = victim.call("CLIENT ID").int();
        for line in row.other {
            other.send(request(line));
            if line.starts_with("BLPOP") {
                eventually("the other waits", || field(&mut self.control, "blocked_clients") == 2);
            } else {
                let _ = other.read();
            }
        }
        if let Some(also) = row.also {
            self.arm(also, 0);
        }
        self.arm(row.point, row.skip);
        if row.ends == Ends::Newcomer {
            assert_eq!(self.server.client().read_until_silence(PATIENCE), (Vec::new(), true));
        }
        victim.send(row.victim.iter().flat_map(|line| request(line)).collect::<Vec<_>>());
        let panics = 1 + i64::from(row.also.is_some());
        if matches!(row.ends, Ends::Victim | Ends::Both) {
            victim.read_to_end();
        } else {
            row.victim.iter().for_each(|_| assert!(!victim.read().is_error()));
        }
        match row.ends {
            Ends::Other | Ends::Both => _ = other.read_to_end(),
            _ if !row.other_gets.is_empty() => {
                let got = other.read_until(row.other_gets.as_bytes());
                let got = String::from_utf8_lossy(&got);
                assert!(got.contains(row.other_gets), "the other gets {got}");
            }
            _ => {}
        }
        eventually("INFO counts it", || field(&mut self.control, "kiba_panics") == before + panics);
        self.control.check("CONFIG SET maxmemory 0", "+OK\r\n");
        for (request, expected) in row.holds {
            eventually(&format!("{request} is {}", expected.escape_debug()), || {
                self.control.send(encode(&words(request)));
                self.control.read_raw() == expected.as_bytes()
            });
        }
        self.is_logged(row, id);
        drop((other, victim));
        self.is_whole();
    }

    /// The panic is in the log once, with whose it was.
    fn is_logged(&self, row: &Row, id: i64) {
        let message = format!("failpoint {} panic", row.point);
        self.server.wait_for_log(&message);
        let log = self.server.log();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(&message)).collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        if row.ends == Ends::Victim && row.also.is_none() && !row.point.starts_with("evict") {
            assert!(lines[0].contains(&format!("client={id} ")), "{id}: {}", lines[0]);
        }
    }

    /// Everything works, and all counts are right. Leaves nothing behind.
    fn is_whole(&mut self) {
        let control = &mut self.control;
        // Every kind of value in many parts, with and without a deadline.
        for i in 0..40 {
            let far = format!("SET far:{i} x PX 1000000");
            for line in [&format!("SET s:{i} x"), &format!("RPUSH l:{i} x y"), &format!("HSET h:{i} f v"), &far] {
                let reply = control.call(line);
                assert!(!reply.is_error(), "{line}: {reply:?}");
            }
        }
        let names = |control: &mut Client| -> BTreeSet<String> {
            let keys = control.call("KEYS *");
            keys.items().iter().map(Value::text).collect()
        };
        let mut scanned = BTreeSet::new();
        let mut cursor = "0".to_owned();
        loop {
            let reply = control.call(&format!("SCAN {cursor} COUNT 1000"));
            scanned.extend(reply.items()[1].items().iter().map(Value::text));
            cursor = reply.items()[0].text();
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(scanned, names(control));
        assert_eq!(control.call("DBSIZE").int(), scanned.len() as i64);
        let mut mortal = 0;
        for key in &scanned {
            assert_ne!(control.call(&format!("TYPE {key}")).text(), "none", "{key}");
            assert!(!control.call(&format!("DUMP {key}")).is_error(), "{key}");
            mortal += i64::from(control.call(&format!("PTTL {key}")).int() >= 0);
        }
        let info = control.call("INFO keyspace").text();
        let expires = info.split("expires=").nth(1).and_then(|rest| rest.split(',').next()).map(str::parse);
        assert_eq!(expires, Some(Ok(mortal)), "{info}");
        // What is due goes by itself.
        control.check("SET soon x PX 20", "+OK\r\n");
        let all = scanned.len() as i64;
        eventually("a key expires", || control.call("DBSIZE").int() == all);
        // Whoever waits is served.
        control.check("RPUSH bystander here", ":1\r\n");
        self.waiter.expect("*2\r\n$9\r\nbystander\r\n$4\r\nhere\r\n");
        self.waiter.send(request("BLPOP bystander 0"));
        eventually("only the bystander waits", || field(control, "blocked_clients") == 1);
        eventually("nobody else is left", || field(control, "connected_clients") == self.connections);
        assert_eq!(field(control, "pubsub_channels"), 0);
        // All at once.
        control.check("FLUSHALL", "+OK\r\n");
        control.check("DBSIZE", ":0\r\n");
        assert_eq!(field(control, "tracking_total_keys"), 0);
    }
}

each_engine! {
    fn a_panic_costs_a_connection_at_most(peer) {
        let mut stage = Stage::new(peer);
        stage.is_whole();
        let used = field(&mut stage.control, "used_memory");
        for row in TABLE {
            let is_on = match row.on {
                On::Both => true,
                On::Sharded => peer == Peer::Sharded,
                On::Channel => peer == Peer::Channel,
            };
            if is_on {
                println!("{}", row.point);
                stage.play(row);
            }
        }
        eventually("memory is given back", || field(&mut stage.control, "used_memory") < used + MEMORY);
    }

    fn a_transaction_hears_of_a_change_that_a_panic_broke_off(peer) {
        let mut stage = Stage::new(peer);
        let points = [
            ("string.set", 0, "SET a 2"),
            ("write.after", 0, "SET a 2"),
            ("apply.before", 0, "SET a 2"),
            ("mset.between", 1, "MSET a 2 b 2"),
            ("apply.between", 0, "MSET a 2 b 2"),
        ];
        for (point, skip, change) in points {
            let mut watcher = stage.server.client();
            watcher.check("WATCH a", "+OK\r\n");
            stage.arm(point, skip);
            let mut victim = stage.server.client();
            victim.send(request(change));
            victim.expect_closed();
            watcher.check("MULTI", "+OK\r\n");
            watcher.check("SET a 3", "+QUEUED\r\n");
            watcher.check("EXEC", "*-1\r\n");
        }
    }
}

/// The names of all points in the sources.
fn points(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(directory).expect("the sources are there") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            points(&path, found);
        } else {
            let text = std::fs::read_to_string(&path).expect("text");
            found.extend(text.split("fault::point(\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.into())));
        }
    }
}

#[test]
fn every_point_is_in_the_table() {
    let mut found = BTreeSet::new();
    points(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    let listed: BTreeSet<String> = TABLE.iter().map(|row| row.point.to_owned()).collect();
    assert_eq!(found, listed);
    assert_eq!(listed.len(), TABLE.len());
    assert!(listed.len() >= 40);
}
