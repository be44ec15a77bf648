//! HIMPORT. What is expected is what Redis 8.10 documents.

use crate::support::client::encode;
use crate::support::each_engine;

const UNKNOWN: &str = "-ERR no such fieldset\r\n";
const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

each_engine! {
    fn values_meet_their_fields_by_position(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("HIMPORT PREPARE u name email age", "+OK\r\n");
        client.check("HIMPORT SET user:1 u alice a@example.com 30", "+OK\r\n");
        client.check("himport set user:2 u bob \"\" 25", "+OK\r\n");
        client.check("HMGET user:1 name email age", "*3\r\n$5\r\nalice\r\n$13\r\na@example.com\r\n$2\r\n30\r\n");
        client.check("HMGET user:2 email age", "*2\r\n$0\r\n\r\n$2\r\n25\r\n");
        // Any bytes will do, also none.
        client.check("HIMPORT PREPARE \"\" \"\" \"\\0\\r\\n\"", "+OK\r\n");
        client.check("HIMPORT SET h \"\" x y", "+OK\r\n");
        client.check("HGET h \"\"", "$1\r\nx\r\n");
        client.check("HGET h \"\\0\\r\\n\"", "$1\r\ny\r\n");
        // Another list of the same name.
        client.check("HIMPORT PREPARE u city country", "+OK\r\n");
        client.check("HIMPORT SET user:1 u Paris France", "+OK\r\n");
        client.check("HGETALL user:1", "*4\r\n$4\r\ncity\r\n$5\r\nParis\r\n$7\r\ncountry\r\n$6\r\nFrance\r\n");
    }

    fn a_hash_is_replaced_with_its_time_to_live(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.call("HSET h old 1 name x");
        client.call("HEXPIRE h 100 FIELDS 1 name");
        client.call("EXPIRE h 100");
        client.check("HIMPORT PREPARE u name", "+OK\r\n");
        client.check("HIMPORT SET h u bob", "+OK\r\n");
        client.check("HGETALL h", "*2\r\n$4\r\nname\r\n$3\r\nbob\r\n");
        client.check("TTL h", ":-1\r\n");
        client.check("HTTL h FIELDS 1 name", "*1\r\n:-1\r\n");
    }

    fn large_hashes_are_made_at_once(peer) {
        let server = peer.start();
        let mut client = server.client();
        let fields: Vec<String> = (0..2000).map(|i| format!("field{i}")).collect();
        let with = |words: &[&str], rest: &[String]| -> Vec<String> {
            words.iter().map(|&word| word.to_owned()).chain(rest.iter().cloned()).collect()
        };
        assert_eq!(client.request(&with(&["HIMPORT", "PREPARE", "wide"], &fields)).text(), "OK");
        for round in 0..2 {
            let values: Vec<String> = (0..2000).map(|i| (i + round).to_string()).collect();
            assert_eq!(client.request(&with(&["HIMPORT", "SET", "h", "wide"], &values)).text(), "OK");
            client.check("HLEN h", ":2000\r\n");
            assert_eq!(client.call("HGET h field1999").text(), (1999 + round).to_string());
        }
    }

    fn mistakes_change_nothing(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("HIMPORT PREPARE u a b", "+OK\r\n");
        client.check("SET s text", "+OK\r\n");
        client.check("HSET h a 1", ":1\r\n");
        let arity = |name: &str| format!("-ERR wrong number of arguments for '{name}' command\r\n");
        for (arguments, error) in [
            ("PREPARE v a a b", "-ERR duplicate field name in fieldset\r\n".to_owned()),
            ("PREPARE u x y x", "-ERR duplicate field name in fieldset\r\n".into()),
            ("SET h v 1 2 3", UNKNOWN.into()),
            ("SET h U 1 2", UNKNOWN.into()),
            ("SET h u 1", "-ERR value count does not match fieldset field count\r\n".into()),
            ("SET h u 1 2 3", "-ERR value count does not match fieldset field count\r\n".into()),
            ("SET s u 1 2", WRONG_TYPE.into()),
            ("", arity("himport")),
            ("PREPARE", arity("himport|prepare")),
            ("PREPARE u", arity("himport|prepare")),
            ("SET h u", arity("himport|set")),
            ("DISCARD", arity("himport|discard")),
            ("DISCARD a b", arity("himport|discard")),
            ("DISCARDALL a", arity("himport|discardall")),
            ("FOO", "-ERR unknown subcommand 'FOO'. Try HIMPORT HELP.\r\n".into()),
        ] {
            client.check(&format!("HIMPORT {arguments}"), error);
        }
        client.check("HGETALL h", "*2\r\n$1\r\na\r\n$1\r\n1\r\n");
        client.check("GET s", "$4\r\ntext\r\n");
        client.check("HIMPORT SET h u 3 4", "+OK\r\n");
    }

    fn lists_belong_to_their_connection(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        for name in ["a", "b", "c"] {
            client.check(&format!("HIMPORT PREPARE {name} f"), "+OK\r\n");
        }
        other.check("HIMPORT SET k a 1", UNKNOWN);
        client.check("SELECT 1", "+OK\r\n");
        client.check("HIMPORT SET k a 1", "+OK\r\n");
        client.check("HIMPORT DISCARD a", ":1\r\n");
        client.check("HIMPORT DISCARD a", ":0\r\n");
        client.check("HIMPORT SET k a 1", UNKNOWN);
        client.check("HIMPORT DISCARDALL", ":2\r\n");
        client.check("HIMPORT DISCARDALL", ":0\r\n");
        client.check("HIMPORT SET k b 1", UNKNOWN);
        client.check("HIMPORT PREPARE a f", "+OK\r\n");
        client.check("RESET", "+RESET\r\n");
        client.check("HIMPORT SET k a 1", UNKNOWN);
        client.check("HIMPORT DISCARDALL", ":0\r\n");
    }

    fn there_is_a_limit_to_lists(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        let batch: String = (0..1024).map(|i| format!("HIMPORT PREPARE {i} f\r\n")).collect();
        client.send(batch);
        client.expect("+OK\r\n".repeat(1024));
        client.check("HIMPORT PREPARE one-more f", "-ERR too many fieldsets on this connection\r\n");
        client.check("HIMPORT SET k one-more 1", UNKNOWN);
        client.check("HIMPORT PREPARE 0 f g", "+OK\r\n");
        client.check("HIMPORT SET k 0 1 2", "+OK\r\n");
        other.check("HIMPORT PREPARE one-more f", "+OK\r\n");
        client.check("HIMPORT DISCARD 1", ":1\r\n");
        client.check("HIMPORT PREPARE one-more f", "+OK\r\n");
        client.check("HIMPORT DISCARDALL", ":1024\r\n");
        client.check("HIMPORT PREPARE one-more f", "+OK\r\n");
    }

    fn lists_can_be_used_in_the_batch_that_names_them(peer) {
        let server = peer.start();
        let mut client = server.client();
        let mut batch = Vec::new();
        for i in 0..50 {
            batch.extend(encode(&["HIMPORT", "PREPARE", "u", &format!("f{i}")]));
            batch.extend(encode(&["HIMPORT", "SET", &format!("h{i}"), "u", "v"]));
            batch.extend(encode(&["HGET", &format!("h{i}"), &format!("f{i}")]));
        }
        client.send(batch);
        for _ in 0..50 {
            client.expect("+OK\r\n+OK\r\n$1\r\nv\r\n");
        }
    }

    fn transactions_name_and_use_lists_in_order(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("HIMPORT PREPARE before a", "+OK\r\n");
        client.check("MULTI", "+OK\r\n");
        for command in [
            "HIMPORT SET h before 1",
            "HIMPORT SET g u 1 2",
            "HIMPORT PREPARE u a b",
            "HIMPORT SET g u 1 2",
            "HIMPORT DISCARD before",
            "HIMPORT SET h before 3",
        ] {
            client.check(command, "+QUEUED\r\n");
        }
        client.check("EXEC", format!("*6\r\n+OK\r\n{UNKNOWN}+OK\r\n+OK\r\n:1\r\n{UNKNOWN}"));
        client.check("HMGET g a b", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
        client.check("HGET h a", "$1\r\n1\r\n");
        client.check("HIMPORT SET g u 3 4", "+OK\r\n");
        // DISCARD is about the transaction only.
        client.check("MULTI", "+OK\r\n");
        client.check("HIMPORT DISCARDALL", "+QUEUED\r\n");
        client.check("DISCARD", "+OK\r\n");
        client.check("HIMPORT SET g u 5 6", "+OK\r\n");
    }

    fn what_lists_take_is_counted_and_bounded(peer) {
        let server = peer.start_with(&["--client-query-buffer-limit", "1mb"]);
        let mut client = server.client();
        let total = |client: &mut crate::support::Client| -> u64 {
            let info = client.call("CLIENT INFO").text();
            let memory = info.split("tot-mem=").nth(1).and_then(|rest| rest.split(' ').next()).expect("shown");
            memory.parse().expect("a number")
        };
        let empty = total(&mut client);
        client.check("HIMPORT PREPARE u a b", "+OK\r\n");
        let one = total(&mut client);
        assert!(one > empty);
        let long = "x".repeat(100_000);
        for i in 0..9 {
            assert_eq!(client.request(&["HIMPORT", "PREPARE", &i.to_string(), &long]).text(), "OK");
        }
        let many = total(&mut client);
        assert!(many > one + 900_000);
        let refused = "ERR fieldsets of this connection would exceed client-query-buffer-limit";
        for name in ["n1", "n2"] {
            client.send(encode(&["HIMPORT", "PREPARE", name, &long, &format!("{long}y")]));
            client.expect(format!("-{refused}\r\n"));
            client.check(&format!("HIMPORT SET h {name} 1 2"), UNKNOWN);
        }
        assert_eq!(total(&mut client), many);
        client.check("HIMPORT DISCARD 3", ":1\r\n");
        assert!(total(&mut client) < many - 100_000);
        client.check("HIMPORT DISCARDALL", ":9\r\n");
        assert_eq!(total(&mut client), empty);
        client.check("HIMPORT PREPARE u a b", "+OK\r\n");
        client.check("RESET", "+RESET\r\n");
        assert_eq!(total(&mut client), empty);
    }

    fn changes_are_told_as_those_of_hset(peer) {
        let server = peer.start();
        let (mut client, mut other, mut listener) = (server.client(), server.client(), server.client());
        client.check("HIMPORT PREPARE u a", "+OK\r\n");
        client.check("CONFIG SET notify-keyspace-events EAn", "+OK\r\n");
        listener.call("PSUBSCRIBE *");
        other.check("WATCH h", "+OK\r\n");
        client.check("HIMPORT SET h u 1", "+OK\r\n");
        other.check("MULTI", "+OK\r\n");
        other.check("EXEC", "*-1\r\n");
        client.check("HIMPORT SET h u 2", "+OK\r\n");
        for event in ["new", "hset", "hset"] {
            assert_eq!(listener.read().items()[2].text(), format!("__keyevent@0__:{event}"));
        }
        other.call("HELLO 3");
        other.call("CLIENT TRACKING ON");
        other.call("HGET h a");
        client.check("HIMPORT SET h u 3", "+OK\r\n");
        other.expect(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nh\r\n");
    }

    fn nothing_is_made_beyond_maxmemory(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("HIMPORT PREPARE u a", "+OK\r\n");
        client.check("CONFIG SET maxmemory 1", "+OK\r\n");
        let refused = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
        client.check("HIMPORT SET h u 1", refused);
        client.check("HIMPORT PREPARE v a", refused);
        client.check("HIMPORT DISCARDALL", ":1\r\n");
    }

    fn clients_are_told_where_the_key_is(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("COMMAND GETKEYS HIMPORT SET h u 1", "*1\r\n$1\r\nh\r\n");
    }
}
