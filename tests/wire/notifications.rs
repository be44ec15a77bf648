//! Keyspace notifications: which events there are, in which order, is what redis-server says.

use std::time::Duration;

use crate::support::{Client, Peer, Server, each_engine, same_as_redis};

/// Commands of all families, one a line. Some change nothing, some fail.
const COMMANDS: &str = include_str!("notifications.txt");

/// The messages that each command leads to, as lines behind it.
fn stream(server: &Server, flags: &str) -> Vec<String> {
    let (mut client, mut listener) = (server.client(), server.client());
    client.check(&format!("CONFIG SET notify-keyspace-events {flags}"), "+OK\r\n");
    listener.call("PSUBSCRIBE __key*");
    let mut lines = Vec::new();
    let commands = COMMANDS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    for (i, line) in commands.enumerate() {
        client.call(line);
        lines.push(format!("> {line}"));
        // Everything that came before is there when this is.
        client.call(&format!("PUBLISH __key__ {i}"));
        loop {
            let message = listener.read();
            let parts: Vec<String> = message.items()[2..].iter().map(|part| part.text()).collect();
            if parts[0] == "__key__" {
                assert_eq!(parts[1], i.to_string());
                break;
            }
            lines.push(parts.join(" "));
        }
    }
    lines
}

fn compare(peer: Peer, flags: &str) {
    if !Peer::has_redis() {
        return;
    }
    let (ours, theirs) = (stream(&peer.start(), flags), stream(&Peer::Redis.start(), flags));
    let split = |lines: &[String]| {
        let mut blocks: Vec<Vec<String>> = Vec::new();
        for line in lines {
            match line.strip_prefix("> ") {
                Some(command) => blocks.push(vec![command.to_owned()]),
                None => blocks.last_mut().expect("a command first").push(line.clone()),
            }
        }
        blocks
    };
    let different: Vec<String> = split(&ours)
        .into_iter()
        .zip(split(&theirs))
        .filter(|(ours, theirs)| ours != theirs)
        .map(|(ours, theirs)| format!("{}\n  expected {:?}\n  found    {:?}", ours[0], &theirs[1..], &ours[1..]))
        .collect();
    assert!(different.is_empty(), "{flags}:\n{}", different.join("\n"));
}

each_engine! {
    fn every_event_is_that_of_redis(peer) {
        compare(peer, "KEA");
    }

    fn new_keys_are_announced_as_by_redis(peer) {
        compare(peer, "En");
    }

    fn one_class_alone_is_published(peer) {
        for flags in ["Kg", "E$", "El", "Ks", "Eh", "Ez", "Ex", "A", "K", "lE"] {
            compare(peer, flags);
        }
    }
}

fn listen(server: &Server, flags: &str, pattern: &str) -> (Client, Client) {
    let (mut client, mut listener) = (server.client(), server.client());
    client.check(&format!("CONFIG SET notify-keyspace-events {flags}"), "+OK\r\n");
    listener.call(&format!("PSUBSCRIBE {pattern}"));
    (client, listener)
}

fn expect(listener: &mut Client, messages: &[(&str, &str)]) {
    for (channel, text) in messages {
        let message = listener.read();
        let parts: Vec<String> = message.items()[2..].iter().map(|part| part.text()).collect();
        assert_eq!(parts, [*channel, *text]);
    }
}

same_as_redis! {
    fn what_is_published_can_be_asked_for(peer) {
        let server = peer.start();
        let mut client = server.client();
        for (given, shown) in [("KEA", "AKE"), ("", ""), ("Ex", "xE"), ("g$lshzxetdKE", "AKE"), ("Km", "Km"), ("$hK", "$hK")] {
            client.check(&format!("CONFIG SET notify-keyspace-events \"{given}\""), "+OK\r\n");
            let found = client.call("CONFIG GET notify-keyspace-events").items()[1].text();
            assert_eq!(found, shown);
        }
        assert!(client.call("CONFIG SET notify-keyspace-events KQ").is_error());
    }

    fn keys_that_expire_are_announced_when_they_do(peer) {
        let server = peer.start();
        let (mut client, mut listener) = listen(&server, "Ex", "*");
        client.call("SET a 1 PX 30");
        client.call("HSET h f v");
        client.call("PEXPIRE h 60");
        // Redis looks ten times a second, and takes them in no order.
        let mut keys = [(); 2].map(|()| listener.read().items()[3].text());
        keys.sort();
        assert_eq!(keys, ["a", "h"]);
        client.call("DEBUG SET-ACTIVE-EXPIRE 0");
        client.call("SET b 1 PX 10");
        std::thread::sleep(Duration::from_millis(30));
        client.check("INCR b", ":1\r\n");
        expect(&mut listener, &[("__keyevent@0__:expired", "b")]);
    }

    fn events_of_a_transaction_come_in_its_order(peer) {
        let server = peer.start();
        let (mut client, mut listener) = listen(&server, "KEA", "*");
        client.call("MULTI");
        for command in ["SET a 1", "SELECT 3", "LPUSH b x", "LPOP b", "PUBLISH c own", "DEL a"] {
            client.call(command);
        }
        client.call("EXEC");
        expect(&mut listener, &[
            ("__keyspace@0__:a", "set"),
            ("__keyevent@0__:set", "a"),
            ("__keyspace@3__:b", "lpush"),
            ("__keyevent@3__:lpush", "b"),
            ("__keyspace@3__:b", "lpop"),
            ("__keyevent@3__:lpop", "b"),
            ("__keyspace@3__:b", "del"),
            ("__keyevent@3__:del", "b"),
            ("c", "own"),
        ]);
    }

    fn look_ups_that_miss_are_announced_if_asked_for(peer) {
        let server = peer.start();
        let (mut client, mut listener) = listen(&server, "Em", "*");
        client.call("SET a 1");
        for command in ["GET a", "GET x", "MGET a y", "EXISTS z", "TTL u", "HGET h f"] {
            client.call(command);
        }
        let event = "__keyevent@0__:keymiss";
        expect(&mut listener, &[(event, "x"), (event, "y"), (event, "z"), (event, "u"), (event, "h")]);
    }

    fn what_is_handed_to_who_waits_is_announced(peer) {
        let server = peer.start();
        let (mut client, mut listener) = listen(&server, "EA", "*");
        let mut waiter = server.client();
        for (wait, push, events) in [
            ("BLPOP q 0", "RPUSH q x", &["rpush q", "lpop q", "del q"][..]),
            ("BLMOVE q r LEFT RIGHT 0", "LPUSH q x", &["lpush q", "rpush r", "lpop q", "del q"]),
            ("BZPOPMIN z 0", "ZADD z 1 x", &["zadd z", "zpopmin z", "del z"]),
        ] {
            waiter.send(format!("{wait}\r\n"));
            while !client.call("INFO clients").text().contains("blocked_clients:1\r\n") {
                std::thread::yield_now();
            }
            client.call(push);
            waiter.read();
            for event in events {
                let (event, key) = event.split_once(' ').expect("two words");
                expect(&mut listener, &[(&format!("__keyevent@0__:{event}"), key)]);
            }
        }
    }

    fn keys_may_hold_any_bytes(peer) {
        let server = peer.start();
        let (mut client, mut listener) = (server.client(), server.client());
        client.check("CONFIG SET notify-keyspace-events KE$", "+OK\r\n");
        listener.call("SUBSCRIBE \"__keyspace@0__:\\0\\r\\n\\xff\"");
        client.check("SET \"\\0\\r\\n\\xff\" 1", "+OK\r\n");
        listener.expect(b"*3\r\n$7\r\nmessage\r\n$19\r\n__keyspace@0__:\0\r\n\xff\r\n$3\r\nset\r\n");
    }
}

each_engine! {
    /// Since 7.4.
    fn fields_that_expire_are_announced(peer) {
        let server = peer.start();
        let (mut client, mut listener) = listen(&server, "Ehg", "*");
        client.call("HSET h f 1 g 2");
        client.call("HPEXPIRE h 20 FIELDS 1 f");
        expect(&mut listener, &[
            ("__keyevent@0__:hset", "h"),
            ("__keyevent@0__:hexpire", "h"),
            ("__keyevent@0__:hexpired", "h"),
        ]);
        client.call("HPEXPIRE h 20 FIELDS 1 g");
        expect(&mut listener, &[
            ("__keyevent@0__:hexpire", "h"),
            ("__keyevent@0__:hexpired", "h"),
            ("__keyevent@0__:del", "h"),
        ]);
    }

    fn every_expired_key_is_announced_once(peer) {
        let server = peer.start();
        let (mut client, mut listener) = listen(&server, "Ex", "*");
        for i in 0..2000 {
            client.send(format!("SET k{i} v PX {}\r\n", 1 + i % 200));
        }
        let _ = client.read_many(2000);
        let mut keys: Vec<String> = (0..2000).map(|_| listener.read().items()[3].text()).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 2000);
        client.check("PUBLISH end x", ":1\r\n");
        expect(&mut listener, &[("end", "x")]);
    }
}
