//! The connection: PING ECHO SELECT QUIT RESET AUTH, and replies to what is no command.

use crate::support::{each_engine, same_as_redis};

same_as_redis! {
    fn ping_and_echo(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("PING", "+PONG\r\n");
        client.check("ping \"hello world\"", "$11\r\nhello world\r\n");
        client.check("PING \"\"", "$0\r\n\r\n");
        client.check("PING a b", "-ERR wrong number of arguments for 'ping' command\r\n");
        client.check("ECHO \"a\\r\\nb\\0\"", "$5\r\na\r\nb\0\r\n");
        client.check("ECHO", "-ERR wrong number of arguments for 'echo' command\r\n");
        client.check("ECHO a b", "-ERR wrong number of arguments for 'echo' command\r\n");
    }

    fn select_a_database(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        client.check("SET k zero", "+OK\r\n");
        client.check("SELECT 15", "+OK\r\n");
        client.check("GET k", "$-1\r\n");
        client.check("SET k fifteen", "+OK\r\n");
        other.check("GET k", "$4\r\nzero\r\n");
        for index in ["16", "-1", "2147483647", "-2147483648"] {
            client.check(&format!("SELECT {index}"), "-ERR DB index is out of range\r\n");
        }
        for index in ["x", "\"\"", "1.5", "9223372036854775808"] {
            client.check(&format!("SELECT {index}"), "-ERR value is not an integer or out of range\r\n");
        }
        const RANGE: &str = "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n";
        client.check("SELECT 2147483648", RANGE);
        client.check("SELECT -9223372036854775808", RANGE);
        client.check("GET k", "$7\r\nfifteen\r\n");
        client.check("SELECT", "-ERR wrong number of arguments for 'select' command\r\n");
    }

    fn quit_answers_and_closes(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.send("PING\r\nQUIT\r\nPING\r\n");
        client.expect("+PONG\r\n+OK\r\n");
        client.expect_closed();
        let mut client = server.client();
        client.check("quit now", "+OK\r\n");
        client.expect_closed();
    }

    fn reset_starts_over(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k v", "+OK\r\n");
        client.check("SELECT 1", "+OK\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("RESET", "+RESET\r\n");
        client.check("GET k", "$1\r\nv\r\n");
        client.check("RESET x", "-ERR wrong number of arguments for 'reset' command\r\n");
    }

    fn unknown_commands_name_their_arguments(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with: \r\n");
        client.check("NoSuch a \"b c\"", "-ERR unknown command 'NoSuch', with args beginning with: 'a' 'b c' \r\n");
        client.check("\"\"", "-ERR unknown command '', with args beginning with: \r\n");
        client.check("\"a\\r\\n+OK\" \"b\\r\\n+OK\"", "-ERR unknown command 'a  +OK', with args beginning with: 'b  +OK' \r\n");
        let long = "x".repeat(300);
        let expected = format!("-ERR unknown command '{}', with args beginning with: \r\n", &long[..128]);
        client.check(&long, expected);
        // As many arguments as fit into 128 bytes, each cut to what is left.
        let reply = client.call(&format!("NOSUCH {long} {long}"));
        assert_eq!(format!("{reply:?}"), format!("-ERR unknown command 'NOSUCH', with args beginning with: '{}' ", &long[..128]));
        let ten = "0123456789".repeat(4);
        let reply = client.call(&format!("NOSUCH {ten} {ten} {ten} {ten}"));
        assert_eq!(format!("{reply:?}"), format!("-ERR unknown command 'NOSUCH', with args beginning with: '{ten}' '{ten}' '{ten}' "));
        client.expect_open();
    }

    fn without_a_password_everybody_is_logged_in(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check(
            "AUTH secret",
            "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?\r\n",
        );
        client.check("AUTH default anything", "+OK\r\n");
        client.check("AUTH nobody secret", "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
        client.check("AUTH", "-ERR wrong number of arguments for 'auth' command\r\n");
        client.check("AUTH a b c", "-ERR syntax error\r\n");
    }

    fn a_password_is_asked_for(peer) {
        let server = peer.start_with(&["--requirepass", "secret"]);
        let mut client = server.client();
        for request in ["PING", "GET k", "SET k v", "MULTI", "ECHO x", "SELECT 1", "FLUSHALL", "KEYS *"] {
            client.check(request, "-NOAUTH Authentication required.\r\n");
        }
        client.check("AUTH wrong", "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
        client.check("AUTH default wrong", "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
        client.check("AUTH \"\"", "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
        client.check("AUTH other secret", "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
        client.check("PING", "-NOAUTH Authentication required.\r\n");
        client.check("AUTH secret", "+OK\r\n");
        client.check("SET k v", "+OK\r\n");
        // A failed login does not log out.
        client.check("AUTH wrong", "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
        client.check("GET k", "$1\r\nv\r\n");
        client.check("RESET", "+RESET\r\n");
        client.check("GET k", "-NOAUTH Authentication required.\r\n");
        client.check("AUTH default secret", "+OK\r\n");
        client.check("GET k", "$1\r\nv\r\n");
        client.check("QUIT", "+OK\r\n");
        client.expect_closed();
        let mut client = server.client();
        client.check("QUIT", "+OK\r\n");
        client.expect_closed();
    }

    fn resp3_has_its_own_nil(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("RPUSH l a", ":1\r\n");
        client.check("HSET h f v", ":1\r\n");
        client.check("SADD s m", ":1\r\n");
        assert!(matches!(client.call("HELLO 3"), crate::support::Value::Map(_)));
        client.check("GET missing", "_\r\n");
        client.check("SET missing v XX", "_\r\n");
        client.check("MGET missing l", "*2\r\n_\r\n_\r\n");
        client.check("LPOP missing", "_\r\n");
        client.check("LPOP missing 1", "_\r\n");
        client.check("HGET h missing", "_\r\n");
        client.check("OBJECT ENCODING missing", "_\r\n");
        client.check("HGETALL h", "%1\r\n$1\r\nf\r\n$1\r\nv\r\n");
        client.check("HGETALL missing", "%0\r\n");
        client.check("SMEMBERS s", "~1\r\n$1\r\nm\r\n");
        client.check("SMEMBERS missing", "~0\r\n");
        client.check("LRANGE l 0 -1", "*1\r\n$1\r\na\r\n");
        client.check("KEYS nothing", "*0\r\n");
        client.check("SISMEMBER s m", ":1\r\n");
        client.check("WATCH k", "+OK\r\n");
        server.client().check("SET k v", "+OK\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("EXEC", "_\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("GET missing", "+QUEUED\r\n");
        client.check("HGETALL h", "+QUEUED\r\n");
        client.check("EXEC", "*2\r\n_\r\n%1\r\n$1\r\nf\r\n$1\r\nv\r\n");
        client.check("RESET", "+RESET\r\n");
        client.check("GET missing", "$-1\r\n");
        assert!(matches!(client.call("HELLO 3"), crate::support::Value::Map(_)));
        assert!(matches!(client.call("HELLO 2"), crate::support::Value::Array(_)));
        client.check("LPOP missing 1", "*-1\r\n");
        client.check("HELLO 4", "-NOPROTO unsupported protocol version\r\n");
        client.check("HELLO 1", "-NOPROTO unsupported protocol version\r\n");
        client.check("GET missing", "$-1\r\n");
    }
}

each_engine! {
    fn the_number_of_databases_is_an_option(peer) {
        let server = peer.start_with(&["--databases", "2"]);
        let mut client = server.client();
        client.check("SELECT 1", "+OK\r\n");
        client.check("SELECT 2", "-ERR DB index is out of range\r\n");
    }
}
