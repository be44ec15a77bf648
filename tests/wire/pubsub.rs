//! Pub/sub.

use std::time::Duration;

use crate::support::{Client, each_engine, same_as_redis};

/// A push of bulk strings, as RESP2 has it.
fn message(parts: &[&str]) -> String {
    let bulk = |part: &&str| format!("${}\r\n{part}\r\n", part.len());
    format!("*{}\r\n{}", parts.len(), parts.iter().map(bulk).collect::<String>())
}

/// The confirmation of a subscription, as RESP2 has it.
fn confirmed(kind: &str, name: &str, count: usize) -> String {
    format!("*3\r\n${}\r\n{kind}\r\n${}\r\n{name}\r\n:{count}\r\n", kind.len(), name.len())
}

/// The same push in RESP3.
fn v3(text: &str) -> String {
    text.replacen('*', ">", 1)
}

fn hello(client: &mut Client, protocol: u8) {
    client.call(&format!("HELLO {protocol}"));
}

same_as_redis! {
    fn messages_reach_those_who_listen(peer) {
        let server = peer.start();
        let (mut one, mut other, mut poster) = (server.client(), server.client(), server.client());
        poster.check("PUBLISH c nobody", ":0\r\n");
        one.check("SUBSCRIBE c", confirmed("subscribe", "c", 1));
        one.check("SUBSCRIBE c", confirmed("subscribe", "c", 1));
        other.check("SUBSCRIBE c d", confirmed("subscribe", "c", 1) + &confirmed("subscribe", "d", 2));
        poster.check("PUBLISH c hello", ":2\r\n");
        poster.check("PUBLISH d \"\\0\\r\\n\"", ":1\r\n");
        poster.check("PUBLISH \"\" x", ":0\r\n");
        one.expect(message(&["message", "c", "hello"]));
        other.expect(message(&["message", "c", "hello"]) + &message(&["message", "d", "\0\r\n"]));
        one.check("UNSUBSCRIBE c", confirmed("unsubscribe", "c", 0));
        poster.check("PUBLISH c again", ":1\r\n");
        other.expect(message(&["message", "c", "again"]));
        one.expect_open();
    }

    fn patterns_match_channels(peer) {
        let server = peer.start();
        let (mut listener, mut poster) = (server.client(), server.client());
        listener.check("PSUBSCRIBE n* *s", confirmed("psubscribe", "n*", 1) + &confirmed("psubscribe", "*s", 2));
        listener.check("SUBSCRIBE news", confirmed("subscribe", "news", 3));
        poster.check("PUBLISH news x", ":3\r\n");
        listener.expect(message(&["message", "news", "x"]));
        // Patterns are in no order.
        let mut found: Vec<String> = (0..2).map(|_| listener.read().items()[1].text()).collect();
        found.sort();
        assert_eq!(found, ["*s", "n*"]);
        listener.check("PUNSUBSCRIBE n*", confirmed("punsubscribe", "n*", 2));
        poster.check("PUBLISH ns y", ":1\r\n");
        listener.expect(message(&["pmessage", "*s", "ns", "y"]));
        poster.check("PUBLISH other y", ":0\r\n");
        poster.check(r#"PUBLISH "" y"#, ":0\r\n");
        poster.check("PUBSUB NUMPAT", ":1\r\n");
        listener.check("PSUBSCRIBE *", confirmed("psubscribe", "*", 3));
        poster.check(r#"PUBLISH "" y"#, ":0\r\n");
        listener.check("PUNSUBSCRIBE *", confirmed("punsubscribe", "*", 2));
        listener.check("UNSUBSCRIBE", confirmed("unsubscribe", "news", 1));
        listener.check("PUNSUBSCRIBE", confirmed("punsubscribe", "*s", 0));
        poster.check("PUBSUB NUMPAT", ":0\r\n");
        listener.expect_open();
    }

    fn shard_channels_are_a_space_of_their_own(peer) {
        let server = peer.start();
        let (mut listener, mut poster) = (server.client(), server.client());
        listener.check("SSUBSCRIBE c d", confirmed("ssubscribe", "c", 1) + &confirmed("ssubscribe", "d", 2));
        listener.check("SUBSCRIBE c", confirmed("subscribe", "c", 1));
        listener.check("PSUBSCRIBE *", confirmed("psubscribe", "*", 2));
        poster.check("SPUBLISH c x", ":1\r\n");
        poster.check("SPUBLISH e x", ":0\r\n");
        listener.expect(message(&["smessage", "c", "x"]));
        poster.check("PUBSUB SHARDNUMSUB c d e", "*6\r\n$1\r\nc\r\n:1\r\n$1\r\nd\r\n:1\r\n$1\r\ne\r\n:0\r\n");
        poster.check("PUBSUB SHARDCHANNELS c*", "*1\r\n$1\r\nc\r\n");
        listener.check("SUNSUBSCRIBE c", confirmed("sunsubscribe", "c", 1));
        listener.check("SUNSUBSCRIBE", confirmed("sunsubscribe", "d", 0));
        listener.check("SUNSUBSCRIBE", "*3\r\n$12\r\nsunsubscribe\r\n$-1\r\n:0\r\n");
        listener.check("GET k", "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET \
             are allowed in this context\r\n");
    }

    fn in_resp3_pushes_come_between_replies(peer) {
        let server = peer.start();
        let (mut listener, mut poster) = (server.client(), server.client());
        hello(&mut listener, 3);
        listener.check("SUBSCRIBE c", v3(&confirmed("subscribe", "c", 1)));
        listener.check("PSUBSCRIBE *", v3(&confirmed("psubscribe", "*", 2)));
        listener.check("SSUBSCRIBE s", v3(&confirmed("ssubscribe", "s", 1)));
        listener.check("SET k v", "+OK\r\n");
        listener.check("PING", "+PONG\r\n");
        poster.check("PUBLISH c x", ":2\r\n");
        poster.check("SPUBLISH s y", ":1\r\n");
        listener.expect(v3(&message(&["message", "c", "x"])));
        listener.expect(v3(&message(&["pmessage", "*", "c", "x"])));
        listener.expect(v3(&message(&["smessage", "s", "y"])));
        listener.check("GET k", "$1\r\nv\r\n");
        listener.check("UNSUBSCRIBE nothing", v3(&confirmed("unsubscribe", "nothing", 2)));
        listener.check("UNSUBSCRIBE", v3(&confirmed("unsubscribe", "c", 1)));
        listener.check("UNSUBSCRIBE", ">3\r\n$11\r\nunsubscribe\r\n_\r\n:1\r\n");
    }

    fn in_resp2_subscribers_may_ask_for_little_else(peer) {
        let server = peer.start();
        let mut client = server.client();
        let refused = |name: &str| {
            format!(
                "-ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed \
                 in this context\r\n"
            )
        };
        client.check("SUBSCRIBE c", confirmed("subscribe", "c", 1));
        for (request, name) in [
            ("GET k", "get"),
            ("SET k v", "set"),
            ("PUBLISH c x", "publish"),
            ("MULTI", "multi"),
            ("HELLO 3", "hello"),
            ("CLIENT ID", "client|id"),
            ("CONFIG GET port", "config|get"),
            ("WATCH k", "watch"),
        ] {
            client.check(request, refused(name));
        }
        client.check("NOTHING", "-ERR unknown command 'NOTHING', with args beginning with: \r\n");
        client.check("GET", "-ERR wrong number of arguments for 'get' command\r\n");
        client.check("PING", "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
        client.check("PING hi", "*2\r\n$4\r\npong\r\n$2\r\nhi\r\n");
        client.check("PING a b", "-ERR wrong number of arguments for 'ping' command\r\n");
        client.check("RESET", "+RESET\r\n");
        client.check("PING", "+PONG\r\n");
        client.check("PUBSUB CHANNELS", "*0\r\n");
        client.check("SSUBSCRIBE c", confirmed("ssubscribe", "c", 1));
        client.check("GET k", refused("get"));
        client.check("QUIT", "+OK\r\n");
        client.expect_closed();
    }

    fn ending_what_there_is_not_is_confirmed_too(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("UNSUBSCRIBE", "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
        client.check("PUNSUBSCRIBE", "*3\r\n$12\r\npunsubscribe\r\n$-1\r\n:0\r\n");
        client.check("UNSUBSCRIBE a b", confirmed("unsubscribe", "a", 0) + &confirmed("unsubscribe", "b", 0));
        client.expect_open();
    }

    fn pubsub_tells_who_listens(peer) {
        let server = peer.start();
        let (mut one, mut other, mut client) = (server.client(), server.client(), server.client());
        one.call("SUBSCRIBE a");
        other.call("SUBSCRIBE a");
        other.call("SUBSCRIBE ab");
        other.call("PSUBSCRIBE a*");
        one.call("PSUBSCRIBE a*");
        assert_eq!(client.call("PUBSUB CHANNELS").sorted(), ["a", "ab"]);
        client.check("PUBSUB CHANNELS ?b", "*1\r\n$2\r\nab\r\n");
        client.check("PUBSUB NUMSUB", "*0\r\n");
        client.check("PUBSUB NUMSUB a x", "*4\r\n$1\r\na\r\n:2\r\n$1\r\nx\r\n:0\r\n");
        client.check("PUBSUB NUMPAT", ":1\r\n");
        client.check("PUBSUB SHARDCHANNELS", "*0\r\n");
        client.check("PUBSUB NUMPAT x", "-ERR wrong number of arguments for 'pubsub|numpat' command\r\n");
        client.check(
            "PUBSUB CHANNELS a b",
            "-ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB HELP.\r\n",
        );
        client.check("PUBSUB", "-ERR wrong number of arguments for 'pubsub' command\r\n");
        client.check("PUBSUB X", "-ERR unknown subcommand 'X'. Try PUBSUB HELP.\r\n");
        let list = client.call("CLIENT LIST TYPE pubsub").text();
        assert_eq!(list.lines().count(), 2, "{list}");
        assert!(list.contains(" flags=P ") && list.contains(" sub=2 psub=1 "), "{list}");
        assert_eq!(client.call("CLIENT LIST TYPE normal").text().lines().count(), 1);
        let info = client.call("INFO stats").text();
        assert!(info.contains("pubsub_channels:2\r\n") && info.contains("pubsub_patterns:1\r\n"), "{info}");
        client.check("CLIENT KILL TYPE pubsub", ":2\r\n");
        one.expect_closed();
        other.expect_closed();
    }

    fn subscriptions_end_with_the_connection(peer) {
        let server = peer.start();
        let (mut listener, mut client) = (server.client(), server.client());
        listener.call("SUBSCRIBE c");
        listener.call("PSUBSCRIBE *");
        listener.call("SSUBSCRIBE c");
        listener.send("QUIT\r\n");
        listener.expect("+OK\r\n");
        listener.expect_closed();
        client.check("PUBSUB NUMSUB c", "*2\r\n$1\r\nc\r\n:0\r\n");
        client.check("PUBSUB NUMPAT", ":0\r\n");
        client.check("PUBSUB SHARDCHANNELS", "*0\r\n");
        client.check("PUBLISH c x", ":0\r\n");
    }

    fn transactions_publish_and_subscribe(peer) {
        let server = peer.start();
        let (mut listener, mut client) = (server.client(), server.client());
        listener.call("SUBSCRIBE c");
        client.check("MULTI", "+OK\r\n");
        client.check("PUBLISH c 1", "+QUEUED\r\n");
        client.check("SET k v", "+QUEUED\r\n");
        client.check("PUBLISH c 2", "+QUEUED\r\n");
        client.check("SUBSCRIBE d", "+QUEUED\r\n");
        client.check("EXEC", format!("*4\r\n:1\r\n+OK\r\n:1\r\n{}", confirmed("subscribe", "d", 1)));
        listener.expect(message(&["message", "c", "1"]) + &message(&["message", "c", "2"]));
    }

    fn messages_are_not_muted(peer) {
        let server = peer.start();
        let (mut listener, mut client) = (server.client(), server.client());
        listener.send("CLIENT REPLY OFF\r\nPING\r\nSUBSCRIBE c\r\n");
        listener.expect(confirmed("subscribe", "c", 1));
        client.check("PUBLISH c x", ":1\r\n");
        listener.expect(message(&["message", "c", "x"]));
        listener.send("PING\r\nUNSUBSCRIBE\r\n");
        listener.expect(confirmed("unsubscribe", "c", 0));
        let mut listener = server.client();
        listener.send("CLIENT REPLY SKIP\r\nSUBSCRIBE c\r\nPING\r\n");
        listener.expect(confirmed("subscribe", "c", 1) + "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    }

    fn what_was_published_before_a_subscription_ended_comes_before_its_end(peer) {
        let server = peer.start();
        let (mut listener, mut client) = (server.client(), server.client());
        for i in 0..200 {
            listener.check("SUBSCRIBE c", confirmed("subscribe", "c", 1));
            client.send(format!("PUBLISH c {i}\r\n").repeat(3));
            listener.send("UNSUBSCRIBE c\r\n");
            let receivers = (0..3).filter(|_| client.read().int() == 1).count();
            for _ in 0..receivers {
                listener.expect(message(&["message", "c", &i.to_string()]));
            }
            listener.expect(confirmed("unsubscribe", "c", 0));
            listener.expect_open();
        }
    }

    fn a_subscriber_may_be_silent(peer) {
        let server = peer.start_with(&["--timeout", "1"]);
        let (mut listener, mut idle) = (server.client(), server.client());
        listener.call("SUBSCRIBE c");
        idle.call("PING");
        idle.expect_closed();
        std::thread::sleep(Duration::from_millis(1500));
        server.client().check("PUBLISH c x", ":1\r\n");
        listener.expect(message(&["message", "c", "x"]));
    }

    fn who_waits_for_a_key_gets_messages_meanwhile(peer) {
        let server = peer.start();
        let (mut listener, mut poster) = (server.client(), server.client());
        hello(&mut listener, 3);
        listener.call("SUBSCRIBE c");
        listener.send("BLPOP q 0\r\n");
        while !poster.call("INFO clients").text().contains("blocked_clients:1\r\n") {
            std::thread::yield_now();
        }
        for text in ["1", "2"] {
            poster.check(&format!("PUBLISH c {text}"), ":1\r\n");
            listener.expect(v3(&message(&["message", "c", text])));
        }
        poster.check("RPUSH q x", ":1\r\n");
        listener.expect(message(&["q", "x"]));
        listener.expect_open();
    }

    fn many_subscribers_get_everything_in_order(peer) {
        const MESSAGES: usize = 1000;
        let server = peer.start();
        let mut listeners: Vec<Client> = (0..50).map(|_| server.client()).collect();
        for (i, listener) in listeners.iter_mut().enumerate() {
            hello(listener, 2 + (i % 2) as u8);
            listener.call(if i % 5 == 0 { "PSUBSCRIBE c?" } else { "SUBSCRIBE c1" });
        }
        let threads: Vec<_> = (0..2)
            .map(|id| {
                let mut poster = server.client();
                std::thread::spawn(move || {
                    for chunk in (0..MESSAGES).collect::<Vec<_>>().chunks(100) {
                        poster.send(chunk.iter().map(|i| format!("PUBLISH c1 {id}:{i}\r\n")).collect::<String>());
                        chunk.iter().for_each(|_| assert_eq!(poster.read().int(), 50));
                    }
                })
            })
            .collect();
        let mut orders = Vec::new();
        for listener in &mut listeners {
            let mut order = Vec::with_capacity(2 * MESSAGES);
            for _ in 0..2 * MESSAGES {
                order.push(listener.read().elements().last().expect("a message").text());
            }
            for id in 0..2 {
                let head = format!("{id}:");
                let own = order.iter().filter_map(|text| text.strip_prefix(&head));
                assert!(own.eq((0..MESSAGES).map(|i| i.to_string())));
            }
            orders.push(order);
        }
        threads.into_iter().for_each(|thread| thread.join().expect("no poster panics"));
        // All who listen to the channel by its name see one order.
        assert!([2, 3, 4, 6].iter().all(|&i| orders[i] == orders[1]));
    }

    fn subscribers_that_do_not_read_are_dropped(peer) {
        let server = peer.start_with(&["--client-output-buffer-limit", "pubsub 1mb 0 0"]);
        let (mut slow, mut quick, mut poster) = (server.client(), server.client(), server.client());
        slow.call("SUBSCRIBE c");
        quick.call("SUBSCRIBE c");
        let mut sent = 0;
        let text = "x".repeat(64 * 1024);
        // The kernel's buffers take some megabytes.
        while poster.call(&format!("PUBLISH c {text}")).int() == 2 {
            assert_eq!(quick.read().items()[2].text().len(), text.len());
            sent += 1;
            assert!(sent < 1000, "64 MB");
        }
        quick.read();
        assert!(slow.read_to_end().len() < sent * text.len());
        let info = poster.call("INFO stats").text();
        if info.contains("kiba_panics") {
            assert!(info.contains("client_output_buffer_limit_disconnections:1\r\n"), "{info}");
        }
    }
}

each_engine! {
    /// Since 7.2; 7.0 puts the message first.
    fn who_publishes_to_itself_gets_the_reply_first(peer) {
        let server = peer.start();
        let mut client = server.client();
        hello(&mut client, 3);
        client.call("SUBSCRIBE c");
        client.check("PUBLISH c x", format!(":1\r\n{}", v3(&message(&["message", "c", "x"]))));
        client.send("MULTI\r\nPUBLISH c 1\r\nPING\r\nPUBLISH c 2\r\nEXEC\r\n");
        client.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n:1\r\n+PONG\r\n:1\r\n");
        client.expect(v3(&message(&["message", "c", "1"])) + &v3(&message(&["message", "c", "2"])));
    }

    fn subscribers_that_do_not_read_are_dropped_after_the_soft_limits_time(peer) {
        let server = peer.start_with(&["--client-output-buffer-limit", "pubsub 0 100kb 1"]);
        let (mut slow, mut poster) = (server.client(), server.client());
        slow.call("SUBSCRIBE c");
        let text = "x".repeat(64 * 1024);
        // More than the kernel's buffers take.
        let is_there = |_: &i32| poster.call(&format!("PUBLISH c {text}")).int() == 1;
        let sent = (0..400).take_while(is_there).count();
        assert!(sent > 1);
        server.wait_for_log("closing a client that does not read");
        poster.check("PUBLISH c x", ":0\r\n");
        assert!(slow.read_to_end().len() < 400 * text.len());
    }

    fn thousands_of_subscriptions_come_and_go(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        for round in 0..3 {
            let names: String = (0..5000).map(|i| format!(" c{i}")).collect();
            client.send(format!("SUBSCRIBE{names}\r\n"));
            for i in 0..5000 {
                assert_eq!(client.read().items()[2].int(), i + 1);
            }
            assert_eq!(other.call(&format!("PUBLISH c{} x", 4000 + round)).int(), 1);
            assert_eq!(client.read().elements()[2].text(), "x");
            client.send("UNSUBSCRIBE\r\n");
            for i in (0..5000).rev() {
                assert_eq!(client.read().items()[2].int(), i);
            }
            assert_eq!(other.call("PUBSUB CHANNELS").items().len(), 0);
        }
    }
}
