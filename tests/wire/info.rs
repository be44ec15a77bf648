//! INFO commandstats. The other sections are looked at where what they count is tested.

use crate::support::{Client, each_engine, same_as_redis};

/// The lines of the section without their times, sorted: the order of the commands is no promise.
fn stats(client: &mut Client, section: &str) -> Vec<String> {
    let text = client.call(&format!("INFO {section}")).text();
    let mut lines: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("cmdstat_"))
        .map(|line| {
            let (calls, rest) = line.split_once(",usec=").expect("microseconds");
            let (_, counts) = rest.split_once(",rejected_calls=").expect("refusals");
            format!("{calls},rejected_calls={counts}")
        })
        .collect();
    lines.sort();
    lines
}

same_as_redis! {
    fn commands_are_counted_with_those_that_were_refused_or_failed(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        client.check("SET before 1", "+OK\r\n");
        client.check("CONFIG RESETSTAT", "+OK\r\n");
        other.check("SET text abc", "+OK\r\n");
        // A pipeline: good ones, wrong ones, and one that nobody knows.
        client.send("GET text\r\nGET text\r\nINCR text\r\nGET\r\nLPUSH text a\r\nGET text\r\nNOSUCH\r\nINCR text\r\n");
        client.read_many(8);
        client.call("CLIENT SETNAME a\\nb");
        client.call("CLIENT NOSUCH");
        client.call("CLIENT");
        client.call("SELECT 99999");
        client.call("EXEC");
        // What is queued counts when it runs, what is discarded never.
        for line in ["MULTI", "INCR text", "PING", "DISCARD", "MULTI", "INCR text", "PING", "SELECT 1", "SELECT 0", "EXEC"] {
            client.call(line);
        }
        for line in ["MULTI", "WATCH a", "GET", "EXEC"] {
            client.call(line);
        }
        client.call("MGET text text");
        client.call("KEYS *");
        client.call("SCAN nonsense");
        let counted = stats(&mut client, "commandstats");
        assert_eq!(counted, [
            "client:calls=0,rejected_calls=1,failed_calls=0",
            "client|setname:calls=1,rejected_calls=0,failed_calls=1",
            "config|resetstat:calls=1,rejected_calls=0,failed_calls=0",
            "discard:calls=1,rejected_calls=0,failed_calls=0",
            "exec:calls=3,rejected_calls=0,failed_calls=2",
            "get:calls=3,rejected_calls=2,failed_calls=0",
            "incr:calls=3,rejected_calls=0,failed_calls=3",
            "keys:calls=1,rejected_calls=0,failed_calls=0",
            "lpush:calls=1,rejected_calls=0,failed_calls=1",
            "mget:calls=1,rejected_calls=0,failed_calls=0",
            "multi:calls=3,rejected_calls=0,failed_calls=0",
            "ping:calls=1,rejected_calls=0,failed_calls=0",
            "scan:calls=1,rejected_calls=0,failed_calls=1",
            "select:calls=3,rejected_calls=0,failed_calls=1",
            "set:calls=1,rejected_calls=0,failed_calls=0",
            "watch:calls=1,rejected_calls=0,failed_calls=1",
        ]);
        // Not among the sections that nobody asked for.
        assert!(stats(&mut client, "").is_empty() && stats(&mut client, "default").is_empty());
        assert!(!stats(&mut client, "all").is_empty() && !stats(&mut client, "everything").is_empty());
        client.check("CONFIG RESETSTAT", "+OK\r\n");
        assert_eq!(stats(&mut client, "commandstats"), ["config|resetstat:calls=1,rejected_calls=0,failed_calls=0"]);
    }
}

each_engine! {
    fn the_time_of_commands_is_reckoned_from_a_sample(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("CONFIG RESETSTAT", "+OK\r\n");
        for _ in 0..100 {
            client.send("GET a\r\nSET a 1\r\n".repeat(100));
            client.read_many(200);
        }
        client.call("KEYS *");
        let text = client.call("INFO commandstats").text();
        assert!(text.starts_with("# Commandstats\r\n"), "{text}");
        for (name, calls) in [("get", 10_000), ("set", 10_000), ("keys", 1)] {
            let start = format!("cmdstat_{name}:calls={calls},usec=");
            let line = text.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("{start}: {text}"));
            let (usec, rest) = line.split_once(",usec_per_call=").expect("a mean");
            let usec: u64 = usec.parse().expect("a number");
            assert!(usec > 0, "{line}");
            assert!(rest.starts_with(&format!("{:.2},", usec as f64 / f64::from(calls))), "{line}");
        }
    }
}
