//! OBJECT, and which commands count as an access.

use crate::support::{Client, Value, each_engine, same_as_redis};

same_as_redis! {
    fn object_encoding(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("OBJECT ENCODING k", "$-1\r\n");
        client.check("SET k 123", "+OK\r\n");
        client.check("OBJECT ENCODING k", "$3\r\nint\r\n");
        client.check("SET k abc", "+OK\r\n");
        client.check("object encoding k", "$6\r\nembstr\r\n");
        client.request(&["SET", "k", &"x".repeat(44)]);
        client.check("OBJECT ENCODING k", "$6\r\nembstr\r\n");
        client.request(&["SET", "k", &"x".repeat(45)]);
        client.check("OBJECT ENCODING k", "$3\r\nraw\r\n");
        client.check("SADD s 1 2 3", ":3\r\n");
        client.check("OBJECT ENCODING s", "$6\r\nintset\r\n");
        client.check("HSET h f v", ":1\r\n");
        client.check("OBJECT ENCODING h", "$8\r\nlistpack\r\n");
        client.request(&["HSET", "h", "f", &"x".repeat(65)]);
        client.check("OBJECT ENCODING h", "$9\r\nhashtable\r\n");
        client.check("OBJECT", "-ERR wrong number of arguments for 'object' command\r\n");
        client.check("OBJECT ENCODING", "-ERR wrong number of arguments for 'object|encoding' command\r\n");
        client.check("OBJECT bogus k", "-ERR unknown subcommand 'bogus'. Try OBJECT HELP.\r\n");
    }

    fn a_missing_key_has_no_properties(peer) {
        let server = peer.start();
        let mut client = server.client();
        for name in ["encoding", "freq", "idletime", "refcount"] {
            client.check(&format!("OBJECT {name} k"), "$-1\r\n");
            let error = format!("-ERR wrong number of arguments for 'object|{name}' command\r\n");
            client.check(&format!("OBJECT {name}"), &error);
            client.check(&format!("OBJECT {name} k x"), &error);
        }
    }

    fn frequencies_are_not_counted(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k v", "+OK\r\n");
        client.check("OBJECT REFCOUNT k", ":1\r\n");
        client.check(
            "OBJECT FREQ k",
            "-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
             switching between policies at runtime LRU and LFU data will take some time to adjust.\r\n",
        );
    }

    fn looking_at_a_key_is_no_access_but_using_it_is(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k 5", "+OK\r\n");
        let payload = client.request(&["DUMP", "k"]);
        let Value::Bulk(payload) = payload else { panic!("{payload:?}") };
        let reset = |client: &mut Client| {
            let arguments: [&[u8]; 7] = [b"RESTORE", b"k", b"0", &payload, b"REPLACE", b"IDLETIME", b"1000"];
            assert_eq!(client.request(&arguments), Value::Simple("OK".into()));
        };
        let idle = |client: &mut Client, key: &str| client.call(&format!("OBJECT IDLETIME {key}")).int();
        for look in ["EXISTS k", "TYPE k", "TTL k", "PEXPIRETIME k", "OBJECT ENCODING k", "OBJECT REFCOUNT k", "MEMORY USAGE k"] {
            reset(&mut client);
            client.call(look);
            assert!(idle(&mut client, "k") >= 1000, "{look}");
        }
        for usage in ["GET k", "TOUCH k", "MGET k", "EXPIRE k 100", "PERSIST k", "SET k 6", "INCR k", "LPUSH k x", "COPY k to REPLACE", "DUMP k"] {
            reset(&mut client);
            client.call(usage);
            assert!(idle(&mut client, "k") < 1000, "{usage}");
        }
        reset(&mut client);
        client.check("RENAME k to", "+OK\r\n");
        assert!(idle(&mut client, "to") < 1000);
    }
}

each_engine! {
    /// Redis 7.0 has other encodings for short lists and sets of words; later versions have these.
    fn object_encoding_of_redis_7_2(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("RPUSH l a", ":1\r\n");
        client.check("OBJECT ENCODING l", "$8\r\nlistpack\r\n");
        client.check("SADD s a", ":1\r\n");
        client.check("OBJECT ENCODING s", "$8\r\nlistpack\r\n");
        client.request(&["SADD", "s", &"x".repeat(65)]);
        client.check("OBJECT ENCODING s", "$9\r\nhashtable\r\n");
        client.request(&["RPUSH", "l", &"x".repeat(10_000)]);
        client.check("OBJECT ENCODING l", "$9\r\nquicklist\r\n");
    }

    fn a_client_without_a_trace_touches_on_purpose_only(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k 5", "+OK\r\n");
        let Value::Bulk(payload) = client.request(&["DUMP", "k"]) else { panic!("no payload") };
        let arguments: [&[u8]; 7] = [b"RESTORE", b"k", b"0", &payload, b"REPLACE", b"IDLETIME", b"1000"];
        client.request(&arguments);
        client.check("CLIENT NO-TOUCH ON", "+OK\r\n");
        for usage in ["GET k", "EXPIRE k 100", "INCR k", "DEL missing k2"] {
            client.call(usage);
            assert!(client.call("OBJECT IDLETIME k").int() >= 1000, "{usage}");
        }
        client.check("TOUCH k", ":1\r\n");
        assert!(client.call("OBJECT IDLETIME k").int() < 1000);
    }

    /// The sizes are Kiba's own; they follow what is stored.
    fn memory_of_every_type(peer) {
        let server = peer.start();
        let mut client = server.client();
        for command in ["SET", "RPUSH", "SADD", "HSET", "ZADD"] {
            let mut sizes = Vec::new();
            for count in [2_usize, 2000] {
                let key = format!("{command}:{count}");
                let word = |i: usize| if command == "ZADD" && i.is_multiple_of(2) { format!("{i}") } else { format!("word-{i}") };
                let words: Vec<String> = match command {
                    "SET" => vec!["x".repeat(count * 10)],
                    _ => (0..count).map(word).collect(),
                };
                client.request(&[vec![command.to_owned(), key.clone()], words].concat());
                sizes.push(client.call(&format!("MEMORY USAGE {key}")).int());
            }
            assert!((20..150).contains(&sizes[0]) && (8_000..200_000).contains(&sizes[1]), "{command}: {sizes:?}");
        }
        client.check("HSET timed f v g w", ":2\r\n");
        let plain = client.call("MEMORY USAGE timed").int();
        client.check("HPEXPIREAT timed 33177117420000 FIELDS 1 f", "*1\r\n:1\r\n");
        assert!(client.call("MEMORY USAGE timed").int() > plain);
    }

    /// Redis counts OBJECT.
    fn looking_at_a_key_is_neither_hit_nor_miss(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k v", "+OK\r\n");
        for look in ["OBJECT ENCODING k", "OBJECT IDLETIME k", "OBJECT REFCOUNT missing", "MEMORY USAGE k"] {
            client.call(look);
        }
        client.call("EXISTS k missing");
        let stats = client.call("INFO stats").text();
        assert!(stats.contains("keyspace_hits:1\r\nkeyspace_misses:1\r\n"), "{stats}");
    }
}
