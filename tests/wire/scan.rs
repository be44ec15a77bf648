//! SCAN: every key that stays is returned, whatever else happens.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Client, each_engine, same_as_redis};

/// Walks to the end; returns how often each key came, and the number of calls.
fn walk(client: &mut Client, options: &str) -> (BTreeMap<String, usize>, usize) {
    let (mut found, mut cursor, mut calls) = (BTreeMap::new(), "0".to_owned(), 0);
    loop {
        let reply = client.call(&format!("SCAN {cursor} {options}"));
        calls += 1;
        for key in reply.items()[1].items() {
            *found.entry(key.text()).or_insert(0) += 1;
        }
        cursor = reply.items()[0].text();
        if cursor == "0" {
            return (found, calls);
        }
    }
}

same_as_redis! {
    fn the_cursor_is_looked_at_before_the_options(peer) {
        let server = peer.start();
        server.client().check("SCAN abc COUNT 0", "-ERR invalid cursor\r\n");
    }

    fn the_empty_name_matches_a_star_alone_and_the_empty_pattern(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check(r#"SADD s """#, ":1\r\n");
        client.check(r#"SET "" v"#, "+OK\r\n");
        let (member, key) = ("*2\r\n$1\r\n0\r\n*1\r\n$0\r\n\r\n", "*1\r\n$0\r\n\r\n");
        client.check("SSCAN s 0 MATCH *", member);
        client.check(r#"SSCAN s 0 MATCH """#, member);
        client.check(r#"KEYS """#, key);
        for pattern in ["**", "?", "[^a]"] {
            client.check(&format!("SSCAN s 0 MATCH {pattern}"), "*2\r\n$1\r\n0\r\n*0\r\n");
            client.check(&format!("KEYS {pattern}"), "*1\r\n$1\r\ns\r\n");
        }
    }

    fn scan_of_an_empty_database(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SCAN 0", "*2\r\n$1\r\n0\r\n*0\r\n");
        client.check("SET k v", "+OK\r\n");
        client.check("SCAN 0 COUNT 1000", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n");
        client.check("SELECT 1", "+OK\r\n");
        client.check("SCAN 0 COUNT 1000", "*2\r\n$1\r\n0\r\n*0\r\n");
    }

    fn scan_returns_each_key_once_when_nothing_changes(peer) {
        let server = peer.start();
        let mut client = server.client();
        for i in 0..1000 {
            client.check(&format!("SET key:{i} v"), "+OK\r\n");
        }
        for options in ["", "COUNT 1", "COUNT 7", "count 100", "COUNT 100000", "COUNT 9223372036854775807"] {
            let (found, _) = walk(&mut client, options);
            assert_eq!(found.len(), 1000, "{options}");
            assert!(found.values().all(|&times| times == 1), "{options}");
        }
    }

    fn scan_filters(peer) {
        let server = peer.start();
        let mut client = server.client();
        for i in 0..200 {
            client.check(&format!("SET string:{i} v"), "+OK\r\n");
            client.check(&format!("RPUSH list:{i} v"), ":1\r\n");
        }
        assert_eq!(walk(&mut client, "MATCH string:*").0.len(), 200);
        assert_eq!(walk(&mut client, "MATCH *:1?").0.len(), 20);
        assert_eq!(walk(&mut client, "TYPE list").0.len(), 200);
        assert_eq!(walk(&mut client, "TYPE LIST COUNT 50").0.len(), 200);
        assert_eq!(walk(&mut client, "TYPE list MATCH string*").0.len(), 0);
        assert_eq!(walk(&mut client, "MATCH * TYPE string").0.len(), 200);
        assert_eq!(walk(&mut client, "TYPE zset").0.len(), 0);
        assert_eq!(walk(&mut client, "TYPE nosuchtype").0.len(), 0);
        assert_eq!(walk(&mut client, "MATCH x MATCH list:5").0.len(), 1);
    }

    fn scan_refuses_bad_arguments(peer) {
        let server = peer.start();
        let mut client = server.client();
        for cursor in ["abc", "18446744073709551616", "1.5", "\"1 \""] {
            client.check(&format!("SCAN {cursor}"), "-ERR invalid cursor\r\n");
        }
        for cursor in ["9223372036854775808", "18446744073709551615", "12345"] {
            assert_eq!(client.call(&format!("SCAN {cursor} COUNT 10")).items().len(), 2, "{cursor}");
        }
        for options in ["COUNT 0", "COUNT -1", "MATCH", "COUNT", "TYPE", "bogus", "bogus 1", "COUNT 1 MATCH"] {
            client.check(&format!("SCAN 0 {options}"), "-ERR syntax error\r\n");
        }
        for options in ["COUNT x", "COUNT 1.5", "COUNT 9223372036854775808"] {
            client.check(&format!("SCAN 0 {options}"), "-ERR value is not an integer or out of range\r\n");
        }
        client.check("SCAN", "-ERR wrong number of arguments for 'scan' command\r\n");
    }

    fn scan_returns_what_stays_while_the_table_grows(peer) {
        let server = peer.start();
        let mut client = server.client();
        let stays: BTreeSet<String> = (0..500).map(|i| format!("stays:{i}")).collect();
        for key in &stays {
            client.check(&format!("SET {key} v"), "+OK\r\n");
        }
        let (mut found, mut cursor, mut added) = (BTreeSet::new(), "0".to_owned(), 0);
        loop {
            let reply = client.call(&format!("SCAN {cursor} COUNT 5"));
            found.extend(reply.items()[1].items().iter().map(crate::support::Value::text));
            cursor = reply.items()[0].text();
            if cursor == "0" {
                break;
            }
            // The table doubles several times, and some of what was added goes again.
            if added < 20_000 {
                for i in added..added + 200 {
                    client.send(format!("SET comes:{i} v\r\nDEL comes:{}\r\n", i / 2));
                }
                for _ in 0..400 {
                    client.read();
                }
                added += 200;
            }
        }
        assert!(stays.is_subset(&found), "lost: {:?}", stays.difference(&found).collect::<Vec<_>>());
    }
}

each_engine! {
    /// Redis takes these for cursors, since it reads them with `strtoul`.
    fn scan_refuses_cursors_that_it_never_returned(peer) {
        let server = peer.start();
        let mut client = server.client();
        for cursor in ["-1", "\"\"", "+1"] {
            client.check(&format!("SCAN {cursor}"), "-ERR invalid cursor\r\n");
        }
    }

    fn scan_looks_at_about_count_keys_a_call(peer) {
        let server = peer.start();
        let mut client = server.client();
        for i in 0..5000 {
            client.check(&format!("SET key:{i} v"), "+OK\r\n");
        }
        let (found, calls) = walk(&mut client, "COUNT 100");
        assert_eq!(found.len(), 5000);
        assert!((25..=51).contains(&calls), "{calls}");
    }

    /// A walk over all keys leaves room for others between its slices.
    fn keys_and_scan_of_many_keys_are_complete(peer) {
        let server = peer.start();
        let mut client = server.client();
        let mut request = vec!["MSET".to_owned()];
        request.extend((0..30_000).flat_map(|i| [format!("key:{i}"), String::new()]));
        assert_eq!(client.request(&request).text(), "OK");
        let mut other = server.client();
        client.send("KEYS *\r\nSCAN 0 COUNT 9223372036854775807\r\nKEYS key:1234?\r\nPING\r\n");
        other.check("PING", "+PONG\r\n");
        assert_eq!(client.read().items().len(), 30_000);
        let scanned = client.read();
        assert_eq!(scanned.items()[0].text(), "0");
        assert_eq!(scanned.items()[1].items().len(), 30_000);
        assert_eq!(client.read().items().len(), 10);
        client.expect("+PONG\r\n");
    }
}
