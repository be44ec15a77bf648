//! MIGRATE, to another server and to one that the test plays.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::support::server::PATIENCE;
use crate::support::{Client, Peer, Server, Value, each_engine, same_as_redis};

const READING: &str = "-IOERR error or timeout reading to target instance\r\n";
const CONNECTING: &str = "-IOERR error or timeout connecting to the client\r\n";
const WRITING: &str = "-IOERR error or timeout writing to target instance\r\n";
const SYNTAX: &str = "-ERR syntax error\r\n";

/// A MIGRATE to this server, with what follows the port.
fn to(server: &Server, rest: &str) -> String {
    format!("MIGRATE {} {} {rest}", server.address.ip(), server.address.port())
}

/// Another instance, played by the test.
struct Played {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Played {
    /// Has a client ask for a MIGRATE to here, and lets it connect.
    fn asked_by(client: &mut Client, listener: &TcpListener, what: &str) -> Self {
        let port = listener.local_addr().expect("bound").port();
        client.send(format!("MIGRATE 127.0.0.1 {port} {what}\r\n"));
        Self::accept(listener)
    }

    /// Waits for a connection, and answers its SELECT.
    fn accept(listener: &TcpListener) -> Self {
        Self::over(listener.accept().expect("somebody connects").0)
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("TCP allows it");
        let mut played = Self { stream, received: Vec::new() };
        assert_eq!(played.request()[0], "SELECT");
        played.answer("+OK\r\n");
        played
    }

    /// The words of the next request; a payload is shown by its length.
    fn request(&mut self) -> Vec<String> {
        loop {
            if let Some((value, used)) = Value::parse(&self.received) {
                self.received.drain(..used);
                return value.items().iter().map(|word| String::from_utf8_lossy(word.bytes()).into_owned()).collect();
            }
            let mut buffer = [0; 4096];
            let count = self.stream.read(&mut buffer).expect("a request comes");
            assert!(count > 0, "hung up");
            self.received.extend_from_slice(&buffer[..count]);
        }
    }

    /// Nothing more is asked.
    fn expect_closed(&mut self) {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).expect("an end comes");
        assert!(self.received.is_empty() && rest.is_empty(), "asked for more: {}", rest.escape_ascii());
    }

    fn answer(&mut self, reply: &str) {
        self.stream.write_all(reply.as_bytes()).expect("somebody listens");
    }
}

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    (listener, port)
}

/// Fills a server with a key of each type.
fn fill(client: &mut Client) {
    for command in [
        "SET string text",
        "SET int 12",
        "RPUSH list a b c",
        "SADD set a b",
        "SADD ints 1 2 3",
        "HSET hash f v g w",
        "ZADD zset 1 a 2.5 b",
        "XADD stream 1-1 f v",
        "SET mortal v EX 1000",
    ] {
        assert!(!client.call(command).is_error(), "{command}");
    }
    let large = "x".repeat(300_000);
    assert_eq!(client.request(&["SET", "large", &large]).text(), "OK");
}

fn move_everything(from: &Server, target: &Server) {
    let (mut client, mut there) = (from.client(), target.client());
    fill(&mut client);
    let names = "string int list set ints hash zset stream mortal large";
    let dumps = |client: &mut Client| -> Vec<String> {
        let mut shown = Vec::new();
        for command in
            ["GET string", "GET int", "LRANGE list 0 -1", "SORT set ALPHA", "SORT ints", "HGET hash f", "STRLEN large"]
        {
            shown.push(format!("{:?}", client.call(command)));
        }
        for command in ["HGET hash g", "ZRANGE zset 0 -1 WITHSCORES", "XRANGE stream - +", "TTL mortal", "TTL string"] {
            shown.push(format!("{:?}", client.call(command)));
        }
        shown
    };
    let before = dumps(&mut client);
    client.check(&to(target, &format!("\"\" 0 5000 KEYS {names} missing")), "+OK\r\n");
    client.check("DBSIZE", ":0\r\n");
    there.check("DBSIZE", ":10\r\n");
    assert_eq!(dumps(&mut there), before);
}

same_as_redis! {
    fn keys_move_with_their_times_to_live(peer) {
        move_everything(&peer.start(), &peer.start());
    }

    fn a_key_is_copied_or_replaced_as_asked(peer) {
        let (server, target) = (peer.start(), peer.start());
        let (mut client, mut there) = (server.client(), target.client());
        let busy = "-ERR Target instance replied with error: BUSYKEY Target key name already exists.\r\n";
        client.check("SET k v", "+OK\r\n");
        client.check(&to(&target, "k 0 5000 COPY"), "+OK\r\n");
        client.check("GET k", "$1\r\nv\r\n");
        client.check(&to(&target, "k 0 5000 copy"), busy);
        client.check(&to(&target, "k 0 5000"), busy);
        client.check("GET k", "$1\r\nv\r\n");
        client.check("SET k w", "+OK\r\n");
        client.check(&to(&target, "k 0 5000 REPLACE COPY"), "+OK\r\n");
        there.check("GET k", "$1\r\nw\r\n");
        client.check("SET k x", "+OK\r\n");
        client.check(&to(&target, "k 0 5000 replace"), "+OK\r\n");
        client.check("EXISTS k", ":0\r\n");
        there.check("GET k", "$1\r\nx\r\n");
        client.check(&to(&target, "k 0 5000"), "+NOKEY\r\n");
        client.check(&to(&target, "\"\" 0 5000 KEYS k l"), "+NOKEY\r\n");
        // Of several, those that can go do.
        client.check("MSET k 1 l 2", "+OK\r\n");
        client.check(&to(&target, "\"\" 0 0 KEYS k none l"), busy);
        client.check("EXISTS k l", ":1\r\n");
        there.check("MGET k l", "*2\r\n$1\r\nx\r\n$1\r\n2\r\n");
        // Into another database, from another one.
        client.check("SELECT 1", "+OK\r\n");
        client.check("SET k 1", "+OK\r\n");
        client.check(&to(&target, "k 3 -1"), "+OK\r\n");
        there.check("SELECT 3", "+OK\r\n");
        there.check("GET k", "$1\r\n1\r\n");
        client.check("SET k 1", "+OK\r\n");
        let no_database = "-ERR Target instance replied with error: ERR DB index is out of range\r\n";
        client.check(&to(&target, "k 99 5000"), no_database);
        client.check("EXISTS k", ":1\r\n");
    }

    fn it_logs_in_where_that_is_asked_for(peer) {
        let (server, target) = (peer.start(), peer.start_with(&["--requirepass", "secret"]));
        let mut client = server.client();
        client.check("MSET a 1 b 2", "+OK\r\n");
        let wrong = "-ERR Target instance replied with error: WRONGPASS invalid username-password pair or user is disabled.\r\n";
        client.check(&to(&target, "a 0 5000 AUTH wrong"), wrong);
        client.check(&to(&target, "a 0 5000 AUTH2 somebody secret"), wrong);
        let no_login = "-ERR Target instance replied with error: NOAUTH Authentication required.\r\n";
        client.check(&to(&target, "a 1 5000"), no_login);
        client.check("EXISTS a b", ":2\r\n");
        client.check(&to(&target, "a 0 5000 AUTH secret"), "+OK\r\n");
        client.check(&to(&target, "\"\" 0 5000 COPY AUTH2 default secret KEYS b"), "+OK\r\n");
        client.check("EXISTS a b", ":1\r\n");
    }

    fn mistakes_are_told_before_anybody_is_asked(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k v", "+OK\r\n");
        let closed = TcpListener::bind("127.0.0.1:0").map(|listener| listener.local_addr());
        let port = closed.and_then(|address| address).expect("a free port").port();
        for (rest, error) in [
            ("k 0", "-ERR wrong number of arguments for 'migrate' command\r\n"),
            ("k 0 100 FOO", SYNTAX),
            ("k 0 100 AUTH", SYNTAX),
            ("k 0 100 AUTH2 user", SYNTAX),
            ("k x 100", "-ERR value is not an integer or out of range\r\n"),
            ("k 0 x", "-ERR value is not an integer or out of range\r\n"),
            ("k 0 100 KEYS k", "-ERR When using MIGRATE KEYS option, the key argument must be set to the empty string\r\n"),
            ("\"\" 0 100 KEYS", "+NOKEY\r\n"),
            ("\"\" 0 100", "+NOKEY\r\n"),
            ("missing 0 100", "+NOKEY\r\n"),
            // Nobody listens there any more.
            ("k 0 1000", WRITING),
        ] {
            client.check(&format!("MIGRATE 127.0.0.1 {port} {rest}"), error);
        }
        // Too long for a name: no resolver is asked.
        client.check(&format!("MIGRATE {} 1 k 0 5000", "x".repeat(300)), CONNECTING);
        client.check("MIGRATE 127.0.0.1 -5 k 0 100", CONNECTING);
        client.check("GET k", "$1\r\nv\r\n");
    }

    fn who_does_not_answer_in_time_ends_it(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k v", "+OK\r\n");
        let (_listener, port) = listener();
        client.check(&format!("MIGRATE 127.0.0.1 {port} k 0 500"), READING);
        client.check("GET k", "$1\r\nv\r\n");
    }

    fn keys_are_where_the_arguments_say(peer) {
        let server = peer.start();
        let mut client = server.client();
        for (arguments, keys) in [
            ("h 1 a 0 10", &["a"][..]),
            ("h 1 \"\" 0 10 COPY KEYS a b", &["a", "b"]),
            ("h 1 \"\" 0 10 AUTH x KEYS a", &["a"]),
        ] {
            let found = client.call(&format!("COMMAND GETKEYS MIGRATE {arguments}"));
            assert_eq!(found.items().iter().map(Value::text).collect::<Vec<_>>(), keys, "{arguments}");
        }
    }

    fn events_tell_that_a_key_has_gone(peer) {
        let (server, target) = (peer.start(), peer.start());
        let (mut client, mut listener) = (server.client(), server.client());
        client.check("CONFIG SET notify-keyspace-events EA", "+OK\r\n");
        client.check("MSET a 1 b 2", "+OK\r\n");
        listener.call("PSUBSCRIBE *");
        client.check(&to(&target, "a 0 5000 COPY"), "+OK\r\n");
        client.check(&to(&target, "b 0 5000"), "+OK\r\n");
        let message = listener.read();
        assert_eq!([message.items()[2].text(), message.items()[3].text()], ["__keyevent@0__:del", "b"]);
    }

    fn a_key_is_looked_up_once(peer) {
        let (server, target) = (peer.start(), peer.start());
        let (mut client, mut listener) = (server.client(), server.client());
        client.check("CONFIG SET notify-keyspace-events Em", "+OK\r\n");
        listener.call("PSUBSCRIBE *");
        client.check("SET k v", "+OK\r\n");
        client.check(&to(&target, "\"\" 0 5000 COPY KEYS k missing"), "+OK\r\n");
        client.check(&to(&target, "last 0 5000"), "+NOKEY\r\n");
        let stats = client.call("INFO stats").text();
        assert!(stats.contains("keyspace_hits:1\r\nkeyspace_misses:2\r\n"), "{stats}");
        for key in ["missing", "last"] {
            assert_eq!(listener.read().items()[3].text(), key);
        }
    }

    fn nobody_sees_the_password(peer) {
        let (server, target) = (peer.start(), peer.start());
        let (mut client, mut monitor) = (server.client(), server.client());
        monitor.check("MONITOR", "+OK\r\n");
        client.call(&to(&target, "missing 0 100 AUTH secret"));
        client.call(&to(&target, "\"\" 0 100 COPY AUTH2 user secret KEYS auth x"));
        for expected in ["\"missing\" \"0\" \"100\" \"AUTH\" \"(redacted)\"", "\"AUTH2\" \"(redacted)\" \"(redacted)\" \"KEYS\" \"auth\" \"x\""] {
            let line = monitor.read().text();
            assert!(line.ends_with(expected), "{line}");
        }
    }
}

each_engine! {
    fn redis_and_kiba_understand_each_other(peer) {
        if Peer::has_redis() {
            move_everything(&peer.start(), &Peer::Redis.start());
            move_everything(&Peer::Redis.start(), &peer.start());
        }
    }

    fn large_values_are_copied_aside(peer) {
        let (server, target) = (peer.start_with(&["--long-command-elements", "100"]), peer.start());
        let (mut client, mut there) = (server.client(), target.client());
        let words: Vec<String> = ["RPUSH", "k"].map(str::to_owned).into_iter().chain((0..5000).map(|i| i.to_string())).collect();
        assert_eq!(client.request(&words).int(), 5000);
        client.check(&to(&target, "k 0 5000"), "+OK\r\n");
        there.check("LLEN k", ":5000\r\n");
        assert!(client.call("INFO stats").text().contains("kiba_long_commands_aside:1\r\n"));
    }

    fn others_are_served_meanwhile(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        other.check("SET k v", "+OK\r\n");
        let (listener, _) = listener();
        let mut target = Played::asked_by(&mut client, &listener, "k 0 600000\r\nPING");
        assert_eq!(target.request()[..3], ["RESTORE", "k", "0"]);
        other.check("GET k", "$1\r\nv\r\n");
        other.check("SET l w", "+OK\r\n");
        other.check("DBSIZE", ":2\r\n");
        assert!(!client.has_arrived());
        target.answer("+OK\r\n");
        client.expect("+OK\r\n+PONG\r\n");
        other.check("EXISTS k", ":0\r\n");
    }

    fn a_key_that_changes_meanwhile_is_sent_again(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        other.check("SET k 1", "+OK\r\n");
        let (listener, _) = listener();
        let mut target = Played::asked_by(&mut client, &listener, "k 0 60000");
        assert_eq!(target.request().len(), 4);
        other.check("SET k 22222 EX 1000", "+OK\r\n");
        target.answer("+OK\r\n");
        let again = target.request();
        assert!(again.len() == 5 && again[4] == "REPLACE" && again[2].parse::<u64>().is_ok_and(|ttl| ttl > 900_000));
        other.check("GET k", "$5\r\n22222\r\n");
        target.answer("+OK\r\n");
        client.expect("+OK\r\n");
        other.check("EXISTS k", ":0\r\n");
    }

    fn the_copy_of_a_key_that_goes_meanwhile_stays(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        let (listener, _) = listener();
        // Had it been evicted, the copy would be the only one.
        for end in ["DEL k", "FLUSHALL", "PEXPIRE k 1"] {
            other.check("SET k 1", "+OK\r\n");
            let mut target = Played::asked_by(&mut client, &listener, "k 0 60000");
            target.request();
            assert!(!other.call(end).is_error());
            while other.call("EXISTS k").int() == 1 {}
            target.answer("+OK\r\n");
            client.expect("+OK\r\n");
            target.expect_closed();
        }
    }

    fn what_readers_of_a_stream_do_meanwhile_is_sent_again(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        let (listener, _) = listener();
        for change in [
            "XREADGROUP GROUP g one STREAMS s >",
            "XACK s g 1-1",
            "XCLAIM s g two 0 1-1",
            "XAUTOCLAIM s g two 0 0",
            "XADD s 3-1 f v",
        ] {
            for command in [
                "XADD s 1-1 f v",
                "XGROUP CREATE s g 0",
                "XGROUP CREATECONSUMER s g two",
                "XREADGROUP GROUP g one COUNT 1 STREAMS s >",
                "XADD s 2-1 f v",
            ] {
                assert!(!other.call(command).is_error(), "{command}");
            }
            let mut target = Played::asked_by(&mut client, &listener, "s 0 60000");
            let first = target.request();
            assert_eq!(first.len(), 4);
            assert!(!other.call(change).is_error(), "{change}");
            target.answer("+OK\r\n");
            let again = target.request();
            assert!(again.len() == 5 && again[3] != first[3], "{change}");
            other.check("EXISTS s", ":1\r\n");
            target.answer("+OK\r\n");
            client.expect("+OK\r\n");
            other.check("EXISTS s", ":0\r\n");
        }
    }

    fn a_value_goes_with_the_deadline_that_it_had(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        other.check("SET k 1 EX 1000", "+OK\r\n");
        let (listener, port) = listener();
        client.send(format!("MIGRATE 127.0.0.1 {port} k 0 60000 COPY\r\n"));
        let (stream, _) = listener.accept().expect("somebody connects");
        // It has been copied by now, and is not what it was.
        other.check("SET k 22222", "+OK\r\n");
        let mut target = Played::over(stream);
        let words = target.request();
        assert_eq!(words[..3], ["RESTORE", "k", "0"]);
        assert!(words.len() == 4 && words[3].contains("\u{fffd}V"), "{:?}", words[3]);
        target.answer("+OK\r\n");
        client.expect("+OK\r\n");
    }

    fn nothing_is_removed_while_writes_are_paused(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        other.check("MSET k 1 l 2", "+OK\r\n");
        let (listener, _) = listener();
        let mut target = Played::asked_by(&mut client, &listener, "\"\" 0 60000 KEYS k l");
        assert_eq!(target.request()[1], "k");
        other.check("CLIENT PAUSE 600000 WRITE", "+OK\r\n");
        target.answer("+OK\r\n");
        // Its connection's task has had time for more.
        for _ in 0..100 {
            other.check("EXISTS k l", ":2\r\n");
        }
        assert!(!client.has_arrived());
        other.check("CLIENT UNPAUSE", "+OK\r\n");
        assert_eq!(target.request()[1], "l");
        other.check("EXISTS k l", ":1\r\n");
        target.answer("+OK\r\n");
        client.expect("+OK\r\n");
        other.check("EXISTS k l", ":0\r\n");
    }

    fn what_came_before_it_is_answered_before(peer) {
        let server = peer.start();
        let mut client = server.client();
        let (listener, port) = listener();
        client.send(format!("SET k v\r\nPING\r\nMIGRATE 127.0.0.1 {port} k 0 600000\r\nPING\r\n"));
        client.expect("+OK\r\n+PONG\r\n");
        let mut target = Played::accept(&listener);
        target.request();
        target.answer("+OK\r\n");
        client.expect("+OK\r\n+PONG\r\n");
    }

    fn the_end_of_the_server_is_an_error(peer) {
        let mut server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        other.check("SET k 1", "+OK\r\n");
        let (listener, _) = listener();
        let mut target = Played::asked_by(&mut client, &listener, "k 0 600000");
        target.request();
        other.send("SHUTDOWN\r\n");
        client.expect(READING);
        target.expect_closed();
        client.expect_closed();
        server.wait();
    }

    fn so_many_at_once_and_others_wait(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        other.check("SET k 1", "+OK\r\n");
        let (listener, _) = listener();
        let mut busy: Vec<(Client, Played)> = (0..64).map(|_| {
            let mut client = server.client();
            let mut target = Played::asked_by(&mut client, &listener, "k 0 600000 COPY");
            target.request();
            (client, target)
        }).collect();
        let mut killed = server.client();
        let id = killed.call("CLIENT ID").int();
        for client in [&mut client, &mut killed] {
            client.send("MIGRATE 127.0.0.1 1 missing 0 1\r\n");
        }
        other.check(&format!("CLIENT KILL ID {id}"), ":1\r\n");
        killed.expect_closed();
        other.check("GET k", "$1\r\n1\r\n");
        assert!(!client.has_arrived());
        let (mut first, mut target) = busy.pop().expect("64 of them");
        target.answer("+OK\r\n");
        first.expect("+OK\r\n");
        client.expect("+NOKEY\r\n");
    }

    fn a_key_that_never_rests_stays(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        other.check("SET k 0", "+OK\r\n");
        let (listener, _) = listener();
        let mut target = Played::asked_by(&mut client, &listener, "k 0 60000");
        for i in 1..=3 {
            assert_eq!(target.request()[0], "RESTORE");
            other.check("INCR k", format!(":{i}\r\n"));
            target.answer("+OK\r\n");
        }
        client.expect("-ERR key changed whenever it was sent: it is at both instances\r\n");
        other.check("GET k", "$1\r\n3\r\n");
    }

    fn a_server_can_be_its_own_target(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k v", "+OK\r\n");
        client.check(&to(&server, "k 1 5000"), "+OK\r\n");
        client.check("EXISTS k", ":0\r\n");
        client.check("SELECT 1", "+OK\r\n");
        client.check("GET k", "$1\r\nv\r\n");
        // Onto itself: each copy is a change.
        client.check(&to(&server, "k 1 5000 REPLACE"), "-ERR key changed whenever it was sent: it is at both instances\r\n");
        client.check("GET k", "$1\r\nv\r\n");
    }

    fn whoever_hangs_up_or_talks_nonsense_ends_it(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        other.check("SET k 1", "+OK\r\n");
        let (listener, _) = listener();
        for answer in ["", "+O", "$2\r\nOK\r\n", "\r\n", &"x".repeat(20_000)] {
            let mut target = Played::asked_by(&mut client, &listener, "k 0 60000");
            target.request();
            target.answer(answer);
            drop(target);
            client.expect(READING);
        }
        other.check("GET k", "$1\r\n1\r\n");
    }

    fn a_client_can_be_killed_while_it_waits(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        let id = client.call("CLIENT ID").int();
        other.check("SET k 1", "+OK\r\n");
        let (listener, _) = listener();
        let mut target = Played::asked_by(&mut client, &listener, "k 0 600000");
        target.request();
        other.check(&format!("CLIENT KILL ID {id}"), ":1\r\n");
        client.expect_closed();
        target.expect_closed();
        other.check("GET k", "$1\r\n1\r\n");
    }

    fn a_transaction_cannot_wait_for_the_network(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("MULTI", "+OK\r\n");
        client.check("MIGRATE 127.0.0.1 1 k 0 100", "-ERR Command not allowed inside a transaction\r\n");
        client.check("EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n");
    }
}
