//! The keys of a database: KEYS RANDOMKEY. SCAN has a file of its own.

use std::collections::BTreeMap;

use crate::support::{each_engine, same_as_redis};

same_as_redis! {
    fn keys_by_pattern(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("KEYS *", "*0\r\n");
        client.check("MSET one 1 two 2 three 3 t* 4 \"\" 5", "+OK\r\n");
        for (pattern, expected) in [
            ("*", &["", "one", "t*", "three", "two"][..]),
            ("t*", &["t*", "three", "two"]),
            ("t??", &["two"]),
            ("t\\*", &["t*"]),
            ("[ot]*", &["one", "t*", "three", "two"]),
            ("[^t]*", &["one"]),
            ("[n-p]ne", &["one"]),
            ("*e", &["one", "three"]),
            ("", &[""]),
            ("one", &["one"]),
            ("ONE", &[]),
            ("**e*", &["one", "three"]),
            ("[", &[]),
            ("on[", &[]),
            ("one[", &[]),
            ("one\\", &[]),
            ("[^]", &[]),
            ("[z-a]*", &["one", "three", "t*", "two"]),
        ] {
            let mut expected = expected.to_vec();
            expected.sort_unstable();
            assert_eq!(client.request(&["KEYS", pattern]).sorted(), expected, "{pattern}");
        }
        client.check("KEYS one", "*1\r\n$3\r\none\r\n");
        client.check("KEYS", "-ERR wrong number of arguments for 'keys' command\r\n");
        client.check("KEYS a b", "-ERR wrong number of arguments for 'keys' command\r\n");
    }

    fn a_random_key_is_one_that_exists(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("RANDOMKEY", "$-1\r\n");
        client.check("SET k v", "+OK\r\n");
        client.check("RANDOMKEY", "$1\r\nk\r\n");
        client.check("SELECT 1", "+OK\r\n");
        client.check("RANDOMKEY", "$-1\r\n");
        client.check("RANDOMKEY x", "-ERR wrong number of arguments for 'randomkey' command\r\n");
        client.check("SET gone v PX 1", "+OK\r\n");
        while client.call("EXISTS gone").int() == 1 {}
        client.check("RANDOMKEY", "$-1\r\n");
    }
}

each_engine! {
    fn every_key_is_a_random_key_about_as_often(peer) {
        let server = peer.start();
        let mut client = server.client();
        for (keys, draws, least, most) in [(4, 2000, 400, 600), (3000, 30_000, 1, 40)] {
            client.check("FLUSHALL", "+OK\r\n");
            for i in 0..keys {
                client.check(&format!("SET key:{i} v"), "+OK\r\n");
            }
            let mut times = BTreeMap::<String, usize>::new();
            for _ in 0..draws / 100 {
                client.send("RANDOMKEY\r\n".repeat(100));
                (0..100).for_each(|_| *times.entry(client.read().text()).or_default() += 1);
            }
            // Chosen so that a fair draw leaves the bounds less than once in a million runs.
            assert!(times.len() * 1000 > keys * 995, "{} of {keys}", times.len());
            assert!(times.values().all(|times| (least..=most).contains(times)), "{times:?}");
        }
    }

    fn a_random_key_is_none_that_has_expired(peer) {
        let server = peer.start();
        let mut client = server.client();
        for i in 0..50 {
            client.check(&format!("SET key:{i} v PX 1"), "+OK\r\n");
        }
        client.check("SET stays v", "+OK\r\n");
        std::thread::sleep(std::time::Duration::from_millis(2));
        client.check("RANDOMKEY", "$5\r\nstays\r\n");
        client.check("DEL stays", ":1\r\n");
        client.check("RANDOMKEY", "$-1\r\n");
    }
}
