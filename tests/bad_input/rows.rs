//! The rows of `framing.txt` and `unauthenticated.txt`: each in one write, byte by byte, and cut off.

use crate::others::{GROWTH_MAX, Others, start};
use crate::support::client::{encode, unescape};
use crate::support::{Client, Server, each_engine, same_as_redis};

struct Row {
    name: String,
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
        Row { name: name.to_owned(), input: expand(input), expected: expand(expected), end }
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
    let mut others = Others::of(server, login);
    for row in rows {
        // Shown only if the test fails.
        eprintln!("{}", row.name);
        others.notice_nothing(server, GROWTH_MAX, &row.name, || {
            let mut client = server.client();
            // The server may hang up before it has been told everything.
            let _ = client.try_send(&row.input);
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
        });
    }
}

/// Passwords that nearly are the one, in every form of login.
fn wrong_passwords() -> impl Iterator<Item = Row> {
    const PASSWORDS: [&[u8]; 9] =
        [b"", b"s", b"secre", b"secret ", b"secrets", b"SECRET", b"secret\0", b"\0secret", b"\xff\xfe\r\n"];
    const FORMS: [&[&str]; 5] = [
        &["AUTH"],
        &["AUTH", "default"],
        &["AUTH", "nobody"],
        &["HELLO", "2", "AUTH", "default"],
        &["HELLO", "3", "SETNAME", "x", "AUTH", "default"],
    ];
    let pairs = FORMS.into_iter().flat_map(|form| PASSWORDS.map(|password| (form, password)));
    pairs.map(|(form, password)| Row {
        name: format!("{} {}", form.join(" "), password.escape_ascii()),
        input: encode(&form.iter().map(|word| word.as_bytes()).chain([password]).collect::<Vec<_>>()),
        expected: b"-WRONGPASS invalid username-password pair or user is disabled.\r\n".to_vec(),
        end: End::Open,
    })
}

/// Counts and lengths around what a client may announce before login, and around what anybody may.
fn announced_before_login() -> impl Iterator<Item = Row> {
    let counts = [(11_u64, "unauthenticated"), (12, "unauthenticated"), (1024, "unauthenticated")];
    let counts = counts.into_iter().chain([(2_147_483_647, "unauthenticated"), (2_147_483_648, "invalid")]);
    let counts = counts.chain([(u64::MAX, "invalid")]).map(|(count, what)| (format!("*{count}"), what, "multibulk"));
    let lengths = [(16_385_u64, "unauthenticated"), (16_386, "unauthenticated"), (1 << 20, "unauthenticated")];
    let lengths = lengths.into_iter().chain([(1 << 29, "unauthenticated"), ((1 << 29) + 1, "invalid")]);
    let lengths = lengths.chain([(u64::MAX, "invalid")]).map(|(len, what)| (format!("*10\r\n${len}"), what, "bulk"));
    counts.chain(lengths).map(|(input, what, of)| Row {
        input: format!("PING\r\n{input}\r\n").into_bytes(),
        expected: format!("-NOAUTH Authentication required.\r\n-ERR Protocol error: {what} {of} length\r\n")
            .into_bytes(),
        end: End::Closed,
        name: input,
    })
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
        let server = start(peer, &[]);
        run(&server, &rows(include_str!("framing.txt")), "");
    }

    fn unauthenticated(peer) {
        let server = start(peer, &["--requirepass", "secret"]);
        let mut rows = rows(include_str!("unauthenticated.txt"));
        rows.extend(wrong_passwords());
        rows.extend(announced_before_login());
        run(&server, &rows, "AUTH secret");
    }
}

each_engine! {
    fn where_kiba_differs_from_redis(peer) {
        let server = start(peer, &[]);
        run(&server, &rows(include_str!("differences.txt")), "");
    }
}
