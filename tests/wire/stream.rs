//! Streams. What one request answers is in `oracle.txt`; here is what needs more than one, and what is newer than Redis
//! 7.0.

use crate::support::{Client, Value, each_engine, same_as_redis};

/// A reply as a word, whatever it is.
trait Word {
    fn word(&self) -> String;
}

impl Word for Value {
    fn word(&self) -> String {
        match self {
            Self::Bulk(_) | Self::Simple(_) => self.text(),
            other => format!("{other:?}"),
        }
    }
}

/// The replies' texts.
fn texts(value: &Value) -> Vec<String> {
    value.items().iter().map(Word::word).collect()
}

/// The IDs of the entries of a reply.
fn ids(value: &Value) -> Vec<String> {
    value.items().iter().map(|entry| entry.items()[0].text()).collect()
}

/// The value beside a name in a flat array.
fn field(value: &Value, name: &str) -> Value {
    let pair = value.items().chunks(2).find(|pair| pair[0].text() == name);
    pair.unwrap_or_else(|| panic!("{name} in {value:?}"))[1].clone()
}

/// Adds entries with the IDs 1-0 to `count`-0.
fn fill(client: &mut Client, key: &str, count: u32) {
    for i in 1..=count {
        client.check(&format!("XADD {key} {i} f {i}"), format!("${}\r\n{i}-0\r\n", i.to_string().len() + 2));
    }
}

same_as_redis! {
    fn ids_of_the_server_never_go_back(peer) {
        let server = peer.start();
        let mut client = server.client();
        let first = client.call("XADD s * f v").word();
        assert!(first.ends_with("-0") && first.len() == 15, "{first}");
        let mut last = (0_u64, 0_u64);
        for _ in 0..200 {
            let id = client.call("XADD s * f v").word();
            let (ms, seq) = id.split_once('-').expect("two parts");
            let id = (ms.parse().expect("a number"), seq.parse().expect("a number"));
            assert!(id > last, "{id:?} after {last:?}");
            last = id;
        }
        // From a time that has not come.
        client.check("XADD future 99999999999999-7 f v", "$16\r\n99999999999999-7\r\n");
        client.check("XADD future * f v", "$16\r\n99999999999999-8\r\n");
        client.check("XADD full 99999999999999-18446744073709551615 f v", "$35\r\n99999999999999-18446744073709551615\r\n");
        client.check("XADD full * f v", "$17\r\n100000000000000-0\r\n");
    }

    fn many_entries_are_read_from_both_ends(peer) {
        let server = peer.start();
        let mut client = server.client();
        fill(&mut client, "s", 1050);
        let expected: Vec<String> = (1..=1050).map(|i| format!("{i}-0")).collect();
        assert_eq!(ids(&client.call("XRANGE s - +")), expected);
        let mut backward = ids(&client.call("XREVRANGE s + -"));
        backward.reverse();
        assert_eq!(backward, expected);
        assert_eq!(ids(&client.call("XRANGE s 99 302")), expected[98..302]);
        assert_eq!(ids(&client.call("XREVRANGE s 302 99 COUNT 3")), ["302-0", "301-0", "300-0"]);
        client.check("XTRIM s MAXLEN ~ 555", ":400\r\n");
        client.check("XTRIM s MAXLEN ~ 0 LIMIT 99", ":0\r\n");
        client.check("XTRIM s MAXLEN ~ 0 LIMIT 250", ":200\r\n");
        client.check("XTRIM s MINID ~ 750", ":100\r\n");
        client.check("XTRIM s MINID 750", ":49\r\n");
        assert_eq!(ids(&client.call("XRANGE s - +")), expected[749..]);
        for i in 780..=1000 {
            client.check(&format!("XDEL s {i}"), ":1\r\n");
        }
        assert_eq!(ids(&client.call("XRANGE s 770 1010")), [&expected[769..779], &expected[1000..1010]].concat());
        client.check("XLEN s", ":80\r\n");
        client.check("XADD s MAXLEN 3 2000 f v", "$6\r\n2000-0\r\n");
        assert_eq!(ids(&client.call("XRANGE s - +")), ["1049-0", "1050-0", "2000-0"]);
    }

    fn a_group_shares_out_what_comes(peer) {
        let server = peer.start();
        let mut client = server.client();
        fill(&mut client, "s", 300);
        client.check("XGROUP CREATE s g 0", "+OK\r\n");
        for (consumer, from) in [("a", 1), ("b", 101), ("c", 201)] {
            let reply = client.call(&format!("XREADGROUP GROUP g {consumer} COUNT 100 STREAMS s >"));
            let expected: Vec<String> = (from..from + 100).map(|i| format!("{i}-0")).collect();
            assert_eq!(ids(&reply.items()[0].items()[1]), expected);
        }
        client.check("XREADGROUP GROUP g c STREAMS s >", "*-1\r\n");
        let sums = client.call("XPENDING s g");
        assert_eq!((sums.items()[0].word(), sums.items()[1].word(), sums.items()[2].word()), ("300".into(), "1-0".into(), "300-0".into()));
        let pending = client.call("XPENDING s g 99 102 10");
        let owners: Vec<String> = pending.items().iter().map(|row| row.items()[1].word()).collect();
        assert_eq!((ids(&pending), owners.join("")), (["99-0", "100-0", "101-0", "102-0"].map(String::from).to_vec(), "aabb".into()));
        client.check("XACK s g 1 2 3 4 5 6 7 8 9 10", ":10\r\n");
        assert_eq!(ids(&client.call("XPENDING s g - + 2 a")), ["11-0", "12-0"]);
        // In three steps through what is b's and c's.
        let (mut cursor, mut claimed) = (String::from("101"), Vec::new());
        while cursor != "0-0" {
            let reply = client.call(&format!("XAUTOCLAIM s g a 0 {cursor} COUNT 70 JUSTID"));
            claimed.extend(texts(&reply.items()[1]));
            cursor = reply.items()[0].word();
        }
        assert_eq!(claimed, (101..=300).map(|i| format!("{i}-0")).collect::<Vec<_>>());
        client.check("XGROUP DELCONSUMER s g b", ":0\r\n");
        client.check("XGROUP DELCONSUMER s g a", ":290\r\n");
        assert_eq!(client.call("XPENDING s g").items()[0].word(), "0");
        // Set back, the group hands out again; what was pending changes hands.
        client.check("XGROUP SETID s g 298", "+OK\r\n");
        assert_eq!(ids(&client.call("XREADGROUP GROUP g c STREAMS s >").items()[0].items()[1]), ["299-0", "300-0"]);
        client.check("XGROUP SETID s g 299", "+OK\r\n");
        assert_eq!(ids(&client.call("XREADGROUP GROUP g d STREAMS s >").items()[0].items()[1]), ["300-0"]);
        let owners: Vec<String> = client.call("XPENDING s g - + 9").items().iter().map(|row| row.items()[1].word()).collect();
        assert_eq!(owners, ["c", "d"]);
    }

    fn history_shows_what_was_removed_as_missing(peer) {
        let server = peer.start();
        let mut client = server.client();
        fill(&mut client, "s", 3);
        client.call("XGROUP CREATE s g 0");
        client.call("XREADGROUP GROUP g a STREAMS s >");
        client.check("XDEL s 2", ":1\r\n");
        let history = "*1\r\n*2\r\n$1\r\ns\r\n*3\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n*2\r\n$3\r\n2-0\r\n*-1\r\n\
                       *2\r\n$3\r\n3-0\r\n*2\r\n$1\r\nf\r\n$1\r\n3\r\n";
        client.check("XREADGROUP GROUP g a STREAMS s 0", history);
        client.check("XAUTOCLAIM s g b 0 0 COUNT 2 JUSTID", "*3\r\n$3\r\n3-0\r\n*1\r\n$3\r\n1-0\r\n*1\r\n$3\r\n2-0\r\n");
        // It counts how often it was handed out.
        let counts: Vec<String> = client.call("XPENDING s g - + 9").items().iter().map(|row| row.items()[3].word()).collect();
        assert_eq!(counts, ["2", "2"]);
        client.check("XCLAIM s g b 0 1 3 RETRYCOUNT 9 JUSTID", "*2\r\n$3\r\n1-0\r\n$3\r\n3-0\r\n");
        client.check("XCLAIM s g b 0 1 TIME 1", "*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n");
        let pending = client.call("XPENDING s g IDLE 1000000 - + 9");
        assert_eq!((ids(&pending), pending.items()[0].items()[3].word()), (vec!["1-0".to_owned()], "10".to_owned()));
    }

    fn a_copy_shares_nothing(peer) {
        let server = peer.start();
        let mut client = server.client();
        fill(&mut client, "s", 150);
        client.call("XGROUP CREATE s g 0");
        client.call("XREADGROUP GROUP g a COUNT 2 STREAMS s >");
        client.check("COPY s t", ":1\r\n");
        client.check("XACK s g 1", ":1\r\n");
        client.check("XTRIM s MAXLEN 10", ":140\r\n");
        client.check("XGROUP DESTROY s g", ":1\r\n");
        client.check("XLEN t", ":150\r\n");
        assert_eq!(client.call("XPENDING t g").items()[0].word(), "2");
        client.check("RENAME t u", "+OK\r\n");
        assert_eq!(ids(&client.call("XREADGROUP GROUP g a COUNT 1 STREAMS u >").items()[0].items()[1]), ["3-0"]);
        client.check("TYPE u", "+stream\r\n");
        client.check("GET u", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
    }

    fn a_dump_is_restored_with_its_groups(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.call("CONFIG SET stream-node-max-entries 7");
        fill(&mut client, "s", 40);
        client.check("XADD s 41 f x f y", "$4\r\n41-0\r\n");
        client.check("XADD s 41-9 other -5", "$4\r\n41-9\r\n");
        client.check("XDEL s 1 3 20", ":3\r\n");
        client.call("XGROUP CREATE s g 0");
        client.call("XGROUP CREATE s h $ ENTRIESREAD 12");
        client.call("XREADGROUP GROUP g a COUNT 9 STREAMS s >");
        client.call("XREADGROUP GROUP g b COUNT 9 STREAMS s >");
        let Value::Bulk(payload) = client.call("DUMP s") else { panic!("a payload") };
        client.send(crate::support::client::encode(&[&b"RESTORE"[..], b"t", b"0", &payload]));
        assert_eq!(client.read_raw(), b"+OK\r\n");
        for line in ["XRANGE K - +", "XPENDING K g", "XPENDING K h"] {
            let both = ["s", "t"].map(|key| client.call(&line.replace('K', key)));
            assert_eq!(both[0], both[1], "{line}");
        }
        let history = ["s", "t"].map(|key| client.call(&format!("XREADGROUP GROUP g a STREAMS {key} 0")));
        assert_eq!(history[0].items()[0].items()[1], history[1].items()[0].items()[1]);
        for name in ["length", "last-generated-id", "max-deleted-entry-id", "entries-added", "recorded-first-entry-id", "groups"] {
            let both = ["s", "t"].map(|key| field(&client.call(&format!("XINFO STREAM {key}")), name));
            assert_eq!(both[0], both[1], "{name}");
        }
        client.check("XADD t 41-9 f v", "-ERR The ID specified in XADD is equal or smaller than the target stream top item\r\n");
    }
}

each_engine! {
    fn the_last_entry_is_read_by_a_plus(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("XREAD STREAMS s +", "*-1\r\n");
        fill(&mut client, "s", 3);
        let third = "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n3-0\r\n*2\r\n$1\r\nf\r\n$1\r\n3\r\n";
        client.check("XREAD STREAMS s +", third);
        client.check("XADD s 4 f v", "$3\r\n4-0\r\n");
        client.check("XDEL s 4", ":1\r\n");
        client.check("XREAD COUNT 5 STREAMS s +", third);
        client.check("XTRIM s MAXLEN 0", ":3\r\n");
        client.check("XREAD STREAMS s +", "*-1\r\n");
        client.call("XGROUP CREATE s g 0");
        assert!(client.call("XREADGROUP GROUP g a STREAMS s +").word().starts_with("-ERR The + ID is meaningless"));
        client.check(
            "XREAD STREAMS s t 0",
            "-ERR Unbalanced 'xread' list of streams: for each stream key an ID, '+', or '$' must be specified.\r\n",
        );
        client.check(
            "XREADGROUP GROUP g a STREAMS s t 0",
            "-ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified.\r\n",
        );
    }

    fn references_go_with_the_entries_or_keep_them(peer) {
        let server = peer.start();
        let mut client = server.client();
        fill(&mut client, "s", 6);
        client.call("XGROUP CREATE s g 0");
        client.call("XGROUP CREATE s h 0");
        client.check("XDELEX s ACKED IDS 2 1 9", "*2\r\n:2\r\n:2\r\n");
        for group in ["g", "h"] {
            client.call(&format!("XREADGROUP GROUP {group} a STREAMS s >"));
        }
        client.check("XDELEX s IDS 2 1 9", "*2\r\n:1\r\n:-1\r\n");
        assert_eq!(client.call("XPENDING s g").items()[0].word(), "6");
        client.check("XDELEX s DELREF IDS 2 1 2", "*2\r\n:-1\r\n:1\r\n");
        assert_eq!(client.call("XPENDING s g").items()[0].word(), "4");
        client.check("XACKDEL s g ACKED IDS 2 3 9", "*2\r\n:2\r\n:-1\r\n");
        client.check("XACKDEL s h IDS 1 3 ACKED", "*1\r\n:1\r\n");
        client.check("XACKDEL s h DELREF IDS 1 4", "*1\r\n:1\r\n");
        client.check("XACKDEL s g KEEPREF IDS 1 5", "*1\r\n:1\r\n");
        client.check("XLEN s", ":1\r\n");
        assert_eq!(client.call("XPENDING s h").items()[0].word(), "2");
        client.check("XTRIM s MAXLEN 0 ACKED", ":0\r\n");
        client.check("XACK s g 6", ":1\r\n");
        client.check("XACK s h 6", ":1\r\n");
        client.check("XTRIM s MAXLEN 0 ACKED", ":1\r\n");
        for i in [7, 8, 9] {
            client.check(&format!("XADD s ACKED MAXLEN 1 {i} f v"), format!("$3\r\n{i}-0\r\n"));
        }
        client.check("XLEN s", ":3\r\n");
        client.call("XREADGROUP GROUP g a STREAMS s >");
        client.check("XADD s MAXLEN = 1 DELREF 10 f v", "$4\r\n10-0\r\n");
        assert_eq!(client.call("XPENDING s g").items()[0].word(), "0");
        client.check("XLEN s", ":1\r\n");
        client.check("XDELEX missing IDS 2 1 2", "*2\r\n:-1\r\n:-1\r\n");
        client.check("XACKDEL s nogroup IDS 1 1", "*1\r\n:-1\r\n");
    }

    fn the_newer_commands_check_their_arguments(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.call("SET k v");
        for (line, error) in [
            ("XDELEX s IDS 1", "wrong number of arguments for 'xdelex' command"),
            ("XDELEX s IDS 0 1", "Number of IDs must be a positive integer"),
            ("XDELEX s IDS x 1", "Number of IDs must be a positive integer"),
            ("XDELEX s IDS 2 1", "The `numids` parameter must match the number of arguments"),
            ("XDELEX s IDS 1 1 2", "syntax error"),
            ("XDELEX s DELREF ACKED IDS 1 1", "syntax error"),
            ("XDELEX s DELREF x y z", "syntax error"),
            ("XDELEX s IDS 1 x", "Invalid stream ID specified as stream command argument"),
            ("XACKDEL s g IDS 9223372036854775807 1", "The `numids` parameter must match the number of arguments"),
            ("XTRIM s ACKED", "wrong number of arguments for 'xtrim' command"),
            ("XTRIM s ACKED DELREF MAXLEN 1", "syntax error"),
        ] {
            client.check(line, format!("-ERR {error}\r\n"));
        }
        let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
        client.check("XDELEX k IDS 1 1", wrong);
        client.check("XACKDEL k g IDS 1 1", wrong);
    }

    fn consumers_are_known_from_their_first_question(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.call("XGROUP CREATE s g $ MKSTREAM");
        client.check("XREADGROUP GROUP g a STREAMS s >", "*-1\r\n");
        client.check("XCLAIM s g b 0 1", "*0\r\n");
        client.check("XAUTOCLAIM s g c 0 0", "*3\r\n$3\r\n0-0\r\n*0\r\n*0\r\n");
        let reply = client.call("XINFO CONSUMERS s g");
        let names: Vec<String> = reply.items().iter().map(|row| field(row, "name").word()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert!(reply.items().iter().all(|row| field(row, "inactive").word() == "-1"));
        client.call("XADD s 1 f v");
        client.call("XREADGROUP GROUP g a STREAMS s >");
        let reply = client.call("XINFO CONSUMERS s g");
        assert_ne!(field(&reply.items()[0], "inactive").word(), "-1");
        let full = client.call("XINFO STREAM s FULL");
        let group = field(&full, "groups").items()[0].clone();
        let consumer = field(&group, "consumers").items()[0].clone();
        assert_eq!((consumer.items().len(), field(&consumer, "pel-count").word()), (10, "1".into()));
        assert_eq!(field(&consumer, "pending").items()[0].items()[0].word(), "1-0");
    }

    fn the_lag_is_what_7_4_says(peer) {
        let server = peer.start();
        let mut client = server.client();
        let lag = |client: &mut Client| {
            let group = client.call("XINFO GROUPS s").items()[0].clone();
            (field(&group, "entries-read").word(), field(&group, "lag").word())
        };
        fill(&mut client, "s", 5);
        client.call("XGROUP CREATE s g 0");
        assert_eq!(lag(&mut client), (Value::Nil.word(), "5".into()));
        client.call("XREADGROUP GROUP g a COUNT 1 STREAMS s >");
        assert_eq!(lag(&mut client), ("1".into(), "4".into()));
        client.call("XDEL s 4");
        assert_eq!(lag(&mut client), ("1".into(), Value::Nil.word()));
        client.call("XREADGROUP GROUP g a STREAMS s >");
        assert_eq!(lag(&mut client), ("5".into(), "0".into()));
        client.call("XTRIM s MAXLEN 0");
        assert_eq!(lag(&mut client), ("5".into(), "0".into()));
    }
}
