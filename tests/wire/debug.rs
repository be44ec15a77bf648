//! DEBUG: for whom, and what it does.

use std::time::{Duration, Instant};

use crate::support::{each_engine, same_as_redis};

const NOT_ALLOWED: &str = "-ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can \
                           run it from a local connection, otherwise you need to set this option in the configuration \
                           file, and then restart the server.\r\n";
const ALLOWED: &[&str] = &["--enable-debug-command", "yes"];

fn wrong_form(name: &str) -> String {
    format!("-ERR unknown subcommand or wrong number of arguments for '{name}'. Try DEBUG HELP.\r\n")
}

same_as_redis! {
    fn debug_is_not_for_everybody(peer) {
        let server = peer.start();
        let mut client = server.client();
        for request in ["DEBUG SLEEP 0", "DEBUG OBJECT k", "DEBUG HELP", "debug nosuch"] {
            client.check(request, NOT_ALLOWED);
        }
        client.check("DEBUG", "-ERR wrong number of arguments for 'debug' command\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("DEBUG SLEEP 0", NOT_ALLOWED);
        client.check("EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n");
    }

    fn debug_is_refused_before_the_password_is_asked_for(peer) {
        let server = peer.start_with(&["--requirepass", "secret"]);
        server.client().check("DEBUG SLEEP 0", NOT_ALLOWED);
        let server = peer.start_with(&["--requirepass", "secret", "--enable-debug-command", "local"]);
        server.client().check("DEBUG SLEEP 0", "-NOAUTH Authentication required.\r\n");
    }

    fn debug_looks_at_its_arguments(peer) {
        let server = peer.start_with(&["--enable-debug-command", "local"]);
        let mut client = server.client();
        for request in [
            "DEBUG nosuch",
            "DEBUG sleep",
            "DEBUG sleep 1 2",
            "DEBUG object",
            "DEBUG object a b",
            "DEBUG set-active-expire",
            "DEBUG quicklist-packed-threshold",
        ] {
            let name = request.split(' ').nth(1).expect("two words");
            client.check(request, wrong_form(name));
        }
        client.check("DEBUG OBJECT missing", "-ERR no such key\r\n");
        for size in ["x", "-1", "5gb", "4293918721"] {
            client.check(
                &format!("DEBUG QUICKLIST-PACKED-THRESHOLD {size}"),
                "-ERR argument must be a memory value bigger than 1 and smaller than 4gb\r\n",
            );
        }
        for size in ["0", "1", "100b", "1kb", "4293918720"] {
            client.check(&format!("DEBUG QUICKLIST-PACKED-THRESHOLD {size}"), "+OK\r\n");
        }
        for request in ["DEBUG SLEEP x", "DEBUG SLEEP -1", "debug sleep 0.001", "DEBUG SET-ACTIVE-EXPIRE 1", "DEBUG SET-ACTIVE-EXPIRE x"] {
            client.check(request, "+OK\r\n");
        }
        client.check("SET k 5", "+OK\r\n");
        let line = client.call("DEBUG OBJECT k").text();
        assert!(line.contains(" encoding:int serializedlength:2 lru:") && line.contains(" lru_seconds_idle:0"), "{line}");
        client.check("SET k hello", "+OK\r\n");
        let line = client.call("DEBUG OBJECT k").text();
        assert!(line.contains(" refcount:1 encoding:embstr serializedlength:6 lru:"), "{line}");
    }

    fn keys_that_nobody_asks_for_stay_when_told(peer) {
        let server = peer.start_with(ALLOWED);
        let mut client = server.client();
        client.check("DEBUG SET-ACTIVE-EXPIRE 0", "+OK\r\n");
        for i in 0..20 {
            client.check(&format!("SET key:{i} v PX 1"), "+OK\r\n");
        }
        std::thread::sleep(Duration::from_millis(150));
        client.check("DBSIZE", ":20\r\n");
        client.check("EXISTS key:0", ":0\r\n");
        client.check("GET key:1", "$-1\r\n");
        client.check("DEBUG SET-ACTIVE-EXPIRE 1", "+OK\r\n");
        while client.call("DBSIZE").int() > 0 {}
    }
}

each_engine! {
    fn who_sleeps_sleeps_alone(peer) {
        let server = peer.start_with(ALLOWED);
        let (mut sleeper, mut other) = (server.client(), server.client());
        let start = Instant::now();
        sleeper.send("DEBUG SLEEP 0.3\r\nPING\r\n");
        while start.elapsed() < Duration::from_millis(100) {
            other.check("SET k v", "+OK\r\n");
            assert!(start.elapsed() < Duration::from_millis(300));
        }
        sleeper.expect("+OK\r\n+PONG\r\n");
        assert!(start.elapsed() >= Duration::from_millis(300));
    }

    fn a_transaction_sleeps_after_its_last_command(peer) {
        let server = peer.start_with(ALLOWED);
        let (mut sleeper, mut other) = (server.client(), server.client());
        let start = Instant::now();
        sleeper.send("MULTI\r\nDEBUG SLEEP 0.1\r\nSET k v\r\nDEBUG SLEEP 0.2\r\nEXEC\r\n");
        while other.call("GET k").is_error() || other.call("EXISTS k").int() == 0 {}
        assert!(start.elapsed() < Duration::from_millis(300));
        sleeper.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n+OK\r\n+OK\r\n");
        assert!(start.elapsed() >= Duration::from_millis(300));
    }

    fn a_sleeper_can_be_closed(peer) {
        let server = peer.start_with(ALLOWED);
        let (mut sleeper, mut other) = (server.client(), server.client());
        let id = sleeper.call("CLIENT ID").int();
        sleeper.send("DEBUG SLEEP inf\r\n");
        while !other.call("CLIENT LIST").text().contains("cmd=debug") {}
        other.check(&format!("CLIENT KILL ID {id}"), ":1\r\n");
        sleeper.expect_closed();
    }

    fn what_only_kiba_has(peer) {
        let server = peer.start_with(ALLOWED);
        let mut client = server.client();
        client.check("DEBUG JMAP", "+OK\r\n");
        client.check("DEBUG STRINGMATCH-LEN a*c abc", ":1\r\n");
        client.check("DEBUG STRINGMATCH-LEN a*c abd", ":0\r\n");
        assert_eq!(client.call("DEBUG HELP").items().len(), 15);
        client.check("COMMAND GETKEYS debug object k", "-ERR The command has no key arguments\r\n");
    }
}
