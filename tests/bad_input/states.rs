//! Commands that change a connection's state, in every order, and malformed input in each state.

use crate::support::{Peer, Server, Value, each_engine, same_as_redis};

/// Commands that change the state of a connection or depend on it.
const STEPS: &[&str] = &[
    "MULTI",
    "EXEC",
    "DISCARD",
    "WATCH k",
    "UNWATCH",
    "RESET",
    "SELECT 1",
    "FLUSHALL",
    "SET k v",
    "GET k",
    "GET",
    "INCR k",
    "QUIT",
    "SWAPDB 0 1",
    "MOVE k 1",
    "SUBSCRIBE c",
    "UNSUBSCRIBE",
    "CLIENT TRACKING ON",
];

/// What a new connection answers to the steps, sent in one write.
fn replies(server: &Server, steps: &[&str]) -> Vec<u8> {
    let mut client = server.client();
    client.send(format!("SELECT 1\r\nDEL k\r\nSELECT 0\r\nDEL k\r\n{}\r\nPING\r\nQUIT\r\n", steps.join("\r\n")));
    client.read_to_end()
}

#[test]
fn three_steps_in_every_order_answer_alike() {
    let mut peers = Peer::ENGINES.to_vec();
    if Peer::has_redis() {
        peers.push(Peer::Redis);
    }
    let servers: Vec<Server> = peers.iter().map(|peer| peer.start_small()).collect();
    for first in STEPS {
        for second in STEPS {
            for third in STEPS {
                let steps = [*first, *second, *third];
                let expected = replies(&servers[0], &steps);
                for server in &servers[1..] {
                    let found = replies(server, &steps);
                    assert!(
                        found == expected,
                        "{steps:?}\n{:?}: {}\n{:?}: {}",
                        servers[0].peer,
                        expected.escape_ascii(),
                        server.peer,
                        found.escape_ascii()
                    );
                }
            }
        }
    }
}

same_as_redis! {
    fn a_protocol_error_after_quit_is_not_looked_at(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.send("QUIT\r\n*abc\r\n");
        client.expect("+OK\r\n");
        client.expect_closed();
    }

    fn client_reply_on_answers_though_it_was_to_be_skipped(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.send("CLIENT REPLY SKIP\r\nCLIENT REPLY ON\r\nCLIENT REPLY SKIP\r\nPING\r\n");
        client.expect("+OK\r\n");
        client.expect_open();
    }

    fn what_a_muted_client_queues_is_muted(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.send("CLIENT REPLY OFF\r\nMULTI\r\nSUBSCRIBE c\r\nDISCARD\r\nCLIENT REPLY ON\r\n");
        client.expect("+OK\r\n");
        client.expect_open();
    }

    fn no_shard_channels_within_a_transaction(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.send("MULTI\r\nSSUBSCRIBE c\r\nEXEC\r\n");
        client.expect("+OK\r\n+QUEUED\r\n*1\r\n-ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client\r\n");
        client.expect_open();
    }

    fn times_to_live_count_from_the_end_of_a_pause(peer) {
        let server = peer.start();
        let (mut client, mut watcher) = (server.client(), server.client());
        watcher.check("SET clock v PX 50", "+OK\r\n");
        watcher.check("CLIENT PAUSE 1000000 WRITE", "+OK\r\n");
        client.send("PING\r\nSET k v PX 100000\r\n");
        client.expect("+PONG\r\n");
        while watcher.call("GET clock") != Value::Nil {
            std::thread::yield_now();
        }
        let millis = |time: &Value| time.items()[0].int() * 1000 + time.items()[1].int() / 1000;
        let resumed = millis(&watcher.call("TIME"));
        watcher.check("CLIENT UNPAUSE", "+OK\r\n");
        client.expect("+OK\r\n");
        client.send("MULTI\r\nPTTL k\r\nTIME\r\nEXEC\r\n");
        client.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n");
        let replies = client.read();
        assert!(replies.items()[0].int() + millis(&replies.items()[1]) >= resumed + 100_000);
    }

    fn a_protocol_error_ends_a_transaction(peer) {
        let server = peer.start();
        let mut watcher = server.client();
        for input in ["*1\r\n:1\r\n", "*1\r\n$-1\r\n", "*x\r\n", "SET k \"\r\n"] {
            let mut client = server.client();
            client.check("WATCH k", "+OK\r\n");
            client.check("MULTI", "+OK\r\n");
            client.check("SET k v", "+QUEUED\r\n");
            client.send(input);
            client.send("EXEC\r\n");
            let replies = client.read_to_end();
            assert!(replies.starts_with(b"-ERR Protocol error: "), "{}", replies.escape_ascii());
            assert_eq!(replies.iter().filter(|&&byte| byte == b'\n').count(), 1);
            watcher.check("EXISTS k", ":0\r\n");
        }
    }

    fn a_transaction_is_gone_with_its_connection(peer) {
        let server = peer.start();
        let mut watcher = server.client();
        for _ in 0..50 {
            let mut client = server.client();
            client.send("MULTI\r\nINCR n\r\n");
            client.finish_sending();
            client.expect("+OK\r\n+QUEUED\r\n");
            client.expect_closed();
        }
        watcher.check("EXISTS n", ":0\r\n");
    }

    fn commands_before_login_change_nothing(peer) {
        let server = peer.start_with(&["--requirepass", "secret"]);
        let mut client = server.client();
        client.send("SET k v\r\nMULTI\r\nSET k v\r\nWATCH k\r\nAUTH secret\r\nEXISTS k\r\nSET k w\r\nGET k\r\n");
        client.expect("-NOAUTH Authentication required.\r\n".repeat(4));
        client.expect("+OK\r\n:0\r\n+OK\r\n$1\r\nw\r\n");
        client.expect_open();
    }
}

each_engine! {
    fn a_muted_client_hears_of_no_protocol_error(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.send("CLIENT REPLY OFF\r\n*abc\r\n");
        client.expect_closed();
    }
}
