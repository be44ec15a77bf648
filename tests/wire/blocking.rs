//! Blocking commands.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::server::PATIENCE;
use crate::support::{Client, Peer, Server, Value, each_engine, same_as_redis};

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

/// Waits until so many clients are blocked.
pub fn wait_for_blocked(server: &Server, count: usize) {
    let mut client = server.client();
    let since = Instant::now();
    let line = format!("blocked_clients:{count}\r\n");
    while !client.call("INFO clients").text().contains(&line) {
        assert!(since.elapsed() < PATIENCE, "not {line}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A client that waits in this command, which nobody else has done before it.
pub fn blocked(server: &Server, request: &str, count: usize) -> Client {
    let mut client = server.client();
    client.send(format!("{request}\r\n"));
    wait_for_blocked(server, count);
    client
}

fn pair(key: &str, value: &str) -> String {
    format!("*2\r\n${}\r\n{key}\r\n${}\r\n{value}\r\n", key.len(), value.len())
}

pub fn id_of(client: &mut Client) -> i64 {
    client.call("CLIENT ID").int()
}

same_as_redis! {
    fn what_is_there_is_popped_at_once(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("RPUSH l a b c d e f", ":6\r\n");
        client.check("BLPOP l 0", pair("l", "a"));
        client.check("BRPOP missing l 0", pair("l", "f"));
        client.check("BLMOVE l m LEFT RIGHT 0", "$1\r\nb\r\n");
        client.check("BRPOPLPUSH l m 0", "$1\r\ne\r\n");
        client.check("LRANGE m 0 -1", "*2\r\n$1\r\ne\r\n$1\r\nb\r\n");
        client.check("BLMPOP 0 2 missing l LEFT COUNT 5", "*2\r\n$1\r\nl\r\n*2\r\n$1\r\nc\r\n$1\r\nd\r\n");
        client.check("EXISTS l", ":0\r\n");
        client.check("ZADD z 1 a 2 b 3 c", ":3\r\n");
        client.check("BZPOPMIN z 0", "*3\r\n$1\r\nz\r\n$1\r\na\r\n$1\r\n1\r\n");
        client.check("BZPOPMAX missing z 0", "*3\r\n$1\r\nz\r\n$1\r\nc\r\n$1\r\n3\r\n");
        client.check("BZMPOP 0 1 z MIN COUNT 2", "*2\r\n$1\r\nz\r\n*1\r\n*2\r\n$1\r\nb\r\n$1\r\n2\r\n");
        client.check("EXISTS z", ":0\r\n");
    }

    fn a_push_serves_whoever_came_first(peer) {
        let server = peer.start();
        let mut first = blocked(&server, "BLPOP l 0", 1);
        let mut second = blocked(&server, "BRPOP l 0", 2);
        let mut third = blocked(&server, "BLPOP l 0", 3);
        let mut pusher = server.client();
        pusher.check("RPUSH l a", ":1\r\n");
        first.expect(pair("l", "a"));
        pusher.check("RPUSH l b c d", ":3\r\n");
        second.expect(pair("l", "d"));
        third.expect(pair("l", "b"));
        pusher.check("LRANGE l 0 -1", "*1\r\n$1\r\nc\r\n");
        wait_for_blocked(&server, 0);
        for client in [&mut first, &mut second, &mut third] {
            client.expect_open();
        }
    }

    fn the_pusher_sees_what_was_served_behind_its_push(peer) {
        let server = peer.start();
        let mut waiter = blocked(&server, "BLPOP l 0", 1);
        let mut pusher = server.client();
        pusher.send("RPUSH l a b\r\nLLEN l\r\nLPOP l\r\nEXISTS l\r\n");
        pusher.expect(":2\r\n:1\r\n$1\r\nb\r\n:0\r\n");
        waiter.expect(pair("l", "a"));
    }

    fn the_first_key_with_something_is_taken(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("RPUSH b 1", ":1\r\n");
        client.check("RPUSH c 2", ":1\r\n");
        client.check("BLPOP a b c 0", pair("b", "1"));
        client.check("BLPOP c b a 0", pair("c", "2"));
        let mut waiter = blocked(&server, "BLPOP a b c 0", 1);
        client.check("RPUSH c x", ":1\r\n");
        waiter.expect(pair("c", "x"));
        wait_for_blocked(&server, 0);
        client.check("RPUSH a y", ":1\r\n");
        client.check("LLEN a", ":1\r\n");
    }

    fn of_several_keys_filled_at_once_the_first_that_was_written_is_taken(peer) {
        let server = peer.start();
        let mut client = server.client();
        let mut waiter = blocked(&server, "BLPOP a b 0", 1);
        client.send("MULTI\r\nRPUSH b 1\r\nRPUSH a 2\r\nEXEC\r\n");
        client.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:1\r\n");
        waiter.expect(pair("b", "1"));
        client.check("EXISTS a b", ":1\r\n");
    }

    fn a_key_that_is_named_twice_is_served_once(peer) {
        let server = peer.start();
        let mut client = server.client();
        let mut waiter = blocked(&server, "BLPOP a a 0", 1);
        client.check("RPUSH a 1 2", ":2\r\n");
        waiter.expect(pair("a", "1"));
        waiter.expect_open();
        client.check("LLEN a", ":1\r\n");
    }

    fn a_push_in_a_transaction_wakes_behind_it(peer) {
        let server = peer.start();
        let mut waiter = blocked(&server, "BLPOP l 0", 1);
        let mut client = server.client();
        client.send("MULTI\r\nRPUSH l a\r\nLPUSH l b\r\nDEL l\r\nRPUSH l c d\r\nLLEN l\r\nEXEC\r\nLLEN l\r\n");
        client.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*5\r\n:1\r\n:2\r\n:1\r\n:2\r\n:2\r\n:1\r\n");
        waiter.expect(pair("l", "c"));
        let mut waiter = blocked(&server, "BLPOP m 0", 1);
        client.send("MULTI\r\nRPUSH m a\r\nDEL m\r\nEXEC\r\n");
        client.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:1\r\n");
        client.check("RPUSH m z", ":1\r\n");
        waiter.expect(pair("m", "z"));
    }

    fn nothing_blocks_in_a_transaction(peer) {
        let server = peer.start();
        let mut client = server.client();
        let requests = [
            "BLPOP a 0", "BRPOP a b 0", "BLMPOP 0 1 a LEFT", "BLMOVE a b LEFT LEFT 0", "BRPOPLPUSH a b 0", "BZPOPMIN a 0",
            "BZPOPMAX a 0", "BZMPOP 0 1 a MIN", "RPUSH a x", "BLPOP a 0", "BLPOP a x",
        ];
        client.check("MULTI", "+OK\r\n");
        for request in requests {
            client.check(request, "+QUEUED\r\n");
        }
        let nothing = "*-1\r\n";
        let expected = [
            nothing, nothing, nothing, "$-1\r\n", "$-1\r\n", nothing, nothing, nothing, ":1\r\n", &pair("a", "x"),
            "-ERR timeout is not a float or out of range\r\n",
        ];
        client.check("EXEC", format!("*{}\r\n{}", expected.len(), expected.concat()));
    }

    fn a_time_out_answers_nothing(peer) {
        let server = peer.start();
        let mut client = server.client();
        let requests = [
            "BLPOP a 0.01", "BRPOP a b 0.01", "BLMPOP 0.01 1 a LEFT", "BLMOVE a b LEFT LEFT 0.01", "BRPOPLPUSH a b 0.01",
            "BZPOPMIN a 0.01", "BZPOPMAX a 0.01", "BZMPOP 0.01 1 a MIN", "BLPOP a 1e-9",
        ];
        for request in requests {
            client.check(request, "*-1\r\n");
        }
        client.check("RPUSH a x", ":1\r\n");
        client.check("LLEN a", ":1\r\n");
        let since = Instant::now();
        client.check("BLPOP b 0.2", "*-1\r\n");
        assert!(since.elapsed() >= Duration::from_millis(200));
        client.call("HELLO 3");
        client.check("BLPOP b 0.01", "_\r\n");
        client.check("BLMOVE b c LEFT LEFT 0.01", "_\r\n");
    }

    fn sorted_sets_are_waited_for(peer) {
        let server = peer.start();
        let mut client = server.client();
        let mut low = blocked(&server, "BZPOPMIN y z 0", 1);
        let mut high = blocked(&server, "BZPOPMAX z 0", 2);
        let mut many = blocked(&server, "BZMPOP 0 2 z y MIN COUNT 2", 3);
        client.check("ZADD z 1 a 2 b 3 c 4 d 5 e", ":5\r\n");
        low.expect("*3\r\n$1\r\nz\r\n$1\r\na\r\n$1\r\n1\r\n");
        high.expect("*3\r\n$1\r\nz\r\n$1\r\ne\r\n$1\r\n5\r\n");
        many.expect("*2\r\n$1\r\nz\r\n*2\r\n*2\r\n$1\r\nb\r\n$1\r\n2\r\n*2\r\n$1\r\nc\r\n$1\r\n3\r\n");
        client.check("ZCARD z", ":1\r\n");
        low.call("HELLO 3");
        low.send("BZPOPMIN w 0\r\n");
        wait_for_blocked(&server, 1);
        client.check("ZINCRBY w 1.5 m", "$3\r\n1.5\r\n");
        low.expect("*3\r\n$1\r\nw\r\n$1\r\nm\r\n,1.5\r\n");
    }

    fn elements_are_moved_along_a_chain(peer) {
        let server = peer.start();
        let mut client = server.client();
        let mut last = blocked(&server, "BLPOP c 0", 1);
        let mut second = blocked(&server, "BLMOVE b c LEFT RIGHT 0", 2);
        let mut first = blocked(&server, "BRPOPLPUSH a b 0", 3);
        client.send("RPUSH a x\r\nEXISTS a b c\r\n");
        client.expect(":1\r\n:0\r\n");
        first.expect("$1\r\nx\r\n");
        second.expect("$1\r\nx\r\n");
        last.expect(pair("c", "x"));
        // A circle turns for each that waits.
        let mut first = blocked(&server, "BRPOPLPUSH a b 0", 1);
        let mut second = blocked(&server, "BRPOPLPUSH b a 0", 2);
        client.check("RPUSH a y", ":1\r\n");
        first.expect("$1\r\ny\r\n");
        second.expect("$1\r\ny\r\n");
        client.check("LRANGE a 0 -1", "*1\r\n$1\r\ny\r\n");
        let mut own = blocked(&server, "BLMOVE s s LEFT RIGHT 0", 1);
        client.check("RPUSH s 1 2", ":2\r\n");
        own.expect("$1\r\n1\r\n");
        client.check("LRANGE s 0 -1", "*2\r\n$1\r\n2\r\n$1\r\n1\r\n");
    }

    fn other_types_do_not_wake(peer) {
        let server = peer.start();
        let mut client = server.client();
        let mut list = blocked(&server, "BLPOP k 0", 1);
        let mut zset = blocked(&server, "BZPOPMIN k 0", 2);
        client.check("SET k v", "+OK\r\n");
        client.check("DEL k", ":1\r\n");
        client.check("SADD k v", ":1\r\n");
        client.check("DEL k", ":1\r\n");
        client.check("ZADD k 1 m", ":1\r\n");
        zset.expect("*3\r\n$1\r\nk\r\n$1\r\nm\r\n$1\r\n1\r\n");
        client.check("RPUSH k x", ":1\r\n");
        list.expect(pair("k", "x"));
        client.check("SET k v", "+OK\r\n");
        client.check("BLPOP k 0", WRONG_TYPE);
        client.check("BLPOP missing k 0", WRONG_TYPE);
        client.check("BZPOPMAX k 0", WRONG_TYPE);
        client.check("BLMOVE k d LEFT LEFT 0", WRONG_TYPE);
    }

    fn a_destination_of_another_type_is_an_error_when_its_turn_comes(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET d v", "+OK\r\n");
        let mut mover = blocked(&server, "BLMOVE s d LEFT LEFT 0", 1);
        let mut popper = blocked(&server, "BLPOP s 0", 2);
        client.check("RPUSH s x", ":1\r\n");
        mover.expect(WRONG_TYPE);
        popper.expect(pair("s", "x"));
        client.check("GET d", "$1\r\nv\r\n");
    }

    fn whatever_makes_a_list_wakes(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("RPUSH source a", ":1\r\n");
        let mut waiter = blocked(&server, "BLPOP l 0", 1);
        client.check("RENAME source l", "+OK\r\n");
        waiter.expect(pair("l", "a"));
        client.check("RPUSH source b", ":1\r\n");
        let mut waiter = blocked(&server, "BLPOP l 0", 1);
        client.check("COPY source l", ":1\r\n");
        waiter.expect(pair("l", "b"));
        let dump = client.call("DUMP source");
        let mut waiter = blocked(&server, "BLPOP l 0", 1);
        let request: [&[u8]; 4] = [b"RESTORE", b"l", b"0", dump.bytes()];
        assert_eq!(client.request(&request).text(), "OK");
        waiter.expect(pair("l", "b"));
        let mut waiter = blocked(&server, "BLPOP l 0", 1);
        client.check("SORT source ALPHA STORE l", ":1\r\n");
        waiter.expect(pair("l", "b"));
        let mut waiter = blocked(&server, "BLPOP l 0", 1);
        client.check("LMOVE source l LEFT LEFT", "$1\r\nb\r\n");
        waiter.expect(pair("l", "b"));
        client.check("RPUSH l c", ":1\r\n");
        client.check("SELECT 1", "+OK\r\n");
        let mut other = server.client();
        other.check("SELECT 1", "+OK\r\n");
        other.send("BLPOP l 0\r\n");
        wait_for_blocked(&server, 1);
        client.check("SELECT 0", "+OK\r\n");
        client.check("MOVE l 1", ":1\r\n");
        other.expect(pair("l", "c"));
        other.send("BLPOP l 0\r\n");
        wait_for_blocked(&server, 1);
        client.check("RPUSH l d", ":1\r\n");
        client.check("SWAPDB 0 1", "+OK\r\n");
        other.expect(pair("l", "d"));
    }

    fn whatever_makes_a_sorted_set_wakes(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("ZADD source 1 a", ":1\r\n");
        client.check("GEOADD places 0 0 p", ":1\r\n");
        let a = "*3\r\n$1\r\nz\r\n$1\r\na\r\n$1\r\n1\r\n";
        let requests = ["ZUNIONSTORE z 1 source", "ZINTERSTORE z 1 source", "ZDIFFSTORE z 1 source", "ZRANGESTORE z source 0 -1", "COPY source z"];
        for request in requests {
            let mut waiter = blocked(&server, "BZPOPMIN z 0", 1);
            client.check(request, ":1\r\n");
            waiter.expect(a);
        }
        let mut waiter = blocked(&server, "BZMPOP 0 1 z MIN", 1);
        client.check("GEOSEARCHSTORE z places FROMLONLAT 0 0 BYRADIUS 1 km ASC", ":1\r\n");
        assert_eq!(waiter.read().items().len(), 2);
    }

    fn others_unblock_a_client(peer) {
        let server = peer.start();
        let mut client = server.client();
        let mut waiter = server.client();
        let id = id_of(&mut waiter);
        client.check(&format!("CLIENT UNBLOCK {id}"), ":0\r\n");
        for (how, expected) in [
            ("", "*-1\r\n"),
            ("TIMEOUT", "*-1\r\n"),
            ("ERROR", "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"),
        ] {
            waiter.send("BLPOP l 0\r\n");
            wait_for_blocked(&server, 1);
            client.check(&format!("CLIENT UNBLOCK {id} {how}"), ":1\r\n");
            client.check(&format!("CLIENT UNBLOCK {id} {how}"), ":0\r\n");
            client.check("RPUSH l a", ":1\r\n");
            client.check("LPOP l", "$1\r\na\r\n");
            waiter.expect(expected);
            wait_for_blocked(&server, 0);
        }
        client.check("CLIENT UNBLOCK 123456", ":0\r\n");
        client.check("CLIENT UNBLOCK x", "-ERR value is not an integer or out of range\r\n");
        client.check(&format!("CLIENT UNBLOCK {id} NOW"), "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n");
        waiter.expect_open();
    }

    fn a_blocked_client_is_listed_as_such(peer) {
        let server = peer.start();
        let mut waiter = server.client();
        let id = id_of(&mut waiter);
        waiter.send("BLPOP l 0\r\n");
        wait_for_blocked(&server, 1);
        let mut client = server.client();
        let line = client.call(&format!("CLIENT LIST ID {id}"));
        assert!(line.text().contains(" flags=b ") && line.text().contains(" cmd=blpop "), "{}", line.text());
        client.check("RPUSH l a", ":1\r\n");
        waiter.expect(pair("l", "a"));
        wait_for_blocked(&server, 0);
        let line = client.call(&format!("CLIENT LIST ID {id}"));
        assert!(line.text().contains(" flags=N "), "{}", line.text());
    }

    fn whoever_is_killed_or_hangs_up_takes_nothing(peer) {
        let server = peer.start();
        let mut client = server.client();
        let mut killed = server.client();
        let id = id_of(&mut killed);
        killed.send("BLPOP l 0\r\n");
        wait_for_blocked(&server, 1);
        let gone = blocked(&server, "BLPOP l 0", 2);
        let mut half_closed = blocked(&server, "BLPOP l 0", 3);
        let mut alive = blocked(&server, "BLPOP l 0", 4);
        client.check(&format!("CLIENT KILL ID {id}"), ":1\r\n");
        assert_eq!(killed.read_to_end(), b"");
        drop(gone);
        half_closed.finish_sending();
        assert_eq!(half_closed.read_to_end(), b"");
        wait_for_blocked(&server, 1);
        client.check("RPUSH l a", ":1\r\n");
        alive.expect(pair("l", "a"));
    }

    fn what_follows_a_blocked_command_waits(peer) {
        let server = peer.start();
        let mut client = server.client();
        let mut waiter = server.client();
        waiter.send("SET a 1\r\nGET a\r\nBLPOP l 0\r\nGET a\r\nBLPOP l 0\r\n*2\r\n$3\r\nGE");
        waiter.expect("+OK\r\n$1\r\n1\r\n");
        wait_for_blocked(&server, 1);
        client.check("SET a 2", "+OK\r\n");
        waiter.send("T\r\n$1\r\na\r\nSET a 3\r\n");
        client.check("GET a", "$1\r\n2\r\n");
        client.check("RPUSH l x", ":1\r\n");
        waiter.expect(format!("{}$1\r\n2\r\n", pair("l", "x")));
        wait_for_blocked(&server, 1);
        waiter.send("GET \"a\"\r\nBLPOP l");
        client.check("GET a", "$1\r\n2\r\n");
        client.check("RPUSH l y", ":1\r\n");
        waiter.expect(format!("{}$1\r\n2\r\n+OK\r\n$1\r\n3\r\n", pair("l", "y")));
        waiter.send(" 0\r\nPING\r\n");
        wait_for_blocked(&server, 1);
        client.check("RPUSH l z", ":1\r\n");
        waiter.expect(format!("{}+PONG\r\n", pair("l", "z")));
        waiter.expect_open();
    }

    fn a_malformed_request_behind_a_blocked_command_closes_after_its_reply(peer) {
        let server = peer.start();
        let mut client = server.client();
        let mut waiter = server.client();
        waiter.send("BLPOP l 0\r\n*1\r\n!\r\n");
        wait_for_blocked(&server, 1);
        client.check("RPUSH l x", ":1\r\n");
        waiter.expect(format!("{}-ERR Protocol error: expected '$', got '!'\r\n", pair("l", "x")));
        assert_eq!(waiter.read_to_end(), b"");
    }

    fn many_served_by_one_push(peer) {
        const WAITERS: usize = 300;
        let server = peer.start();
        let mut waiters: Vec<Client> = (0..WAITERS).map(|_| server.client()).collect();
        for (i, waiter) in waiters.iter_mut().enumerate() {
            waiter.send(format!("BLPOP l{} l 0\r\n", i % 7));
            if i % 50 == 49 {
                wait_for_blocked(&server, i + 1);
            }
        }
        let mut client = server.client();
        let values: Vec<String> = (0..WAITERS + 1).map(|i| i.to_string()).collect();
        client.check(&format!("RPUSH l {}", values.join(" ")), format!(":{}\r\n", WAITERS + 1));
        let mut found: Vec<usize> = waiters.iter_mut().map(|waiter| waiter.read().items()[1].text().parse().unwrap()).collect();
        found.sort_unstable();
        assert_eq!(found, (0..WAITERS).collect::<Vec<_>>());
        client.check("LLEN l", ":1\r\n");
        wait_for_blocked(&server, 0);
    }

    fn replies_that_are_turned_off_stay_off(peer) {
        let server = peer.start();
        let mut client = server.client();
        let mut waiter = blocked(&server, "CLIENT REPLY SKIP\r\nBLPOP l 0\r\nPING", 1);
        client.check("RPUSH l x", ":1\r\n");
        waiter.expect("+PONG\r\n");
        waiter.send("CLIENT REPLY OFF\r\nBLPOP l 0\r\nBLPOP l 0.01\r\n");
        wait_for_blocked(&server, 1);
        client.check("RPUSH l x", ":1\r\n");
        waiter.send("CLIENT REPLY ON\r\n");
        waiter.expect("+OK\r\n");
        client.check("EXISTS l", ":0\r\n");
    }
}

each_engine! {
    /// Redis 8.10.
    fn several_elements_are_waited_for(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("RPUSH l a b c", ":3\r\n");
        client.check("BLMOVEM l m LEFT RIGHT 0", "*1\r\n$1\r\na\r\n");
        client.check("BLMOVEM l m LEFT LEFT 0 COUNT 5 OBO", "*2\r\n$1\r\nc\r\n$1\r\nb\r\n");
        // COUNT takes what comes first.
        let mut waiter = blocked(&server, "BLMOVEM l n LEFT RIGHT 0 COUNT 5 BULK", 1);
        client.check("RPUSH l a b", ":2\r\n");
        waiter.expect("*2\r\n$1\r\na\r\n$1\r\nb\r\n");
        // EXACTLY waits until there are enough, and lets others pass.
        let mut waiter = blocked(&server, "BLMOVEM l n RIGHT LEFT 0 EXACTLY 3 BULK", 1);
        client.check("RPUSH l a b", ":2\r\n");
        let mut other = server.client();
        other.check("BLPOP l 0", pair("l", "a"));
        client.check("RPUSH l c", ":2\r\n");
        assert!(!waiter.has_arrived());
        client.check("RPUSH l d e", ":4\r\n");
        waiter.expect("*3\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n");
        client.check("LRANGE l 0 -1", "*1\r\n$1\r\nb\r\n");
        client.check("LRANGE n 0 -1", "*5\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\na\r\n$1\r\nb\r\n");
        // Those behind one who waits for more are served.
        let mut waiter = blocked(&server, "BLMOVEM q n LEFT RIGHT 0 EXACTLY 3 OBO", 1);
        let mut behind = blocked(&server, "BLPOP q 0", 2);
        client.check("RPUSH q x", ":1\r\n");
        behind.expect(pair("q", "x"));
        client.check("RPUSH q x y z", ":3\r\n");
        assert_eq!(waiter.read().items().len(), 3);
        // In time, in a transaction, and what is wrong.
        client.check("BLMOVEM q n LEFT RIGHT 0.01 EXACTLY 2 OBO", "*-1\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("BLMOVEM q n LEFT RIGHT 0", "+QUEUED\r\n");
        client.check("EXEC", "*1\r\n*-1\r\n");
        client.check("SET k v", "+OK\r\n");
        for (arguments, error) in [
            ("l n LEFT RIGHT", "-ERR wrong number of arguments for 'blmovem' command\r\n"),
            ("l n LEFT UP 0", "-ERR syntax error\r\n"),
            ("l n LEFT RIGHT 0 COUNT 1", "-ERR syntax error\r\n"),
            ("l n LEFT RIGHT 0 COUNT 1 SORTED", "-ERR syntax error\r\n"),
            ("l n LEFT RIGHT 0 COUNT 0 OBO", "-ERR count should be greater than 0\r\n"),
            ("l n LEFT RIGHT x", "-ERR timeout is not a float or out of range\r\n"),
            ("l n LEFT RIGHT -1", "-ERR timeout is negative\r\n"),
            ("k n LEFT RIGHT 0", WRONG_TYPE),
            ("l k LEFT RIGHT 0", WRONG_TYPE),
        ] {
            client.check(&format!("BLMOVEM {arguments}"), error);
        }
        client.check("LLEN l", ":1\r\n");
    }

    fn timeouts_beyond_the_end_of_time_are_refused(peer) {
        let server = peer.start();
        let mut client = server.client();
        for timeout in ["inf", "1e16", "9223372036854775807", "1e400"] {
            client.check(&format!("BLPOP l {timeout}"), "-ERR timeout is out of range\r\n");
        }
        client.check("BLPOP l -inf", "-ERR timeout is negative\r\n");
        // The longest that are taken.
        let waiter = blocked(&server, "BLPOP l 9220000000000000", 1);
        drop(waiter);
        wait_for_blocked(&server, 0);
    }

    fn a_server_stops_although_clients_wait(peer) {
        let mut server = peer.start();
        let mut waiter = blocked(&server, "BLPOP l 0", 1);
        server.client().send("SHUTDOWN\r\n");
        assert_eq!(waiter.read_to_end(), b"");
        assert!(server.wait().success());
    }

    fn too_much_behind_a_blocked_command_ends_the_connection(peer) {
        let server = peer.start_with(&["--client-query-buffer-limit", "1mb"]);
        let mut waiter = blocked(&server, "BLPOP l 0", 1);
        let _ = waiter.try_send(vec![b'x'; 4 << 20]);
        wait_for_blocked(&server, 0);
        server.wait_for_log("client-query-buffer-limit");
        server.client().check("RPUSH l a", ":1\r\n");
        server.client().check("LLEN l", ":1\r\n");
    }

    fn many_time_outs_at_once_leave_nobody_in_line(peer) {
        const WAITERS: usize = 500;
        let server = peer.start();
        let mut waiters: Vec<Client> = (0..WAITERS).map(|_| server.client()).collect();
        waiters.iter_mut().for_each(|waiter| waiter.send("BLPOP l m 0.3\r\n"));
        waiters.iter_mut().for_each(|waiter| waiter.expect("*-1\r\n"));
        wait_for_blocked(&server, 0);
        let mut client = server.client();
        client.check("RPUSH l a", ":1\r\n");
        client.check("LLEN l", ":1\r\n");
    }

    /// Workers wait on several queues, time out, hang up and are killed; producers push in several ways.
    fn every_element_arrives_exactly_once(peer) {
        every_element_once(peer, 0x5EED);
    }
}

const QUEUES: usize = 3;
const PRODUCERS: usize = 3;
const WORKERS: usize = 12;
const ELEMENTS: usize = 400;

/// What the threads of the test share.
struct Shared {
    server: Server,
    /// How often each element arrived.
    arrived: Mutex<BTreeMap<String, usize>>,
    /// The connection of each worker.
    ids: Vec<AtomicI64>,
    pushed: AtomicUsize,
    started: Instant,
}

impl Shared {
    fn is_over(&self) -> bool {
        let arrived = self.arrived.lock().expect("no thread panics").len();
        arrived == PRODUCERS * ELEMENTS || self.started.elapsed() > PATIENCE
    }

    fn note(&self, reply: &Value) {
        // A move answers with the element alone, and leaves it in the last queue: it has not arrived yet.
        if let Value::Array(items) = reply
            && let Some(element) = items.last()
        {
            *self.arrived.lock().expect("no thread panics").entry(element.text()).or_default() += 1;
        }
    }
}

fn every_element_once(peer: Peer, seed: u64) {
    let shared = Shared {
        server: peer.start(),
        arrived: Mutex::default(),
        ids: (0..WORKERS).map(|_| AtomicI64::new(0)).collect(),
        pushed: AtomicUsize::new(0),
        started: Instant::now(),
    };
    std::thread::scope(|scope| {
        let shared = &shared;
        (0..PRODUCERS).for_each(|i| _ = scope.spawn(move || produce(shared, i, seed)));
        (0..WORKERS).for_each(|i| _ = scope.spawn(move || work(shared, i, seed)));
        scope.spawn(move || kill(shared, seed));
    });
    let arrived = shared.arrived.into_inner().expect("no thread panics");
    let twice: Vec<_> = arrived.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "seed {seed:#x}: more than once: {twice:?}");
    assert_eq!(arrived.len(), PRODUCERS * ELEMENTS, "seed {seed:#x}: lost");
    wait_for_blocked(&shared.server, 0);
    shared.server.client().check("EXISTS q0 q1 q2", ":0\r\n");
}

fn produce(shared: &Shared, number: usize, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed + number as u64);
    let mut client = shared.server.client();
    let mut at = 0;
    while at < ELEMENTS {
        let count = random.usize(1..=4).min(ELEMENTS - at);
        let elements: Vec<String> = (at..at + count).map(|i| format!("{number}-{i}")).collect();
        let push = format!(
            "{} q{} {}\r\n",
            random.choice(["RPUSH", "LPUSH"]).expect("two"),
            random.usize(..QUEUES),
            elements.join(" ")
        );
        if random.bool() {
            client.send(push);
            client.read();
        } else {
            client.send(format!("MULTI\r\n{push}EXEC\r\n"));
            (0..3).for_each(|_| _ = client.read());
        }
        at += count;
        shared.pushed.fetch_add(count, Ordering::Relaxed);
        if random.u8(..8) == 0 {
            std::thread::sleep(Duration::from_millis(random.u64(..3)));
        }
    }
}

fn work(shared: &Shared, number: usize, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed + 1000 + number as u64);
    while !shared.is_over() {
        let mut client = shared.server.client();
        client.send("CLIENT ID\r\n");
        let Some(id) = client.try_read() else { continue };
        shared.ids[number].store(id.int(), Ordering::Relaxed);
        while !shared.is_over() {
            let queue = random.usize(..QUEUES);
            let timeout = random.choice(["0.002", "0.05"]).expect("two");
            let request = match random.u8(..4) {
                0 => format!("BLPOP q{queue} {timeout}\r\n"),
                1 => format!("BRPOP q0 q1 q2 {timeout}\r\n"),
                2 => format!("BLMPOP {timeout} 2 q{queue} q{} RIGHT\r\n", random.usize(..QUEUES)),
                _ => format!("BLMOVE q{queue} q{} LEFT RIGHT {timeout}\r\n", random.usize(..QUEUES)),
            };
            if client.try_send(request).is_err() {
                break;
            }
            let hangs_up = random.u8(..10) == 0;
            if hangs_up {
                // What arrives nevertheless is read; what does not stays.
                client.finish_sending();
            }
            let reply = client.try_read();
            let Some(reply) = reply else { break };
            match &reply {
                Value::Array(items) if items.len() == 2 && matches!(items[1], Value::Array(_)) => {
                    shared.note(&items[1])
                }
                _ => shared.note(&reply),
            }
            if hangs_up {
                break;
            }
        }
    }
}

fn kill(shared: &Shared, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed + 5000);
    let mut client = shared.server.client();
    while !shared.is_over() {
        let id = shared.ids[random.usize(..WORKERS)].load(Ordering::Relaxed);
        let how = random.choice(["CLIENT KILL ID {}", "CLIENT UNBLOCK {}", "CLIENT UNBLOCK {} ERROR"]).expect("three");
        client.call(&how.replace("{}", &id.to_string()));
        std::thread::sleep(Duration::from_millis(random.u64(..4)));
    }
}
