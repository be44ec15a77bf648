//! XREAD and XREADGROUP that wait.

use std::time::{Duration, Instant};

use crate::blocking::{blocked, id_of, wait_for_blocked};
use crate::support::{each_engine, same_as_redis};

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

/// Entries `<id>-0` with the field `f` and the value `v` of one stream, as XREAD answers in RESP2.
fn stream(key: &str, ids: &[u64]) -> String {
    let entries: String = ids.iter().map(|id| format!("*2\r\n$3\r\n{id}-0\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n")).collect();
    format!("*2\r\n${}\r\n{key}\r\n*{}\r\n{entries}", key.len(), ids.len())
}

/// The same of a reply with one stream.
fn only(key: &str, ids: &[u64]) -> String {
    format!("*1\r\n{}", stream(key, ids))
}

fn no_group(key: &str) -> String {
    format!("-NOGROUP No such key '{key}' or consumer group 'g' in XREADGROUP with GROUP option\r\n")
}

same_as_redis! {
    fn what_is_there_is_read_at_once(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("XADD s 1-0 f v", "$3\r\n1-0\r\n");
        client.check("XADD s 2-0 f v", "$3\r\n2-0\r\n");
        client.check("XREAD BLOCK 0 STREAMS s 0", only("s", &[1, 2]));
        client.check("XREAD COUNT 1 BLOCK 0 STREAMS missing s 0 1", only("s", &[2]));
        client.check("XGROUP CREATE s g 0", "+OK\r\n");
        client.check("XREADGROUP GROUP g c BLOCK 0 COUNT 1 STREAMS s >", only("s", &[1]));
        client.check("XREADGROUP GROUP g c BLOCK 0 STREAMS s >", only("s", &[2]));
        // What is pending is never waited for.
        client.check("XREADGROUP GROUP g c BLOCK 0 STREAMS s 1", only("s", &[2]));
        client.check("XREADGROUP GROUP g c BLOCK 0 STREAMS s 2", only("s", &[]));
    }

    fn an_entry_serves_all_who_read(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("XADD s 5-0 f v", "$3\r\n5-0\r\n");
        let mut last = blocked(&server, "XREAD BLOCK 0 STREAMS s $", 1);
        let mut missing = blocked(&server, "XREAD BLOCK 0 STREAMS missing s $ 5-0", 2);
        let mut later = blocked(&server, "XREAD BLOCK 0 STREAMS s 7-0", 3);
        client.check("XADD s 6-0 f v", "$3\r\n6-0\r\n");
        last.expect(only("s", &[6]));
        missing.expect(only("s", &[6]));
        wait_for_blocked(&server, 1);
        client.check("XADD s 7-0 f v", "$3\r\n7-0\r\n");
        client.check("XADD s 8-0 f v", "$3\r\n8-0\r\n");
        later.expect(only("s", &[8]));
    }

    fn a_group_hands_each_entry_to_whoever_came_first(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("XGROUP CREATE s g $ MKSTREAM", "+OK\r\n");
        client.check("XGROUP CREATE s h $", "+OK\r\n");
        let mut first = blocked(&server, "XREADGROUP GROUP g a BLOCK 0 COUNT 1 STREAMS s >", 1);
        let mut second = blocked(&server, "XREADGROUP GROUP g b BLOCK 0 STREAMS s >", 2);
        let mut other = blocked(&server, "XREADGROUP GROUP h a BLOCK 0 NOACK STREAMS s >", 3);
        let mut reader = blocked(&server, "XREAD BLOCK 0 STREAMS s $", 4);
        client.check("XADD s 1-0 f v", "$3\r\n1-0\r\n");
        first.expect(only("s", &[1]));
        other.expect(only("s", &[1]));
        reader.expect(only("s", &[1]));
        wait_for_blocked(&server, 1);
        client.send("MULTI\r\nXADD s 2-0 f v\r\nXADD s 3-0 f v\r\nEXEC\r\n");
        client.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$3\r\n2-0\r\n$3\r\n3-0\r\n");
        second.expect(only("s", &[2, 3]));
        client.check("XPENDING s g", "*4\r\n:3\r\n$3\r\n1-0\r\n$3\r\n3-0\r\n*2\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n*2\r\n$1\r\nb\r\n$1\r\n2\r\n");
        client.check("XPENDING s h", "*4\r\n:0\r\n$-1\r\n$-1\r\n*-1\r\n");
        first.check("XREADGROUP GROUP g a BLOCK 0 STREAMS s 0", only("s", &[1]));
    }

    fn a_time_out_answers_nothing_to_who_reads(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("XGROUP CREATE s g $ MKSTREAM", "+OK\r\n");
        client.check("XREAD BLOCK 1 STREAMS s $", "*-1\r\n");
        let since = Instant::now();
        client.check("XREADGROUP GROUP g c BLOCK 200 STREAMS s >", "*-1\r\n");
        assert!(since.elapsed() >= Duration::from_millis(200));
        client.call("HELLO 3");
        client.check("XREAD BLOCK 1 STREAMS s $", "_\r\n");
        client.send("XREAD BLOCK 0 STREAMS s $\r\n");
        wait_for_blocked(&server, 1);
        server.client().check("XADD s 1-0 f v", "$3\r\n1-0\r\n");
        client.expect("%1\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n");
    }

    fn mistakes_do_not_wait(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k v", "+OK\r\n");
        client.check("XREAD BLOCK -1 STREAMS s $", "-ERR timeout is negative\r\n");
        for timeout in ["1.5", "x", "9223372036854775808", "STREAMS"] {
            let request = format!("XREAD BLOCK {timeout} STREAMS s $");
            client.check(&request, "-ERR timeout is not an integer or out of range\r\n");
        }
        client.check("XREAD BLOCK 0 STREAMS s k $ $", WRONG_TYPE);
        client.check("XREADGROUP GROUP g c BLOCK 0 STREAMS k >", WRONG_TYPE);
        client.check("XREADGROUP GROUP g c BLOCK 0 STREAMS s >", no_group("s"));
        client.expect_open();
    }

    fn no_read_blocks_in_a_transaction(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("XGROUP CREATE s g $ MKSTREAM", "+OK\r\n");
        client.send("MULTI\r\nXREAD BLOCK 0 STREAMS s $\r\nXREADGROUP GROUP g c BLOCK 0 STREAMS s >\r\n");
        client.send("XADD s 1-0 f v\r\nXREAD BLOCK 0 STREAMS s 0\r\nEXEC\r\n");
        client.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n");
        client.expect(format!("*4\r\n*-1\r\n*-1\r\n$3\r\n1-0\r\n{}", only("s", &[1])));
    }

    fn others_unblock_a_reader(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("XGROUP CREATE s g $ MKSTREAM", "+OK\r\n");
        let mut waiter = server.client();
        let id = id_of(&mut waiter);
        for request in ["XREAD BLOCK 0 STREAMS s $", "XREADGROUP GROUP g c BLOCK 0 STREAMS s >"] {
            for (how, expected) in
                [("TIMEOUT", "*-1\r\n"), ("ERROR", "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n")]
            {
                waiter.send(format!("{request}\r\n"));
                wait_for_blocked(&server, 1);
                client.check(&format!("CLIENT UNBLOCK {id} {how}"), ":1\r\n");
                waiter.expect(expected);
            }
        }
    }

    fn who_reads_waits_on_when_the_key_becomes_something_else(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("XADD s 1-0 f v", "$3\r\n1-0\r\n");
        let mut reader = blocked(&server, "XREAD BLOCK 0 STREAMS s $", 1);
        client.check("DEL s", ":1\r\n");
        client.check("SET s v", "+OK\r\n");
        client.check("DEL s", ":1\r\n");
        client.check("RPUSH s v", ":1\r\n");
        client.check("DEL s", ":1\r\n");
        // What it waits for lies behind the last ID there was.
        client.check("XADD s 1-0 f v", "$3\r\n1-0\r\n");
        client.check("XADD s 2-0 f v", "$3\r\n2-0\r\n");
        reader.expect(only("s", &[2]));
        let mut reader = blocked(&server, "XREAD BLOCK 0 STREAMS copy 1", 1);
        client.check("COPY s copy", ":1\r\n");
        reader.expect(only("copy", &[2]));
        let mut reader = blocked(&server, "XREAD BLOCK 0 STREAMS new 0", 1);
        client.check("RENAME s new", "+OK\r\n");
        reader.expect(only("new", &[1, 2]));
    }

    fn a_list_and_a_stream_are_waited_for_at_one_key(peer) {
        let server = peer.start();
        let mut client = server.client();
        let mut reader = blocked(&server, "XREAD BLOCK 0 STREAMS k $", 1);
        let mut popper = blocked(&server, "BLPOP k 0", 2);
        client.check("RPUSH k v", ":1\r\n");
        popper.expect("*2\r\n$1\r\nk\r\n$1\r\nv\r\n");
        client.check("XADD k 1-0 f v", "$3\r\n1-0\r\n");
        reader.expect(only("k", &[1]));
    }

    fn what_follows_a_read_that_waits_comes_behind_it(peer) {
        let server = peer.start();
        let mut client = server.client();
        let mut waiter = server.client();
        waiter.send("XREAD BLOCK 0 STREAMS s $\r\nXADD s 2-0 f v\r\nXREAD STREAMS s 0\r\n");
        wait_for_blocked(&server, 1);
        client.check("XADD s 1-0 f v", "$3\r\n1-0\r\n");
        waiter.expect(format!("{}$3\r\n2-0\r\n{}", only("s", &[1]), only("s", &[1, 2])));
    }
}

each_engine! {
    fn a_timeout_behind_the_end_of_time_is_refused_by_xread(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("XREAD BLOCK 9223372036854775807 STREAMS s $", "-ERR timeout is out of range\r\n");
        let waiter = blocked(&server, "XREAD BLOCK 9000000000000000000 STREAMS s $", 1);
        drop(waiter);
        wait_for_blocked(&server, 0);
    }

    fn whoever_is_woken_by_one_stream_is_answered_about_all(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("XADD s 8-0 f v", "$3\r\n8-0\r\n");
        let mut many = blocked(&server, "XREAD COUNT 2 BLOCK 0 STREAMS s t $ $", 1);
        client.send("MULTI\r\nXADD t 1-0 f v\r\nXADD s 9-0 f v\r\nXADD t 2-0 f v\r\nXADD t 3-0 f v\r\nEXEC\r\n");
        (0..6).for_each(|_| _ = client.read());
        many.expect(format!("*2\r\n{}{}", stream("s", &[9]), stream("t", &[1, 2])));
        wait_for_blocked(&server, 0);
        let mut many = blocked(&server, "XREAD BLOCK 0 STREAMS u u 0 $", 1);
        client.check("XADD u 1-0 f v", "$3\r\n1-0\r\n");
        many.expect(format!("*2\r\n{}{}", stream("u", &[1]), stream("u", &[1])));
        many.expect_open();
    }

    fn the_last_entry_is_waited_for(peer) {
        let server = peer.start();
        let mut client = server.client();
        let mut waiter = blocked(&server, "XREAD BLOCK 0 STREAMS s +", 1);
        client.send("MULTI\r\nXADD s 1-0 f v\r\nXADD s 2-0 f v\r\nEXEC\r\n");
        (0..4).for_each(|_| _ = client.read());
        waiter.expect(only("s", &[2]));
        waiter.check("XREAD BLOCK 0 STREAMS s +", only("s", &[2]));
    }

    fn a_group_that_goes_away_is_not_waited_for(peer) {
        let server = peer.start();
        let mut client = server.client();
        let (gone, both_gone) = (no_group("s"), no_group("t"));
        for (requests, expected) in [
            (&["XGROUP DESTROY s g"][..], &*gone),
            (&["DEL s"], &*gone),
            (&["UNLINK s"], &*gone),
            (&["PEXPIRE s 20"], &*gone),
            (&["PEXPIREAT s 1"], &*gone),
            (&["MULTI", "DEL s", "XADD s 1-0 f v", "EXEC"], &*gone),
            (&["RENAME other s"], &*gone),
            (&["RENAME s elsewhere"], &*gone),
            (&["MOVE s 1"], &*gone),
            (&["SET s v"], WRONG_TYPE),
            (&["COPY list s REPLACE"], WRONG_TYPE),
            (&["FLUSHALL"], &*both_gone),
            (&["SWAPDB 0 5"], &*both_gone),
        ] {
            client.call("FLUSHALL");
            for request in ["RPUSH list v", "XADD other 1-0 f v", "XGROUP CREATE t g $ MKSTREAM", "XGROUP CREATE s g $ MKSTREAM"] {
                client.call(request);
            }
            let mut waiter = blocked(&server, "XREADGROUP GROUP g c BLOCK 0 STREAMS t s > >", 1);
            requests.iter().for_each(|request| _ = client.call(request));
            waiter.expect(expected);
            wait_for_blocked(&server, 0);
        }
    }

    fn a_consumer_is_made_when_it_begins_to_wait(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("XGROUP CREATE s g $ MKSTREAM", "+OK\r\n");
        let mut watcher = server.client();
        watcher.check("WATCH s", "+OK\r\n");
        let mut waiter = blocked(&server, "XREADGROUP GROUP g c BLOCK 0 STREAMS s >", 1);
        watcher.check("MULTI", "+OK\r\n");
        watcher.check("EXEC", "*-1\r\n");
        // It was deleted already when it is handed something, and not before.
        client.check("XGROUP DELCONSUMER s g c", ":0\r\n");
        client.check("XGROUP DELCONSUMER s g c", ":0\r\n");
        client.check("XADD s 1-0 f v", "$3\r\n1-0\r\n");
        waiter.expect(only("s", &[1]));
        client.check("XGROUP DELCONSUMER s g c", ":1\r\n");
    }

    fn a_group_that_is_set_back_has_something_for_who_waits(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("XADD s 1-0 f v", "$3\r\n1-0\r\n");
        client.check("XGROUP CREATE s g $", "+OK\r\n");
        let mut waiter = blocked(&server, "XREADGROUP GROUP g c BLOCK 0 STREAMS s >", 1);
        client.check("XGROUP SETID s g 0", "+OK\r\n");
        waiter.expect(only("s", &[1]));
    }

    fn every_entry_goes_to_one_consumer(peer) {
        const CONSUMERS: usize = 40;
        let server = peer.start();
        let mut client = server.client();
        client.check("XGROUP CREATE s g $ MKSTREAM", "+OK\r\n");
        let mut waiters: Vec<_> = (0..CONSUMERS).map(|_| server.client()).collect();
        for (i, waiter) in waiters.iter_mut().enumerate() {
            waiter.send(format!("XREADGROUP GROUP g c{i} COUNT 1 BLOCK 0 STREAMS s >\r\n"));
            wait_for_blocked(&server, i + 1);
        }
        for i in 1..=CONSUMERS as u64 {
            client.check(&format!("XADD s {i}-0 f v"), format!("${}\r\n{i}-0\r\n", i.to_string().len() + 2));
        }
        for (i, waiter) in waiters.iter_mut().enumerate() {
            let reply = waiter.read();
            let id = reply.items()[0].items()[1].items()[0].items()[0].text();
            assert_eq!(id, format!("{}-0", i + 1));
        }
        wait_for_blocked(&server, 0);
    }
}
