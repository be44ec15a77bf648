//! `dialect original`: the answers of the original Kiba where they differ from Redis'.

use crate::support::each_engine;

each_engine! {
    fn sadd_replies_with_the_new_size(peer) {
        let server = peer.start_with(&["--dialect", "original"]);
        let mut client = server.client();
        client.check("SADD colors red", ":1\r\n");
        client.check("SADD colors blue", ":2\r\n");
        client.check("SADD colors green", ":3\r\n");
        client.check("SADD colors green", ":3\r\n");
        client.check("SADD colors green black white", ":5\r\n");
        assert_eq!(client.call("SMEMBERS colors").sorted(), ["black", "blue", "green", "red", "white"]);
        client.check("SREM colors red", ":1\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("SADD colors red", "+QUEUED\r\n");
        client.check("EXEC", "*1\r\n:5\r\n");
    }

    fn the_rest_answers_as_redis_does(peer) {
        let server = peer.start_with(&["--dialect", "original"]);
        let mut client = server.client();
        client.check("SET name \"FOO BAR\"", "+OK\r\n");
        client.check("GET name", "$7\r\nFOO BAR\r\n");
        client.check("GET bar", "$-1\r\n");
        client.check("SET counter 9999", "+OK\r\n");
        client.check("INCR counter", ":10000\r\n");
        client.check("DECRBY counter 3000", ":7000\r\n");
        client.check("LPUSH letters b", ":1\r\n");
        client.check("LPUSH letters a", ":2\r\n");
        client.check("RPUSH letters c", ":3\r\n");
        client.check("LPOP letters", "$1\r\na\r\n");
        client.check("HSET user:321 name \"John Smith\"", ":1\r\n");
        client.check("HGET user:321 name", "$10\r\nJohn Smith\r\n");
    }

    #[cfg(feature = "cli")]
    fn the_original_transcript_through_kiba_cli(peer) {
        let server = peer.start_with(&["--dialect", "original"]);
        let transcript = [
            ("SET name \"FOO BAR\"", "OK"),
            ("GET name", "\"FOO BAR\""),
            ("GET bar", "(nil)"),
            ("SET counter 9999", "OK"),
            ("INCR counter", "(integer) 10000"),
            ("DECRBY counter 3000", "(integer) 7000"),
            ("LPUSH letters b", "(integer) 1"),
            ("LPUSH letters a", "(integer) 2"),
            ("RPUSH letters c", "(integer) 3"),
            ("LPOP letters", "\"a\""),
            ("LPOP letters", "\"b\""),
            ("LPOP letters", "\"c\""),
            ("SADD colors red", "(integer) 1"),
            ("SADD colors blue", "(integer) 2"),
            ("SADD colors green", "(integer) 3"),
            ("HSET user:321 name \"John Smith\"", "(integer) 1"),
            ("HSET user:321 date_joined 2020-01-01", "(integer) 1"),
            ("HGET user:321 name", "\"John Smith\""),
            ("HGET user:321 date_joined", "\"2020-01-01\""),
        ];
        let typed: String = transcript.iter().map(|(line, _)| format!("{line}\n")).collect();
        let shown: String = transcript.iter().map(|(_, reply)| format!("{reply}\n")).collect();
        assert_eq!(kiba_cli(&server, &typed), shown);
        // A set has no order.
        let members = kiba_cli(&server, "SMEMBERS colors\n");
        let mut members: Vec<&str> = members.lines().filter_map(|line| line.split(") ").nth(1)).collect();
        members.sort_unstable();
        assert_eq!(members, ["\"blue\"", "\"green\"", "\"red\""]);
    }
}

/// What `kiba-cli` shows on a terminal for these lines.
#[cfg(feature = "cli")]
fn kiba_cli(server: &crate::support::Server, typed: &str) -> String {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut cli = Command::new(env!("CARGO_BIN_EXE_kiba-cli"))
        .args([&server.address.to_string(), "--no-raw"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("kiba-cli starts");
    cli.stdin.take().expect("piped").write_all(typed.as_bytes()).expect("kiba-cli reads");
    let output = cli.wait_with_output().expect("kiba-cli ends");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("text")
}
