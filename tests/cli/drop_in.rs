//! kiba-cli and redis-cli are given the same work on the same server and must print the same bytes.

use std::process::Output;

use crate::server::{Server, run, unused_port};

/// Data that every comparison starts from.
const SEED: &str = "\
flushall
set text \"plain\"
set bytes \"a\\x00b\\xff\\n\\\"\\\\\"
set utf8 \"gr\\xc3\\xbc\\xc3\\x9fe\"
set number 12
rpush list one two three four five six seven eight nine ten eleven
sadd set a b c
hset hash field value other \"two words\" empty \"\"
zadd zset 1 one 2.5 two 1e100 big
xadd stream 1-1 a 1 b 2
xadd stream 2-1 c 3
pfadd hll a b c
geoadd geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
setbit bits 7 1
";

/// Command lines whose replies depend on nothing but the seed and the lines before them.
const LINES: &str = include_str!("commands.txt");

/// Ways to print a reply.
const FORMS: [&[&str]; 9] = [
    &[],
    &["--raw"],
    &["--no-raw"],
    &["-3", "--no-raw"],
    &["-3"],
    &["--csv"],
    &["-3", "--csv"],
    &["--json"],
    &["-2", "--json"],
];

fn shown(output: &Output) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string().replace("\\n", "\\n\n");
    format!("{:?}\n{}\n-- stderr\n{}", output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn lines() -> impl Iterator<Item = &'static str> {
    LINES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[test]
fn two_hundred_commands_print_the_same_in_every_form() {
    let Some(server) = Server::start(&[]) else { return };
    assert!(lines().count() >= 200, "only {} lines", lines().count());
    let script = format!("{}\n", lines().collect::<Vec<_>>().join("\n"));
    for form in FORMS {
        server.redis_cli(&[], SEED);
        let theirs = server.redis_cli(form, &script);
        server.redis_cli(&[], SEED);
        let ours = server.kiba_cli(form, &script);
        let (theirs, ours) = (shown(&theirs), shown(&ours));
        if let Some((at, (a, b))) = theirs.lines().zip(ours.lines()).enumerate().find(|(_, (a, b))| a != b) {
            let around: Vec<_> = theirs.lines().skip(at.saturating_sub(3)).take(3).collect();
            panic!("{form:?}, output line {at} behind {around:?}\nredis-cli: {a}\nkiba-cli:  {b}");
        }
        assert_eq!(theirs, ours, "{form:?}");
    }
}

/// Command lines of a process of their own; `|` separates arguments where a space does not.
const CALLS: &[&str] = &[
    "ping",
    "-e ping",
    "-e nosuch",
    "nosuch",
    "--no-raw nosuch",
    "get text",
    "get missing",
    "--no-raw get missing",
    "-n 3 get text",
    "-n 99 get text",
    "-r 3 incr n",
    "-r 2 -i 0.01 -D | ping",
    "-r 0 ping",
    "-d , lrange list 0 2",
    "-d , -D ; lrange list 0 2",
    "-D ; --csv ping",
    "-D ; --json ping",
    "-D ; --no-raw ping",
    "--raw --csv get text",
    "--csv --raw get text",
    "--no-raw --json get text",
    "--json nosuch",
    "--csv nosuch",
    "--quoted-input get \"te\\x78t\"",
    "--quoted-input get \"text",
    "--quoted-json get utf8",
    "--show-pushes no get text",
    "--show-pushes what get text",
    "-2 get text",
    "-2 -3 get text",
    "-3 hgetall hash",
    "-3 --no-raw debug protocol set",
    "-3 --no-raw debug protocol map",
    "-3 --no-raw debug protocol double",
    "-3 --no-raw debug protocol verbatim",
    "-3 --no-raw debug protocol true",
    "-3 --no-raw debug protocol null",
    "-3 debug protocol map",
    "--json debug protocol map",
    "--json debug protocol double",
    "-a secret ping",
    "--pass secret ping",
    "-a secret --no-auth-warning ping",
    "--user nobody --pass secret ping",
    "--askpass ping",
    "--verbose ping",
    "info nosuch",
    "--no-raw cluster info",
    "--json info nosuch",
    "--no-raw quit",
    "help get",
    "help @string",
    "help nosuch",
    "help migrate",
    "--scan",
    "--scan --pattern s*",
    "--scan --no-raw",
    "--scan --quoted-pattern \"\\x73et\"",
    "--memkeys",
    "--hotkeys",
    "--eval /nonexistent.lua",
    "-nosuchoption",
    "--nosuchoption ping",
    "-p",
    "ping -n 3",
    "set k --raw",
    "get k",
    "shutdown nosuch",
    "-x set fromstdin",
    "get fromstdin",
    "-x",
    "-X TAG set tagged TAG",
    "get tagged",
    "-X TAG set tagged other",
    "-x -X TAG set tagged TAG",
    "-x -r 2 append text",
    "-u http://127.0.0.1 ping",
];

#[test]
fn options_and_exit_codes_are_the_same() {
    let Some(server) = Server::start(&[]) else { return };
    for call in CALLS {
        let args: Vec<&str> = call.split(' ').collect();
        let sorted = args[0] == "--memkeys" || args[0] == "--scan";
        let print = |output: Output| match sorted {
            // The order of types in a summary is that of a randomly seeded table.
            true => {
                let mut lines: Vec<_> = shown(&output).lines().map(str::to_string).collect();
                lines.sort();
                lines.join("\n")
            }
            false => shown(&output),
        };
        server.redis_cli(&[], SEED);
        server.redis_cli(&[], "set fromstdin old\nset tagged old\n");
        let theirs = print(server.redis_cli(&args, "input"));
        server.redis_cli(&[], SEED);
        server.redis_cli(&[], "set fromstdin old\nset tagged old\n");
        let ours = print(server.kiba_cli(&args, "input"));
        assert_eq!(theirs, ours, "{call}");
    }
}

#[test]
fn scripts_of_files_are_evaluated_the_same() {
    let Some(server) = Server::start(&[]) else { return };
    let (good, bad) = (server.path("good.lua"), server.path("bad.lua"));
    std::fs::write(&good, "return {KEYS[1], KEYS[2], ARGV[1], ARGV[2], #KEYS, #ARGV}\n").expect("written");
    std::fs::write(&bad, "return nosuch(").expect("written");
    for words in ["", "a b , c d", "a b ,", ", c", ",", "a , b , c", "a,b", "a b"] {
        for form in [&[][..], &["--no-raw"], &["--json"], &["-3", "--csv"], &["-r", "2"]] {
            let args: Vec<&str> =
                [form, &["--eval", &good]].concat().into_iter().chain(words.split_whitespace()).collect();
            assert_eq!(shown(&server.redis_cli(&args, "")), shown(&server.kiba_cli(&args, "")), "{args:?}");
        }
    }
    for args in [&["--eval", &bad][..], &["-e", "--eval", &bad, "a"]] {
        assert_eq!(shown(&server.redis_cli(args, "")), shown(&server.kiba_cli(args, "")), "{args:?}");
    }
}

#[test]
fn scripts_on_standard_input_behave_the_same() {
    let Some(server) = Server::start(&[]) else { return };
    for (args, script) in [
        (&["--no-raw"][..], "multi\nget text\nnosuch\nexec\nmulti\nselect 3\nexec\nget text\nquit\nget number"),
        (&["-e"], "nosuch\nping\n"),
        (&[], "set \"a\nset a\"b c\n\"\" \n \nexit\nping"),
        (&["--no-raw"], "3 incr n\n0 ping\n-1 ping\n1.5 ping\n2 \n+2 ping\n99999999999999999999 ping\n"),
        (&["--no-raw"], "clear\n:set hints\nselect 99\nget text\nselect 2\nget text\n"),
        (&["-3", "--no-raw", "--show-pushes", "yes"], "client tracking on\nget text\nset text 1\nget text\n"),
        (&["-3"], "client tracking on\nget text\nset text 1\nget text\n"),
        (&["--no-raw"], "hello 3 setname x\nreset\n"),
        (&["--csv"], "multi\nget text\nincr text\nexec\n"),
        (&[], "? get\nhelp nosuch\nhelp @nosuch\nconnect\nconnect a\nclear\n:\n:get\n:set\n"),
        (&[], "# comment\n  ping  \r\n\tping\n\n\nping"),
    ] {
        server.redis_cli(&[], SEED);
        let theirs = shown(&server.redis_cli(args, script));
        server.redis_cli(&[], SEED);
        let ours = shown(&server.kiba_cli(args, script));
        // The connection's number is the one thing that must differ.
        let hide = |text: String| match text.find("\"id\\\" => (integer) ") {
            Some(at) => text[..at].to_string(),
            None => text,
        };
        assert_eq!(hide(theirs), hide(ours), "{args:?} {script:?}");
    }
}

#[test]
fn mass_insertion_counts_the_same() {
    let Some(server) = Server::start(&[]) else { return };
    for input in ["", "PING\r\nset a b\r\nnosuch\r\n*1\r\n$4\r\nPING\r\n", "set a"] {
        let theirs = shown(&server.redis_cli(&["--pipe"], input));
        let ours = shown(&server.kiba_cli(&["--pipe"], input));
        assert_eq!(theirs, ours, "{input:?}");
    }
    let many: String = (0..100_000).map(|n| format!("set key:{n} {n}\r\n")).collect();
    let output = server.kiba_cli(&["--pipe"], "");
    assert!(output.status.success());
    let path = std::env::temp_dir().join(format!("kiba-cli-pipe-{}", std::process::id()));
    std::fs::write(&path, many).expect("written");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_kiba-cli"))
        .args(["-s", &server.socket, "--pipe"])
        .stdin(std::fs::File::open(&path).expect("just written"))
        .output()
        .expect("runs");
    std::fs::remove_file(&path).expect("just written");
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("errors: 0, replies: 100000\n"), "{output:?}");
    let size = server.kiba_cli(&["dbsize"], "");
    assert_eq!(String::from_utf8_lossy(&size.stdout), "100001\n");
}

#[test]
fn a_server_that_is_away_is_one_line_and_code_1() {
    let port = unused_port();
    let port = port.as_str();
    for (args, input) in
        [(&["-p", port, "ping"][..], ""), (&["-p", port], "ping\nping\n"), (&["-s", "/nosuch", "ping"], "")]
    {
        let theirs = run("redis-cli", args, input);
        let ours = run(env!("CARGO_BIN_EXE_kiba-cli"), args, input);
        assert_eq!(shown(&theirs), shown(&ours), "{args:?}");
    }
    let output = run(env!("CARGO_BIN_EXE_kiba-cli"), &["-p", port, "--bigkeys"], "");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        format!("Could not connect to Redis at 127.0.0.1:{port}: Connection refused\n")
    );
}

#[test]
fn a_script_survives_a_lost_connection() {
    let Some(server) = Server::start(&["--requirepass", "secret"]) else { return };
    let script = "select 3\nset a b\nclient kill type normal skipme no\nget a\n";
    let output = server.kiba_cli(&["-a", "secret", "--no-auth-warning", "--no-raw"], script);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("OK\nOK\n(integer) 1\n"), "{text}");
    // Depending on when the server closes, the loss is seen before GET, which then runs, or while it runs.
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(text.ends_with("\"b\"\n") || error.contains("Server closed the connection"), "{text} {error}");
    let output = server.kiba_cli(&["--no-raw"], "auth secret\nselect 3\nreset\nget a\nauth secret\nget a\n");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text, "OK\nOK\nRESET\n(error) NOAUTH Authentication required.\nOK\n(nil)\n");
}

/// Two nodes that form a cluster: the first has the slots up to 8191, the second the others.
fn cluster() -> Option<(Server, Server)> {
    let (a, b) = (Server::start_node()?, Server::start_node()?);
    a.redis_cli(&["cluster", "addslotsrange", "0", "8191"], "");
    b.redis_cli(&["cluster", "addslotsrange", "8192", "16383"], "");
    let port = text(&b.redis_cli(&["config", "get", "cluster-port"], ""));
    let port = port.lines().nth(1).expect("a port").to_string();
    let address = b.address();
    let (host, own) = address.split_once(':').expect("host and port");
    a.redis_cli(&["cluster", "meet", host, own, &port], "");
    let ready = |server: &Server| text(&server.redis_cli(&["cluster", "info"], "")).contains("cluster_state:ok");
    let mut tries = 0;
    while !(ready(&a) && ready(&b)) {
        tries += 1;
        assert!(tries < 600, "the nodes did not find each other");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    Some((a, b))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn redirections_of_a_cluster_are_followed_the_same() {
    let Some((a, _b)) = cluster() else { return };
    let script = "set foo 1\nset b 2\nget foo\nget b\n";
    let address = a.address();
    let own = address.split_once(':').expect("host and port").1;
    for form in [&["--no-raw"][..], &[], &["--json"]] {
        let args = [&["-c", "-p", own][..], form].concat();
        let theirs = run("redis-cli", &args, script);
        let ours = run(env!("CARGO_BIN_EXE_kiba-cli"), &args, script);
        assert_eq!(shown(&theirs), shown(&ours), "{form:?}");
        assert!(text(&ours).contains("-> Redirected to slot [12182]"), "{ours:?}");
        let one = [&args[..], &["get", "foo"]].concat();
        assert_eq!(shown(&run("redis-cli", &one, "")), shown(&run(env!("CARGO_BIN_EXE_kiba-cli"), &one, "")));
    }
}

#[test]
fn a_slot_on_its_way_is_asked_for_where_it_goes() {
    let Some((a, b)) = cluster() else { return };
    let id = |server: &Server| text(&server.redis_cli(&["cluster", "myid"], "")).trim().to_string();
    // The slot of `b` moves from the first node to the second, which answers for it only after ASKING.
    b.redis_cli(&["cluster", "setslot", "3300", "importing", &id(&a)], "");
    a.redis_cli(&["cluster", "setslot", "3300", "migrating", &id(&b)], "");
    let address = a.address();
    let own = address.split_once(':').expect("host and port").1;
    // The second node sends the later lines back with MOVED, and the first one on with ASK again.
    for script in ["set b 1\nget b\nget b\n", "get b\nappend b x\n", "get foo\nget b\n", "get b\nping\nget foo\n"] {
        for form in [&["--no-raw"][..], &[], &["-3", "--json"]] {
            b.redis_cli(&[], "asking\nset b 1\n");
            let args = [&["-c", "-p", own][..], form].concat();
            let theirs = run("redis-cli", &args, script);
            b.redis_cli(&[], "asking\nset b 1\n");
            let ours = run(env!("CARGO_BIN_EXE_kiba-cli"), &args, script);
            assert_eq!(shown(&theirs), shown(&ours), "{form:?} {script:?}");
            assert!(text(&ours).contains("-> Redirected to slot [3300]"), "{ours:?}");
        }
    }
    let one = ["-c", "-p", own, "get", "b"];
    let ours = run(env!("CARGO_BIN_EXE_kiba-cli"), &one, "");
    assert_eq!(shown(&run("redis-cli", &one, "")), shown(&ours));
    assert!(text(&ours).starts_with('1'), "{ours:?}");
    // Without -c the redirection is an error like any other.
    let plain = ["-p", own, "get", "b"];
    let ours = run(env!("CARGO_BIN_EXE_kiba-cli"), &plain, "");
    assert_eq!(shown(&run("redis-cli", &plain, "")), shown(&ours));
    assert!(text(&ours).starts_with("ASK 3300"), "{ours:?}");
}
