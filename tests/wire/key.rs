//! Keys of any type: DEL UNLINK EXISTS TOUCH TYPE RENAME RENAMENX COPY MOVE.

use crate::support::same_as_redis;

const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";
const NOT_AN_INT: &str = "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n";
const NO_DATABASE: &str = "-ERR DB index is out of range\r\n";
const SAME: &str = "-ERR source and destination objects are the same\r\n";
const SYNTAX: &str = "-ERR syntax error\r\n";

same_as_redis! {
    fn del_and_exists_count_keys(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("MSET a 1 b 2 c 3 d 4", "+OK\r\n");
        client.check("EXISTS a", ":1\r\n");
        client.check("EXISTS a b missing a", ":3\r\n");
        client.check("DEL a missing a", ":1\r\n");
        client.check("EXISTS a", ":0\r\n");
        client.check("UNLINK b c c missing", ":2\r\n");
        client.check("DEL missing", ":0\r\n");
        client.check("DBSIZE", ":1\r\n");
        client.check("DEL", "-ERR wrong number of arguments for 'del' command\r\n");
        client.check("UNLINK", "-ERR wrong number of arguments for 'unlink' command\r\n");
        client.check("EXISTS", "-ERR wrong number of arguments for 'exists' command\r\n");
    }

    fn type_names(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("TYPE k", "+none\r\n");
        client.check("SET k v", "+OK\r\n");
        client.check("TYPE k", "+string\r\n");
        client.check("RPUSH l v", ":1\r\n");
        client.check("TYPE l", "+list\r\n");
        client.check("SADD s v", ":1\r\n");
        client.check("TYPE s", "+set\r\n");
        client.check("HSET h f v", ":1\r\n");
        client.check("TYPE h", "+hash\r\n");
        client.check("DEL k l s h", ":4\r\n");
    }

    fn rename_moves_value_and_deadline(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("RENAME a b", "-ERR no such key\r\n");
        client.check("RENAME a a", "-ERR no such key\r\n");
        client.check("SET a 1 EX 100", "+OK\r\n");
        client.check("SET b 2", "+OK\r\n");
        client.check("RENAME a b", "+OK\r\n");
        client.check("EXISTS a", ":0\r\n");
        client.check("GET b", "$1\r\n1\r\n");
        client.check("TTL b", ":100\r\n");
        client.check("SET a 3", "+OK\r\n");
        client.check("RENAME a b", "+OK\r\n");
        client.check("TTL b", ":-1\r\n");
        client.check("RENAME b b", "+OK\r\n");
        client.check("GET b", "$1\r\n3\r\n");
        client.check("RPUSH l x y", ":2\r\n");
        client.check("RENAME l b", "+OK\r\n");
        client.check("LRANGE b 0 -1", "*2\r\n$1\r\nx\r\n$1\r\ny\r\n");
        client.check("DBSIZE", ":1\r\n");
        client.check("RENAME a", "-ERR wrong number of arguments for 'rename' command\r\n");
        client.check("RENAME b \"\"", "+OK\r\n");
        client.check("TYPE \"\"", "+list\r\n");
    }

    fn touch_counts_keys(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("TOUCH a", ":0\r\n");
        client.check("MSET a 1 b 2", "+OK\r\n");
        client.check("TOUCH a b a missing", ":3\r\n");
        client.check("TOUCH", "-ERR wrong number of arguments for 'touch' command\r\n");
    }

    fn renamenx_does_not_overwrite(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("RENAMENX a b", "-ERR no such key\r\n");
        client.check("RENAMENX a a", "-ERR no such key\r\n");
        client.check("SET b 2", "+OK\r\n");
        client.check("RENAMENX a b", "-ERR no such key\r\n");
        client.check("SET a 1 EX 100", "+OK\r\n");
        client.check("RENAMENX a b", ":0\r\n");
        client.check("RENAMENX a a", ":0\r\n");
        client.check("MGET a b", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
        client.check("TTL a", ":100\r\n");
        client.check("RENAMENX a c", ":1\r\n");
        client.check("EXISTS a", ":0\r\n");
        client.check("TTL c", ":100\r\n");
        client.check("SET d v PX 1", "+OK\r\n");
        while client.call("EXISTS d").int() == 1 {}
        client.check("RENAMENX c d", ":1\r\n");
        client.check("GET d", "$1\r\n1\r\n");
        client.check("RENAMENX d", "-ERR wrong number of arguments for 'renamenx' command\r\n");
    }

    fn a_copy_lives_by_itself(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("COPY a b", ":0\r\n");
        let long = "x".repeat(5000);
        for (fill, change, look) in [
            ("SET a 5", "INCR a", "GET b"),
            ("SET a text", "SET a other", "GET b"),
            ("RPUSH a 1 2 3", "LPOP a", "LRANGE b 0 -1"),
            ("SADD a 1 2 3", "SREM a 2", "SMEMBERS b"),
            ("HSET a f v g w", "HDEL a f", "HGETALL b"),
            ("ZADD a 1 x 2 y", "ZADD a 3 x", "ZRANGE b 0 -1 WITHSCORES"),
            (&format!("SET a {long}"), "SET a 1", "GET b"),
        ] {
            client.call("DEL a b");
            client.call(fill);
            client.check("COPY a b", ":1\r\n");
            let (before, from_source) = (client.call(look), client.call(&look.replace(" b", " a")));
            assert_eq!(before, from_source, "{fill}");
            client.call(change);
            assert_eq!(client.call(look), before, "{fill}");
            client.check("DEL a", ":1\r\n");
            assert_eq!(client.call(look), before, "{fill}");
        }
    }

    fn a_copy_of_a_large_collection_is_whole(peer) {
        let server = peer.start();
        let mut client = server.client();
        for (command, look) in [
            ("RPUSH", "LRANGE k 0 -1"),
            ("SADD", "SMEMBERS k"),
            ("HSET", "HGETALL k"),
            ("ZADD", "ZRANGE k 0 -1"),
        ] {
            client.call("FLUSHALL");
            let word = |i: usize| if command == "ZADD" && i.is_multiple_of(2) { format!("{i}") } else { format!("element-{i}") };
            let words: Vec<String> = (0..2000).map(word).collect();
            client.request(&[vec![command.to_owned(), "k".to_owned()], words].concat());
            client.check("EXPIRE k 1000", ":1\r\n");
            client.check("COPY k c", ":1\r\n");
            assert_eq!(client.call("TTL c").int(), 1000);
            assert_eq!(client.call("OBJECT ENCODING k"), client.call("OBJECT ENCODING c"));
            let expected = client.call(look).sorted();
            client.check("DEL k", ":1\r\n");
            assert_eq!(client.call(&look.replace(" k", " c")).sorted(), expected);
        }
    }

    fn copy_overwrites_when_told(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET a 1", "+OK\r\n");
        client.check("RPUSH b x", ":1\r\n");
        client.check("EXPIRE b 100", ":1\r\n");
        client.check("COPY a b", ":0\r\n");
        client.check("TYPE b", "+list\r\n");
        client.check("COPY missing b REPLACE", ":0\r\n");
        client.check("TYPE b", "+list\r\n");
        client.check("COPY a b replace", ":1\r\n");
        client.check("GET b", "$1\r\n1\r\n");
        client.check("TTL b", ":-1\r\n");
        client.check("EXPIRE a 100", ":1\r\n");
        client.check("COPY a b REPLACE REPLACE", ":1\r\n");
        client.check("TTL b", ":100\r\n");
        client.check("COPY a a", SAME);
        client.check("COPY a a REPLACE", SAME);
        client.check("COPY missing missing", SAME);
        client.check("COPY a b FOO", SYNTAX);
        client.check("COPY a b DB", SYNTAX);
        client.check("COPY a b REPLACE DB", SYNTAX);
        client.check("COPY a", "-ERR wrong number of arguments for 'copy' command\r\n");
    }

    fn copy_into_another_database(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET a 1 EX 100", "+OK\r\n");
        client.check("COPY a a DB 0", SAME);
        client.check("COPY a a DB 3", ":1\r\n");
        client.check("COPY a a db 3", ":0\r\n");
        client.check("COPY a b DB 5 REPLACE DB 3", ":1\r\n");
        for (database, error) in [
            ("16", NO_DATABASE),
            ("-1", NO_DATABASE),
            ("65536", NO_DATABASE),
            ("2147483647", NO_DATABASE),
            ("2147483648", NOT_AN_INT),
            ("9223372036854775807", NOT_AN_INT),
            ("9223372036854775808", NOT_AN_INTEGER),
            ("x", NOT_AN_INTEGER),
            ("\"\"", NOT_AN_INTEGER),
        ] {
            client.check(&format!("COPY a b DB {database}"), error);
            client.check(&format!("COPY missing b DB {database} REPLACE"), error);
            client.check(&format!("MOVE a {database}"), error);
            client.check(&format!("SELECT {database}"), error);
        }
        client.check("DBSIZE", ":1\r\n");
        client.check("SELECT 5", "+OK\r\n");
        client.check("DBSIZE", ":0\r\n");
        client.check("SELECT 3", "+OK\r\n");
        client.check("DBSIZE", ":2\r\n");
        client.check("GET a", "$1\r\n1\r\n");
        client.check("TTL b", ":100\r\n");
        client.check("COPY a a DB 0", ":0\r\n");
        client.check("INCR a", ":2\r\n");
        client.check("COPY a a DB 0 REPLACE", ":1\r\n");
        client.check("SELECT 0", "+OK\r\n");
        client.check("GET a", "$1\r\n2\r\n");
    }

    fn move_takes_a_key_to_another_database(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("MOVE a 1", ":0\r\n");
        client.check("MOVE a 0", SAME);
        client.check("SET a 1 EX 100", "+OK\r\n");
        client.check("MOVE a 0", SAME);
        client.check("MOVE a 9", ":1\r\n");
        client.check("EXISTS a", ":0\r\n");
        client.check("MOVE a 9", ":0\r\n");
        client.check("SET a 2", "+OK\r\n");
        client.check("MOVE a 9", ":0\r\n");
        client.check("GET a", "$1\r\n2\r\n");
        client.check("SELECT 9", "+OK\r\n");
        client.check("GET a", "$1\r\n1\r\n");
        client.check("TTL a", ":100\r\n");
        client.check("DEL a", ":1\r\n");
        client.check("SELECT 0", "+OK\r\n");
        client.check("MOVE a 9", ":1\r\n");
        client.check("DBSIZE", ":0\r\n");
        client.check("MOVE a", "-ERR wrong number of arguments for 'move' command\r\n");
    }

    fn keys_of_other_databases_in_a_transaction(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        client.check("SET a 1", "+OK\r\n");
        for request in ["MULTI", "COPY a b DB 7", "MOVE a 8", "COPY a b DB 99", "SELECT 7", "MOVE b 0", "COPY b b DB 8", "DBSIZE"] {
            client.call(request);
        }
        client.check("EXEC", format!("*7\r\n:1\r\n:1\r\n{NO_DATABASE}+OK\r\n:1\r\n:0\r\n:0\r\n"));
        // A watched key of another database.
        client.check("SELECT 8", "+OK\r\n");
        client.check("WATCH a", "+OK\r\n");
        other.check("SET a 5", "+OK\r\n");
        other.check("COPY a a DB 8 REPLACE", ":1\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("PING", "+QUEUED\r\n");
        client.check("EXEC", "*-1\r\n");
    }
}
