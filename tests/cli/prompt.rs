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
