//! The rows of `framing.txt` and `unauthenticated.txt`: each in one write, byte by byte, and cut off.

use crate::support::client::unescape;
use crate::support::{Client, Server, each_engine, same_as_redis};

struct Row {
    name: &'static str,
    input: Vec<u8>,
    expected: Vec<u8>,
    end: End,
}

/// What becomes of the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    /// The replies are sent, then it is closed.
    Closed,
    /// It is closed at once: of the replies, those arrive that were sent before.
    Dropped,
}

fn rows(text: &'static str) -> Vec<Row> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let row = |line: &'static str| {
        let fields: Vec<&str> = line.split('|').map(str::trim).collect();
        let [name, input, expected, state] = fields[..] else { panic!("not four fields: {line}") };
        let end = match state {
            "open" => End::Open,
            "closed" => End::Closed,
            "dropped" => End::Dropped,
            _ => panic!("no state: {line}"),
        };
        Row { name, input: expand(input), expected: expand(expected), end }
    };
    lines.map(row).collect()
}

/// Resolves `{TEXT*N}` and then the escapes.
fn expand(text: &str) -> Vec<u8> {
    unescape(&repeat(text))
}

/// Resolves `{TEXT*N}`: TEXT, N times.
pub fn repeat(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (repeated, after) = after.split_once('}').expect("a closing brace");
        let (part, times) = repeated.rsplit_once('*').expect("a number of times");
        out.push_str(before);
        out.push_str(&part.repeat(times.parse().expect("a number of times")));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Checks what came back, and that the connection is as it should be.
fn check(row: &Row, client: &mut Client, how: &str) {
    const MARKER: &[u8] = b"+RESET\r\n";
    let (found, expected) = match row.end {
        End::Open => {
            // RESET is allowed in every state and its answer comes last.
            client.send("RESET\r\n");
            (client.read_until(MARKER), [&row.expected, MARKER].concat())
        }
        End::Closed => (client.read_to_end(), row.expected.clone()),
        End::Dropped => {
            let found = client.read_to_end();
            let expected = row.expected[..found.len().min(row.expected.len())].to_vec();
            (found, expected)
        }
    };
    assert!(
        found == expected,
        "{}, {how}\nexpected: {}\n   found: {}",
        row.name,
        expected.escape_ascii(),
        found.escape_ascii()
    );
}

fn run(server: &Server, rows: &[Row], login: &str) {
    let mut watcher = server.client();
    if !login.is_empty() {
        watcher.check(login, "+OK\r\n");
    }
    for row in rows {
        // Shown only if the test fails.
        eprintln!("{}", row.name);
        let mut client = server.client();
        // The server may hang up before it has been told everything.
        let _ = client.try_send(&row.input);
        watcher.check("PING", "+PONG\r\n");
        check(row, &mut client, "in one write");

        let mut client = server.client();
        // The end of a long row is what matters: the rest of it comes in one piece.
        let bulk = row.input.len().saturating_sub(300);
        let _ = client.try_send(&row.input[..bulk]);
        for byte in &row.input[bulk..] {
            if client.try_send([*byte]).is_err() {
                break;
            }
        }
        watcher.check("PING", "+PONG\r\n");
        check(row, &mut client, "byte by byte");

        for cut in cuts(row.input.len()) {
            let mut client = server.client();
            let _ = client.try_send(&row.input[..cut]);
            client.finish_sending();
            let found = client.read_to_end();
            assert!(
                row.expected.starts_with(&found),
                "{}, cut after {cut} bytes\nexpected the beginning of: {}\nfound: {}",
                row.name,
                row.expected.escape_ascii(),
                found.escape_ascii()
            );
        }
        watcher.check("PING", "+PONG\r\n");
    }
}

/// Where a row is cut off: everywhere, or near both ends and at some places in between of a long one.
fn cuts(len: usize) -> Vec<usize> {
    const EVERYWHERE: usize = 120;
    if len <= EVERYWHERE {
        return (0..len).collect();
    }
    let (head, tail) = (0..EVERYWHERE / 3, len - EVERYWHERE / 3..len);
    head.chain((0..8).map(|i| len / 8 * i)).chain(tail).collect()
}

same_as_redis! {
    fn framing(peer) {
        let server = peer.start();
        run(&server, &rows(include_str!("framing.txt")), "");
    }

    fn unauthenticated(peer) {
        let server = peer.start_with(&["--requirepass", "secret"]);
        run(&server, &rows(include_str!("unauthenticated.txt")), "AUTH secret");
    }
}

each_engine! {
    fn where_kiba_differs_from_redis(peer) {
        let server = peer.start();
        run(&server, &rows(include_str!("differences.txt")), "");
    }
}
