//! The prompt, as a person meets it.

use crate::server::Server;
use crate::terminal::Terminal;

/// A prompt on a server of its own, connected.
fn prompt(options: &[&str]) -> Option<(Server, Terminal)> {
    let server = Server::start(options)?;
    let history = server.path("history");
    let mut terminal = Terminal::start(&["-s", &server.socket], &history);
    terminal.expect("kiba> ");
    Some((server, terminal))
}

#[test]
fn replies_look_as_on_redis_clis_terminal_and_the_prompt_says_where_one_is() {
    let Some((_server, mut terminal)) = prompt(&[]) else { return };
    terminal.line("set name \"FOO BAR\"");
    terminal.expect("OK");
    terminal.line("get name");
    terminal.expect("\n\"FOO BAR\"");
    terminal.line("incr counter");
    terminal.expect("(integer) 1");
    terminal.line("get missing");
    terminal.expect("(nil)");
    terminal.line("select 3");
    terminal.expect_last("kiba[3]> ");
    terminal.line("multi");
    terminal.expect_last("kiba[3](TX)> ");
    terminal.line("discard");
    terminal.expect_last("kiba[3]> ");
    terminal.line("clear");
    terminal.wait("a clear screen", |screen| !screen.contains("FOO BAR"));
    terminal.line("quit");
    assert_eq!(terminal.ended(), 0);
}

#[test]
fn arguments_are_hinted_and_colours_tell_words_apart() {
    let Some((_server, mut terminal)) = prompt(&[]) else { return };
    terminal.send("lrange ");
    terminal.expect("lrange key start stop");
    assert_eq!(terminal.colour("key start"), Some(vt100::Color::Idx(8)), "hints are grey");
    terminal.send("mylist 0");
    terminal.expect("lrange mylist 0 stop");
    terminal.send("\x15");
    terminal.send("nosuchcommand x");
    terminal.expect("nosuchcommand x");
    assert_eq!(terminal.colour("nosuchcommand"), Some(vt100::Color::Idx(1)), "unknown names are red");
}

#[test]
fn tab_completes_commands_subcommands_options_and_keys() {
    let Some((server, mut terminal)) = prompt(&[]) else { return };
    server.redis_cli(&[], "set user:1001 a\nset user:1002 b\nset other c\n");
    terminal.send("getr\t");
    terminal.expect("getrange ");
    terminal.send("\x15");
    terminal.send("config resets\t");
    terminal.expect("config resetstat");
    terminal.send("\x15");
    terminal.send("set a b keep\t");
    terminal.expect("set a b keepttl");
    terminal.send("\x15");
    terminal.send("get oth\t");
    terminal.expect("get other");
    terminal.send("\x15");
    terminal.send("get user:1\t");
    terminal.wait("both keys", |screen| screen.contains("user:1001") && screen.contains("user:1002"));
}

#[test]
fn control_c_leaves_subscriptions_monitor_and_blocked_commands() {
    let Some((server, mut terminal)) = prompt(&[]) else { return };
    terminal.line("select 2");
    terminal.expect_last("kiba[2]> ");
    terminal.line("subscribe news");
    terminal.expect("3) (integer) 1");
    server.redis_cli(&[], "publish news hello\n");
    terminal.expect("3) \"hello\"");
    terminal.send("\x03");
    terminal.expect_last("kiba[2]> ");
    terminal.line("monitor");
    // Not the OK of SELECT: what comes before MONITOR has begun is not seen.
    terminal.wait("OK below", |screen| screen.rsplit("monitor").next().is_some_and(|below| below.contains("OK")));
    server.redis_cli(&[], "set seen-by-monitor 1\n");
    terminal.expect("\"seen-by-monitor\"");
    terminal.send("\x03");
    terminal.expect_last("kiba[2]> ");
    terminal.line("blpop nothing 0");
    server.wait_for_blocked_client();
    terminal.send("\x03");
    terminal.expect("interrupted");
    terminal.expect_last("kiba[2]> ");
    terminal.line("ping");
    terminal.expect("PONG");
}

#[test]
fn a_lost_connection_comes_back_with_login_and_database() {
    let Some(server) = Server::start(&["--requirepass", "secret"]) else { return };
    let mut terminal = Terminal::start(&["-s", &server.socket], &server.path("history"));
    terminal.expect("kiba> ");
    terminal.line("auth secret");
    terminal.expect("OK");
    terminal.line("select 5");
    terminal.expect_last("kiba[5]> ");
    server.redis_cli(&["-a", "secret"], "client kill type normal skipme yes\n");
    terminal.line("set lost found");
    // Whether the loss shows before or while the command runs depends on the moment.
    terminal
        .wait("a reply or an error", |screen| screen.matches("OK").count() >= 3 || screen.contains("Server closed"));
    terminal.line("client info");
    terminal.expect("db=5");
}

#[test]
fn without_a_server_the_prompt_says_so_and_connects_later() {
    let Some(server) = Server::start(&[]) else { return };
    let port = crate::server::unused_port();
    let mut terminal = Terminal::start(&["-p", &port], &server.path("history"));
    terminal.expect(&format!("Could not connect to Redis at 127.0.0.1:{port}: Connection refused"));
    terminal.expect_last("not connected> ");
    terminal.line("help @string");
    terminal.expect("SETRANGE");
    terminal.line("ping");
    terminal.wait("a second message", |screen| screen.matches("Connection refused").count() >= 1);
    terminal.expect_last("not connected> ");
}

#[test]
fn the_history_never_holds_a_password() {
    let Some((server, mut terminal)) = prompt(&[]) else { return };
    for line in
        ["auth TOPSECRET", "config set requirepass TOPSECRET", "config set requirepass \"\"", "set remembered 1"]
    {
        terminal.line(line);
        terminal.expect_last("kiba> ");
    }
    terminal.expect("remembered");
    terminal.line("quit");
    assert_eq!(terminal.ended(), 0);
    let history = std::fs::read_to_string(server.path("history")).expect("the history was written");
    assert!(!history.contains("TOPSECRET"), "{history}");
    assert!(history.contains("set remembered 1"), "{history}");
}

#[test]
fn pasted_lines_run_one_after_the_other() {
    let Some((_server, mut terminal)) = prompt(&[]) else { return };
    terminal.send("\x1b[200~set pasted 41\nincr pasted\nget pasted\x1b[201~");
    terminal.expect("get pasted");
    terminal.send("\r");
    terminal.expect("(integer) 42");
    terminal.expect("\"42\"");
}

#[test]
fn lines_typed_ahead_are_not_lost() {
    let Some((_server, mut terminal)) = prompt(&[]) else { return };
    terminal.line("eval \"local n = 0 while n < 20000000 do n = n + 1 end return 'slow'\" 0");
    terminal.line("echo second");
    terminal.line("echo third");
    terminal.expect("\"third\"");
}

#[test]
fn history_search_finds_an_earlier_line() {
    let Some((_server, mut terminal)) = prompt(&[]) else { return };
    terminal.line("echo needle");
    terminal.expect("\"needle\"");
    terminal.line("ping");
    terminal.expect("PONG");
    terminal.send("\x12need");
    terminal.expect("reverse search) need");
    terminal.send("\r");
    terminal.send("\r");
    terminal.wait("the second echo", |screen| screen.matches("\"needle\"").count() == 2);
}

#[test]
fn views_and_tools_at_the_prompt() {
    let Some((server, mut terminal)) = prompt(&[]) else { return };
    server.redis_cli(&[], "hset h name Ada born 1815\nset json \"{\\\"a\\\":[1,2]}\"\n");
    terminal.line("hgetall h\\G");
    terminal.expect("name: Ada");
    terminal.line("hgetall h \\T");
    terminal.expect("│ born  ┆  1815 │");
    terminal.line(".peek json");
    terminal.expect("\"a\": [");
    terminal.line("clear");
    terminal.wait("a clear screen", |screen| !screen.contains("Ada"));
    terminal.line(":set tables");
    terminal.line("hgetall h");
    terminal.expect("│ name  ┆ Ada   │");
    terminal.line(":set timing");
    terminal.line("ping");
    terminal.expect("PONG\n(0.");
    terminal.line(".help");
    terminal.expect(".top");
}

#[test]
fn a_password_is_asked_for_and_shown_as_stars() {
    let Some(server) = Server::start(&["--requirepass", "s\u{e9}cret"]) else { return };
    let start = |args: &[&str]| {
        let all = [&["-s", &server.socket, "--askpass"][..], args].concat();
        let mut terminal = Terminal::start(&all, &server.path("history"));
        terminal.expect("Please input password: ");
        terminal
    };
    let mut terminal = start(&["echo", "let in"]);
    // Ctrl-U takes all of it back, and backspace one character.
    terminal.send("wrong");
    terminal.expect("password: *****");
    terminal.send("\x15s\u{e9}crex\x7f");
    terminal.wait("five stars", |screen| screen.trim_end().ends_with(": *****"));
    terminal.send("t\r");
    let screen = terminal.expect("\"let in\"");
    assert!(!screen.contains("cr"), "{screen}");
    assert_eq!(terminal.ended(), 0);
    let mut terminal = start(&["ping"]);
    terminal.line("wrong");
    terminal.expect("AUTH failed: WRONGPASS");
    terminal.expect("(error) NOAUTH Authentication required.");
    let mut terminal = start(&["ping"]);
    terminal.send("never sent\x03");
    assert_eq!(terminal.ended(), 1);
    // At the prompt it also serves the connections that come later.
    let mut terminal = start(&[]);
    terminal.line("s\u{e9}cret");
    terminal.expect_last("kiba> ");
    server.redis_cli(&["-a", "s\u{e9}cret"], "client kill type normal skipme yes\n");
    terminal.line("select 0");
    terminal.wait("a reply or an error", |screen| screen.contains("OK") || screen.contains("Server closed"));
    terminal.line("client list");
    terminal.expect("cmd=client|list");
}

#[test]
fn replies_longer_than_the_screen_go_through_the_pager() {
    let Some(server) = Server::start(&[]) else { return };
    let numbers: Vec<String> = (1..=60).map(|n| format!("n{n}")).collect();
    server.redis_cli(&[], &format!("rpush long {}\nrpush short a b\nhset h f v\n", numbers.join(" ")));
    // A pager of the test's own marks what it was given.
    let pager = [("PAGER", "sed -u s/^/paged:/")];
    let mut terminal = Terminal::start_with(&["-s", &server.socket], &server.path("history"), (80, 24), &pager);
    terminal.expect_last("kiba> ");
    terminal.line("lrange long 0 -1");
    terminal.expect("60) \"n60\"");
    terminal.line(":set pager");
    terminal.line("lrange long 0 -1");
    terminal.expect("paged:60) \"n60\"");
    terminal.expect_last("kiba> ");
    terminal.line("clear");
    terminal.line("lrange short 0 -1");
    let screen = terminal.expect("2) \"b\"");
    assert!(!screen.contains("paged:"), "{screen}");
    terminal.line("lrange long 0 -1 \\G");
    terminal.expect("paged:60: n60");
    terminal.line(":set nopager");
    terminal.line("clear");
    terminal.line("lrange long 0 -1");
    let screen = terminal.expect("60) \"n60\"");
    assert!(!screen.contains("paged:"), "{screen}");
}

#[test]
fn a_pager_that_is_left_early_or_is_not_there_does_no_harm() {
    let Some(server) = Server::start(&[]) else { return };
    let long = "x".repeat(1 << 20);
    server.redis_cli(&[], &format!("rpush long {}\nset text {long}\n", "word ".repeat(60)));
    for pager in ["head -n 1", "/nonexistent/pager"] {
        let variables = [("PAGER", pager)];
        let mut terminal = Terminal::start_with(&["-s", &server.socket], &server.path("history"), (80, 24), &variables);
        terminal.expect_last("kiba> ");
        terminal.line(":set pager");
        terminal.line("lrange long 0 -1");
        terminal.expect("\"word\"");
        terminal.line("mget long text text text");
        terminal.line("echo \"still here\"");
        terminal.expect("\n\"still here\"");
    }
}

#[test]
fn no_color_turns_colours_off() {
    let Some(server) = Server::start(&[]) else { return };
    let variables = [("NO_COLOR", "1")];
    let mut terminal = Terminal::start_with(&["-s", &server.socket], &server.path("history"), (80, 24), &variables);
    terminal.expect_last("kiba> ");
    terminal.send("lrange ");
    terminal.expect("lrange key start stop");
    assert_eq!(terminal.colour("key start"), Some(vt100::Color::Default));
    terminal.send("\x15nosuchcommand \"text\"");
    terminal.expect("nosuchcommand \"text\"");
    assert_eq!(terminal.colour("nosuchcommand"), Some(vt100::Color::Default));
    assert_eq!(terminal.colour("\"text"), Some(vt100::Color::Default));
}

#[test]
fn tables_take_the_width_of_the_terminal() {
    let Some(server) = Server::start(&[]) else { return };
    server.redis_cli(&[], &format!("hset h field {}\n", "word ".repeat(80).trim_end().replace(' ', "_")));
    for columns in [60, 100] {
        let mut terminal = Terminal::start_with(&["-s", &server.socket], &server.path("history"), (columns, 24), &[]);
        terminal.expect_last("kiba> ");
        terminal.line("hgetall h \\T");
        let screen = terminal.expect("└");
        let frame = screen.lines().find(|line| line.starts_with('┌')).expect("a frame");
        assert_eq!(frame.trim_end().chars().count(), usize::from(columns), "{screen}");
        assert!(screen.lines().any(|line| line.starts_with("└")), "{screen}");
    }
}

#[test]
fn letters_beyond_ascii_are_typed_and_bytes_are_escaped() {
    let Some(server) = Server::start(&[]) else { return };
    // The locale does not matter: what a terminal sends is taken as UTF-8.
    for locale in ["C", "de_DE.ISO-8859-1", "C.UTF-8"] {
        let variables = [("LC_ALL", locale)];
        let mut terminal = Terminal::start_with(&["-s", &server.socket], &server.path("history"), (80, 24), &variables);
        terminal.expect_last("kiba> ");
        terminal.line("set gr\u{fc}\u{df}e \"\u{6f22}\u{5b57} \u{1f389}\"");
        terminal.expect("\nOK");
        terminal.line("strlen gr\u{fc}\u{df}e");
        terminal.expect("(integer) 11");
        terminal.line("get gr\u{fc}\u{df}e");
        terminal.expect("\"\\xe6\\xbc\\xa2\\xe5\\xad\\x97 \\xf0\\x9f\\x8e\\x89\"");
        // Something that is no text at all, and a line wider than the screen.
        terminal.line("append bytes \"\\xff\\xfe\"");
        terminal.line("getrange bytes 0 1");
        terminal.expect("\"\\xff\\xfe\"");
        let long = "0123456789".repeat(50);
        terminal.line(&format!("echo {long}"));
        terminal.wait("the long line twice", |screen| screen.replace('\n', "").matches(&long).count() == 2);
    }
}

#[test]
fn keys_are_found_among_many() {
    let Some((server, mut terminal)) = prompt(&[]) else { return };
    let many: String = (0..20_000).map(|n| format!("set other:{n} {n}\n")).collect();
    server.redis_cli(&["--pipe"], &(many + "set needle:1 x\n"));
    terminal.send("get need\t");
    terminal.expect("get needle:1");
}

#[test]
fn a_server_that_goes_away_is_one_line_and_comes_back() {
    let (Some(server), Some(other)) = (Server::start_tcp(), Server::start_tcp()) else { return };
    let address = server.address();
    let mut terminal = Terminal::start(&[&address], &other.path("history"));
    terminal.expect_last("kiba> ");
    terminal.line("multi");
    terminal.expect_last("kiba(TX)> ");
    drop(server);
    terminal.line("set a b");
    terminal.expect("Server closed the connection");
    terminal.expect_last("not connected> ");
    terminal.line("get a");
    terminal.expect(&format!("Could not connect to Redis at {address}: Connection refused"));
    terminal.expect_last("not connected> ");
    let (host, port) =
        other.address().split_once(':').map(|(host, port)| (host.to_string(), port.to_string())).unwrap();
    terminal.line(&format!("connect {host} {port}"));
    terminal.expect_last("kiba> ");
    terminal.line("ping");
    terminal.expect("PONG");
}
