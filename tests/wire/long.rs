//! Long commands: others are served meanwhile, and see all of them or nothing.

use std::time::{Duration, Instant};

use crate::support::server::PATIENCE;
use crate::support::{Client, Peer, Server, Value, each_engine};

/// A server where commands on more than 64 elements are long and go in small slices.
fn start(peer: Peer) -> Server {
    peer.start_with(&["--long-command-elements", "64", "--enable-debug-command", "yes"])
}

const COUNT: usize = 40_000;

/// A key with so many elements.
fn fill(client: &mut Client, command: &str, key: &str, count: usize) {
    for first in (0..count).step_by(1000) {
        let words: Vec<String> = (first..first + 1000)
            .map(|i| if command == "ZADD" { format!("{} e{i}", i % 7) } else { format!("e{i}") })
            .collect();
        client.check(
            &format!("{command} {key} {}", words.join(" ")),
            match command {
                "RPUSH" => format!(":{}\r\n", first + 1000),
                _ => ":1000\r\n".to_owned(),
            },
        );
    }
}

/// How many long commands were worked off on copies.
fn worked_aside(client: &mut Client) -> u64 {
    client.info("kiba_long_commands_aside")
}

/// Runs `meanwhile` while a request that is long goes on; how often, and the request's reply.
fn during(long: &mut Client, request: &str, mut meanwhile: impl FnMut(usize)) -> (usize, Value) {
    long.send(format!("{request}\r\n"));
    let mut count = 0;
    while !long.has_arrived() {
        meanwhile(count);
        count += 1;
    }
    (count, long.read())
}

/// Repeats something until it has come out so once.
fn sooner_or_later(mut attempt: impl FnMut() -> bool) {
    let since = Instant::now();
    while !attempt() {
        assert!(since.elapsed() < PATIENCE, "never");
    }
}

each_engine! {
    fn others_are_served_between_the_slices(peer) {
        let server = start(peer);
        let (mut client, mut long) = (server.client(), server.client());
        fill(&mut client, "SADD", "s", COUNT);
        fill(&mut client, "RPUSH", "l", COUNT);

        for request in ["SUNIONSTORE d s", "SINTERCARD 2 s s", "SMEMBERS s", "LRANGE l 0 -1", "SORT l ALPHA STORE e"] {
            sooner_or_later(|| {
                let (count, reply) = during(&mut long, request, |i| {
                    client.check(&format!("SET other{i} v"), "+OK\r\n");
                    client.check(&format!("GET other{i}"), "$1\r\nv\r\n");
                    // Readers of the source itself are served as well.
                    client.check("EXISTS s l", ":2\r\n");
                });
                match reply {
                    Value::Int(reply) => assert_eq!(reply, COUNT as i64),
                    Value::Array(items) => assert_eq!(items.len(), COUNT),
                    other => panic!("{other:?}"),
                }
                count >= 3
            });
        }
        assert!(worked_aside(&mut client) >= 5);
    }

    fn who_writes_the_source_is_served_and_is_in_the_result_or_not(peer) {
        let server = start(peer);
        let (mut client, mut long) = (server.client(), server.client());
        fill(&mut client, "SADD", "s", COUNT);
        let mut total = COUNT;
        sooner_or_later(|| {
            let before = total;
            let (count, reply) = during(&mut long, "SUNIONSTORE d s", |_| {
                // Both members come at once.
                client.check(&format!("SADD s x{total} y{total}"), ":2\r\n");
                total += 2;
            });
            let stored = reply.int() as usize;
            assert!((before..=total).contains(&stored) && (stored - COUNT).is_multiple_of(2), "{before} {stored} {total}");
            client.check("SCARD d", format!(":{stored}\r\n"));
            count >= 3
        });
    }

    fn a_client_that_goes_in_the_middle_leaves_nothing(peer) {
        let server = start(peer);
        let mut client = server.client();
        fill(&mut client, "ZADD", "z", COUNT);
        for i in 0..20 {
            let mut long = server.client();
            let id = long.call("CLIENT ID").int();
            long.send("ZUNIONSTORE d 2 z z\r\n");
            if i % 2 == 0 {
                std::thread::sleep(Duration::from_millis(i));
                client.call(&format!("CLIENT KILL ID {id}"));
                long.read_to_end();
            } else {
                drop(long);
            }
        }
        sooner_or_later(|| {
            std::thread::sleep(Duration::from_millis(10));
            client.call("CLIENT LIST").text().lines().count() == 1
        });
        // It came about or it did not, and the next one does.
        let card = client.call("ZCARD d").int();
        assert!(card == 0 || card == COUNT as i64, "{card}");
        client.check("ZUNIONSTORE d 2 z z", format!(":{COUNT}\r\n"));
        client.check("DEL d z", ":2\r\n");
    }

    fn a_pipeline_goes_on_in_order_behind_a_long_command(peer) {
        let server = start(peer);
        let mut client = server.client();
        fill(&mut client, "RPUSH", "l", 2000);
        client.send("SET k 1\r\nSORT l ALPHA LIMIT 0 1\r\nINCR k\r\nLRANGE l 0 -1\r\nINCR k\r\nSORT l ALPHA STORE l\r\nLLEN l\r\n");
        client.expect("+OK\r\n*1\r\n$2\r\ne0\r\n:2\r\n");
        assert!(matches!(client.read(), Value::Array(items) if items.len() == 2000));
        client.expect(":3\r\n:2000\r\n:2000\r\n");
    }

    fn in_a_transaction_its_keys_are_held(peer) {
        let server = start(peer);
        let mut client = server.client();
        fill(&mut client, "SADD", "s", 2000);
        client.check("MULTI", "+OK\r\n");
        client.check("SUNIONSTORE d s", "+QUEUED\r\n");
        client.check("EXEC", "*1\r\n:2000\r\n");
        assert_eq!(worked_aside(&mut client), 0);
        client.check("SUNIONSTORE d s", ":2000\r\n");
        assert_eq!(worked_aside(&mut client), 1);
        client.check("CLIENT REPLY SKIP", "");
        client.check("SUNIONSTORE d s", "");
        client.check("SCARD d", ":2000\r\n");
    }

    fn an_invalidation_comes_behind_the_reply_that_it_is_about(peer) {
        let server = start(peer);
        let (mut client, mut long) = (server.client(), server.client());
        fill(&mut client, "SADD", "s", 2000);
        long.call("HELLO 3");
        long.check("CLIENT TRACKING on", "+OK\r\n");
        long.send("SMEMBERS s\r\n");
        let members = long.read();
        assert!(matches!(&members, Value::Set(items) if items.len() == 2000), "{members:?}");
        client.check("SADD s more", ":1\r\n");
        long.expect(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\ns\r\n");
    }
}
