//! Newer commands on strings, which no redis-server that is compared with has: conditions on values, MSETEX.

use crate::support::each_engine;

const SYNTAX: &str = "-ERR syntax error\r\n";
const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
const NO_DIGEST: &str = "-ERR must be exactly 16 hexadecimal characters\r\n";

each_engine! {
    fn digests(peer) {
        let server = peer.start();
        let mut client = server.client();
        // The example of Redis' own tests: leading zeros stay.
        let text = "v8lf0c11xh8ymlqztfd3eeq16kfn4sspw7fqmnuuq3k3t75em5wdizgcdw7uc26nnf961u2jkfzkjytls2kwlj7626sd";
        client.check(&format!("SET k {text}"), "+OK\r\n");
        client.check("DIGEST k", "$16\r\n00006c38adf31777\r\n");
        client.check("DIGEST missing", "$-1\r\n");
        client.check("RPUSH l x", ":1\r\n");
        client.check("DIGEST l", WRONG_TYPE);
        client.check("MSET n 12345 m 1234", "+OK\r\n");
        client.check("APPEND m 5", ":5\r\n");
        assert_eq!(client.call("DIGEST n"), client.call("DIGEST m"));
        client.check("DIGEST", "-ERR wrong number of arguments for 'digest' command\r\n");
    }

    fn set_compares_first(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k a", "+OK\r\n");
        client.check("SET k b IFEQ x", "$-1\r\n");
        client.check("SET k b ifeq a EX 100", "+OK\r\n");
        client.check("TTL k", ":100\r\n");
        client.check("SET k c IFNE b", "$-1\r\n");
        client.check("SET k c IFNE x KEEPTTL", "+OK\r\n");
        client.check("TTL k", ":100\r\n");
        client.check("SET k d IFEQ c GET", "$1\r\nc\r\n");
        client.check("SET k e GET IFEQ x", "$1\r\nd\r\n");
        client.check("GET k", "$1\r\nd\r\n");
        client.check("SET missing a IFEQ a", "$-1\r\n");
        client.check("SET missing a IFEQ a GET", "$-1\r\n");
        client.check("EXISTS missing", ":0\r\n");
        client.check("SET missing 12 IFNE 12", "+OK\r\n");
        client.check("SET missing 13 IFEQ 012", "$-1\r\n");
        client.check("SET missing 13 IFEQ 12", "+OK\r\n");
        let digest = client.call("DIGEST k").text();
        client.check(&format!("SET k e IFDNE {digest}"), "$-1\r\n");
        client.check(&format!("SET k e IFDEQ {}", digest.to_uppercase()), "+OK\r\n");
        client.check(&format!("SET k f IFDEQ {digest}"), "$-1\r\n");
        client.check(&format!("SET k f IFDNE {digest}"), "+OK\r\n");
        client.check("SET none f IFDEQ 12", "$-1\r\n");
        client.check("SET k f IFDEQ 12", NO_DIGEST);
        client.check(&format!("SET k f IFDNE 0{digest} GET"), NO_DIGEST);
        client.check("GET k", "$1\r\nf\r\n");
        client.check("RPUSH l x", ":1\r\n");
        client.check("SET l f IFEQ x", WRONG_TYPE);
        client.check("SET l f IFDNE 12", WRONG_TYPE);
        for options in ["IFEQ", "NX IFEQ a", "IFEQ a XX", "IFEQ a IFNE b", "IFEQ a IFEQ a", "IFFY a"] {
            client.check(&format!("SET k g {options}"), SYNTAX);
        }
        client.check("SET k g IFEQ f EX 0", "-ERR invalid expire time in 'set' command\r\n");
    }

    fn delex_compares_first(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k a", "+OK\r\n");
        client.check("DELEX k IFEQ b", ":0\r\n");
        client.check("DELEX k IFNE a", ":0\r\n");
        client.check("DELEX k IFDEQ a", NO_DIGEST);
        let digest = client.call("DIGEST k").text();
        client.check(&format!("DELEX k IFDNE {digest}"), ":0\r\n");
        client.check(&format!("DELEX k IFDEQ {digest}"), ":1\r\n");
        client.check("EXISTS k", ":0\r\n");
        client.check("SET k a", "+OK\r\n");
        client.check("DELEX k ifne b", ":1\r\n");
        client.check("DELEX k IFNE b", ":0\r\n");
        client.check("DELEX k IFDEQ 1", ":0\r\n");
        client.check("DELEX k FOO 1", ":0\r\n");
        client.check("RPUSH l x", ":1\r\n");
        client.check("DELEX l FOO x", "-ERR Key should be of string type if conditions are specified\r\n");
        client.check("SET k a", "+OK\r\n");
        client.check("DELEX k FOO a", "-ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE\r\n");
        client.check("DELEX missing IFEQ", "-ERR wrong number of arguments for 'delex' command\r\n");
        client.check("DELEX k IFEQ a b", "-ERR wrong number of arguments for 'delex' command\r\n");
        client.check("DELEX l", ":1\r\n");
        client.check("DELEX l", ":0\r\n");
        client.check("DELIFEQ k b", ":0\r\n");
        client.check("DELIFEQ k a", ":1\r\n");
        client.check("DELIFEQ k a", ":0\r\n");
        client.check("RPUSH l x", ":1\r\n");
        client.check("DELIFEQ l x", WRONG_TYPE);
    }

    fn msetex_sets_all_or_none(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("MSETEX 2 a 1 b 2 EX 100", ":1\r\n");
        client.check("TTL a", ":100\r\n");
        client.check("TTL b", ":100\r\n");
        client.check("MSETEX 2 a x c x NX", ":0\r\n");
        client.check("MSETEX 2 a x c x XX", ":0\r\n");
        client.check("MGET a b c", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$-1\r\n");
        client.check("MSETEX 2 b 3 a 4 keepttl xx", ":1\r\n");
        client.check("TTL a", ":100\r\n");
        client.check("MSETEX 1 a 5", ":1\r\n");
        client.check("TTL a", ":-1\r\n");
        client.check("MSETEX 2 d 1 d 2 NX PX 100000", ":1\r\n");
        client.check("GET d", "$1\r\n2\r\n");
        client.check("MSETEX 2 d 1 e 1 EXAT 1", ":1\r\n");
        client.check("EXISTS d e", ":0\r\n");
        for count in ["0", "-1", "x", "2147483648", "9223372036854775807", "18446744073709551616"] {
            client.check(&format!("MSETEX {count} a 1 EX 10"), "-ERR invalid numkeys value\r\n");
        }
        client.check("MSETEX 2147483647 a 1 EX 10", "-ERR wrong number of key-value pairs\r\n");
        client.check("MSETEX 2 a 1 b", "-ERR wrong number of key-value pairs\r\n");
        for options in ["FOO", "GET", "NX XX", "EX", "EX 10 PX 10", "KEEPTTL EX 10", "EX 10 KEEPTTL", "IFEQ a"] {
            client.check(&format!("MSETEX 1 a 1 {options}"), SYNTAX);
        }
        client.check("MSETEX 1 a 1 EX 0", "-ERR invalid expire time in 'msetex' command\r\n");
        client.check("MSETEX 1 a 1 EX x NX", "-ERR value is not an integer or out of range\r\n");
        client.check("COMMAND GETKEYS MSETEX 2 a 1 b 2 keepttl", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("MSETEX 2 a 1 b 2 EX 100", "+QUEUED\r\n");
        client.check("MSETEX 5 a 1 b 2 EX 100", "+QUEUED\r\n");
        client.check("EXEC", "*2\r\n:1\r\n-ERR wrong number of key-value pairs\r\n");
    }
}
