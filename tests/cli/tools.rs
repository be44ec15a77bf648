//! kiba-cli's own tools, from outside.

use crate::server::Server;
use crate::terminal::Terminal;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn names_in_lower_case_are_tools_and_the_servers_own_names_stay_the_servers() {
    let Some(server) = Server::start(&[]) else { return };
    server.redis_cli(&[], "set a 1\n");
    let run = |args: &[&str]| text(&server.kiba_cli(args, "").stdout);
    // COPY and WATCH are commands of the server in every spelling.
    assert_eq!(run(&["copy", "a", "b"]), "1\n");
    assert_eq!(run(&["watch", "a"]), "OK\n");
    assert!(run(&["--watch", "--times", "1", "get", "a"]).contains("\"1\""));
    // Upper case always goes to the server.
    assert!(run(&["PEEK", "a"]).contains("unknown command"));
    assert!(run(&["peek", "a"]).starts_with("a  string (int), 1 B"));
    assert!(run(&["--peek", "a"]).starts_with("a  string (int), 1 B"));
    assert!(run(&["get", "peek"]).trim().is_empty());
}

#[test]
fn peek_describes_every_type() {
    let Some(server) = Server::start(&[]) else { return };
    let data = "set s text\nset j \"{\\\"k\\\":[1,2]}\"\nset b \"\\x00\\x01\"\nrpush l 1 2 3 4\nsadd t a\nhset h f v\nzadd z 1 m\n\
                xadd x 1-1 f v\nexpire s 1000\n";
    server.redis_cli(&[], data);
    let output =
        text(&server.kiba_cli(&["peek", "--head", "3", "s", "j", "b", "l", "t", "h", "z", "x", "none"], "").stdout);
    for wanted in [
        "s  string (embstr), 4 B, expires in 16 min",
        "\"k\": [",
        "binary",
        "00000000  00 01",
        "l  list (",
        "4 elements",
        "... and 1 more",
        "1 members",
        "1 fields",
        "│ m      ┆     1 │",
        "1 entries",
        "none  no such key",
    ] {
        assert!(output.contains(wanted), "{wanted} is not in\n{output}");
    }
}

#[test]
fn a_benchmark_ends_with_a_table_or_json() {
    let Some(server) = Server::start(&[]) else { return };
    let args =
        ["bench", "-n", "2000", "-c", "4", "-P", "8", "-k", "100", "--fill", "--zipf", "1.0", "-t", "get=9,set=1"];
    let output = server.kiba_cli(&args, "");
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(shown.contains("p99.9") && shown.contains("│ all "), "{shown}");
    let output = server.kiba_cli(&["bench", "--json", "-n", "500", "-c", "2", "--rate", "100000", "PING"], "");
    let shown = text(&output.stdout);
    assert!(shown.contains("\"requests\": 500") && shown.contains("\"p99\""), "{shown}");
    let output = server.kiba_cli(&["bench", "-t", "nosuch"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("unknown command 'nosuch'"), "{output:?}");
    // Every key of the fill and none else: the prefix holds them apart.
    assert_eq!(text(&server.kiba_cli(&["dbsize"], "").stdout), "100\n");
}

#[test]
fn copy_diff_and_verify_between_two_servers() {
    let (Some(a), Some(b)) = (Server::start_tcp(), Server::start_tcp()) else { return };
    let (source, destination) = (a.address(), b.address());
    let mut seed: String = (0..2000).map(|n| format!("set key:{n} {n}\n")).collect();
    seed.push_str("rpush l 1 2 3\nsadd t a b\nhset h f v g w\nzadd z 1.5 m\nxadd x 1-1 f v\nexpire key:1 5000\n");
    a.redis_cli(&[], &seed);
    let run = |args: &[&str]| {
        let output = crate::server::run(env!("CARGO_BIN_EXE_kiba-cli"), args, "");
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    for way in [&["--copy", &source, &destination][..], &["--copy", "--by-type", &source, &destination]] {
        b.redis_cli(&[], "flushall\n");
        let (code, shown) = run(way);
        assert!(code == Some(0) && shown.starts_with("copied 2005, skipped 0"), "{way:?} {shown}");
        let (code, shown) = run(&["verify", &source, &destination]);
        assert_eq!((code, shown.as_str()), (Some(0), "2005 keys are equal, 0 differ, 0 only in SRC, 0 only in DST\n"));
    }
    let (_, shown) = run(&["--copy", &source, &destination]);
    assert!(shown.starts_with("copied 0, skipped 2005"), "{shown}");
    b.redis_cli(&[], "set key:2 other\ndel key:3\nset extra 1\nzincrby z 1 m\npersist key:1\n");
    let (code, shown) = run(&["diff", &source, &destination]);
    assert_eq!(code, Some(1));
    for line in [
        "~ key:2: string",
        "- key:3\n",
        "+ extra\n",
        "~ z: zset",
        "~ key:1: expires",
        "2001 keys are equal, 3 differ, 1 only in SRC, 1 only in DST",
    ] {
        assert!(shown.contains(line), "{line} is not in\n{shown}");
    }
    let state = a.path("state");
    let (code, shown) = run(&["--copy", &source, &destination, "--match", "key:*", "--replace", "--resume", &state]);
    assert!(code == Some(0) && shown.starts_with("copied 2000"), "{shown}");
    assert!(!std::path::Path::new(&state).exists(), "a finished copy needs no state");
    let (_, shown) = run(&["--copy", &source, &source]);
    assert!(shown.contains("same database"), "{shown}");
    let (code, shown) = run(&["diff", &source]);
    assert!(code == Some(1) && shown.contains("<DST>") && shown.lines().count() == 1, "{shown}");
}

#[test]
fn a_copy_continues_from_its_state() {
    let (Some(a), Some(b)) = (Server::start_tcp(), Server::start_tcp()) else { return };
    a.redis_cli(&[], &(0..1000).map(|n| format!("set key:{n} {n}\n")).collect::<String>());
    // The cursor of a first step, as an interrupted copy would have left it.
    let step = text(&a.redis_cli(&["scan", "0", "count", "200"], "").stdout);
    let cursor = step.lines().next().expect("a cursor");
    let state = a.path("state");
    std::fs::write(&state, format!("{} {} *\n{cursor}\n200\n", a.address(), b.address())).expect("written");
    let output = crate::server::run(
        env!("CARGO_BIN_EXE_kiba-cli"),
        &["--copy", &a.address(), &b.address(), "--resume", &state],
        "",
    );
    assert!(text(&output.stderr).contains("continuing after 200 keys"), "{output:?}");
    let size: u64 = text(&b.redis_cli(&["dbsize"], "").stdout).trim().parse().expect("a number");
    assert!((1..1000).contains(&size), "{size} keys: the ones before the cursor were not copied again");
    std::fs::write(&state, "of another copy\n0\n0\n").expect("written");
    let output = crate::server::run(
        env!("CARGO_BIN_EXE_kiba-cli"),
        &["--copy", &a.address(), &b.address(), "--resume", &state],
        "",
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_doctor_names_risks() {
    let Some(server) = Server::start(&[]) else { return };
    let output = server.kiba_cli(&["doctor"], "");
    let shown = text(&output.stdout);
    assert!(shown.contains("RISK  access") && shown.contains("enable-debug-command yes"), "{shown}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_reader_that_went_away_ends_everything_in_silence() {
    let Some(server) = Server::start(&[]) else { return };
    server.redis_cli(&[], "rpush l a b c\nset s text\n");
    let all = [
        "lrange l 0 -1",
        "--scan",
        "--bigkeys",
        "--memkeys",
        "--stat",
        "--latency --raw",
        "--latency-history -i 0.1",
        "--latency-dist -i 0.1",
        "--intrinsic-latency 1",
        "--pipe",
        "peek l s",
        "top --once --interval 0.1",
        "doctor",
        "bench -n 10 -c 1",
        "--watch get s",
        "man",
        "completions bash",
        "--help",
        "help set",
        "info",
    ];
    for line in all {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_kiba-cli"))
            .args(["-s", &server.socket])
            .args(line.split(' '))
            .stdin(std::process::Stdio::null())
            .stdout(writer)
            .stderr(std::process::Stdio::piped())
            .output()
            .expect("runs");
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(141), ""), "{line}");
    }
}

#[test]
fn top_fits_80_by_24_and_ends_with_q() {
    let Some(server) = Server::start(&[]) else { return };
    server.redis_cli(&[], "set a 1\n");
    let shown = text(&server.kiba_cli(&["top", "--once", "--interval", "0.1"], "").stdout);
    assert_eq!(shown.lines().count(), 24);
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    let mut terminal = Terminal::start(&["-s", &server.socket, "top"], &server.path("history"));
    terminal.expect("db0: 1 keys");
    let screen = terminal.expect("q quit");
    for part in ["requests/s", "PING p50", "commands", "keyspace", "slow log", "hot keys", "q quit"] {
        assert!(screen.contains(part), "{part} is not in\n{screen}");
    }
    terminal.send("q");
    assert_eq!(terminal.ended(), 0);
}

#[test]
fn completions_and_the_man_page_name_options_and_tools() {
    for args in [&["completions", "bash"][..], &["completions", "zsh"], &["completions", "fish"], &["man"]] {
        let output = crate::server::run(env!("CARGO_BIN_EXE_kiba-cli"), args, "");
        let shown = text(&output.stdout);
        assert!(output.status.success(), "{args:?}");
        for word in ["bigkeys", "bench"] {
            assert!(shown.contains(word), "{word} is not in {args:?}");
        }
    }
}

#[test]
fn the_shipped_completions_and_man_page_are_those_of_this_version() {
    for (args, file) in [
        (&["completions", "bash"][..], "completions/kiba-cli.bash"),
        (&["completions", "zsh"], "completions/_kiba-cli"),
        (&["completions", "fish"], "completions/kiba-cli.fish"),
        (&["man"], "docs/kiba-cli.1"),
    ] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let shipped = std::fs::read_to_string(&path).unwrap_or_default();
        let output = crate::server::run(env!("CARGO_BIN_EXE_kiba-cli"), args, "");
        assert!(shipped == text(&output.stdout), "{file} is old: write it anew with `kiba-cli {}`", args.join(" "));
    }
}
