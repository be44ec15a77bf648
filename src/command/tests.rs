//! Commands on the connection and the server, line by line through the executor: the bytes that Redis answers.

use crate::config::Config;
use crate::engine::sharded::Sharded;
use crate::executor::{Executor, Outcome};
use crate::lexer::{Lexer, Limits};
use crate::parser::Batch;
use crate::server::{Server, now};
use crate::session::Session;
use crate::sync::Arc;

/// A server and one connection to it, without a socket.
struct Talk {
    server: Arc<Server>,
    executor: Executor<Sharded>,
    runtime: tokio::runtime::Runtime,
    outcome: Outcome,
}

impl Talk {
    fn new(config: &str) -> Self {
        let config = Config::from_text(config).expect("a valid configuration");
        let server = Server::new(Arc::new(config), None);
        let client = server.clients.add("127.0.0.1:5".into(), "127.0.0.1:6464".into(), true, 10).expect("room");
        let session = Session::new(client, server.config.requirepass().is_empty());
        let engine = Arc::new(Sharded::new(Arc::clone(&server)));
        let executor = Executor::new(Arc::clone(&server), engine, session);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { server, executor, runtime, outcome: Outcome::Done }
    }

    /// Sends an inline command; returns the reply's bytes.
    fn say(&mut self, line: &str) -> String {
        let mut batch = Box::<Batch>::default();
        batch.now = now();
        batch.input = format!("{line}\r\n").into_bytes();
        let limits = Limits::trusted(1 << 20);
        let spans = Lexer::default().next(&mut batch.input, &mut batch.spans, &limits).expect("valid");
        batch.push(spans.expect("complete"), &self.server.env.hasher);
        let (batch, outcome) = self.runtime.block_on(self.executor.run(batch, &mut 0)).expect("the engine answers");
        self.outcome = outcome;
        let bytes: Vec<u8> = batch.reply.parts().collect::<Vec<_>>().concat();
        String::from_utf8(bytes).expect("replies here are text")
    }

    /// Says the first of each pair and expects the second, whose last line break is left out.
    fn expect(&mut self, pairs: &[(&str, &str)]) {
        for (line, reply) in pairs {
            let ending = if reply.is_empty() { "" } else { "\r\n" };
            assert_eq!(self.say(line), format!("{reply}{ending}"), "{line}");
        }
    }
}

const HELLO_2: &str = "*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.4.2\r\n$5\r\nproto\r\n:2\r\n$2\r\nid\r\n:1\r\n\
                       $4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0";
const HELLO_3: &str = "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.4.2\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:1\r\n\
                       $4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0";
const WRONG_PASS: &str = "-WRONGPASS invalid username-password pair or user is disabled.";
const NAME_RULE: &str = "-ERR Client names cannot contain spaces, newlines or special characters.";
const NO_HELLO: &str = "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH \
                        <user> <pass> option can be used to authenticate the client and select the RESP protocol \
                        version at the same time";

#[test]
fn hello_negotiates() {
    let mut talk = Talk::new("");
    talk.expect(&[
        ("HELLO", HELLO_2),
        ("CLIENT GETNAME", "$-1"),
        ("HELLO 3", HELLO_3),
        ("CLIENT GETNAME", "_"),
        ("HELLO", HELLO_3),
        ("HELLO 2 SETNAME abc", HELLO_2),
        ("CLIENT GETNAME", "$3\r\nabc"),
        ("HELLO 3 AUTH default whatever", HELLO_3),
        ("HELLO 2", HELLO_2),
        ("HELLO 4", "-NOPROTO unsupported protocol version"),
        ("HELLO 1", "-NOPROTO unsupported protocol version"),
        ("HELLO x", "-ERR Protocol version is not an integer or out of range"),
        ("HELLO 3 AUTH", "-ERR Syntax error in HELLO option 'AUTH'"),
        ("HELLO 3 AUTH default", "-ERR Syntax error in HELLO option 'AUTH'"),
        ("HELLO 3 AUTH foo x", WRONG_PASS),
        ("HELLO 3 SETNAME", "-ERR Syntax error in HELLO option 'SETNAME'"),
        ("HELLO 3 SETNAME \"a b\"", NAME_RULE),
        ("HELLO 3 SETNAME new FOO", "-ERR Syntax error in HELLO option 'FOO'"),
        ("CLIENT GETNAME", "$3\r\nabc"),
    ]);
}

#[test]
fn without_a_password_auth_says_so() {
    let unconfigured = "-ERR AUTH <password> called without any password configured for the default user. Are you \
                        sure your configuration is correct?";
    Talk::new("").expect(&[
        ("AUTH", "-ERR wrong number of arguments for 'auth' command"),
        ("AUTH a", unconfigured),
        ("AUTH default a", "+OK"),
        ("AUTH foo a", WRONG_PASS),
        ("AUTH a b c", "-ERR syntax error"),
    ]);
}

#[test]
fn a_password_is_asked_for_until_it_is_given() {
    let mut talk = Talk::new("requirepass secret");
    talk.expect(&[
        ("PING", "-NOAUTH Authentication required."),
        ("CLIENT ID", "-NOAUTH Authentication required."),
        ("HELLO 3", NO_HELLO),
        ("HELLO 4", "-NOPROTO unsupported protocol version"),
        ("HELLO 3 SETNAME abc", NO_HELLO),
        ("AUTH wrong", WRONG_PASS),
        ("AUTH default secre", WRONG_PASS),
        ("AUTH foo secret", WRONG_PASS),
        ("HELLO 3 AUTH default secret SETNAME \"a b\"", NAME_RULE),
        ("PING", "-NOAUTH Authentication required."),
        ("HELLO 3 AUTH default secret SETNAME abc", HELLO_3),
        ("CLIENT GETNAME", "$3\r\nabc"),
        ("AUTH wrong", WRONG_PASS),
        ("PING", "+PONG"),
        ("AUTH secret", "+OK"),
        ("RESET", "+RESET"),
        ("PING", "-NOAUTH Authentication required."),
    ]);
    talk.server.config.set(&[("requirepass", "")], crate::config::Caller::Local).expect("valid");
    talk.expect(&[("PING", "+PONG"), ("HELLO 3", HELLO_3)]);
}

#[test]
fn client_subcommands_check_their_arguments() {
    let mode = "-ERR CLIENT PAUSE mode must be WRITE or ALL";
    let reason = "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR";
    let form =
        |name: &str| format!("-ERR unknown subcommand or wrong number of arguments for '{name}'. Try CLIENT HELP.");
    Talk::new("").expect(&[
        ("CLIENT", "-ERR wrong number of arguments for 'client' command"),
        ("CLIENT FOO", "-ERR unknown subcommand 'FOO'. Try CLIENT HELP."),
        ("CLIENT MAINT_NOTIFICATIONS ON", "-ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP."),
        ("CLIENT ID x", "-ERR wrong number of arguments for 'client|id' command"),
        ("CLIENT ID", ":1"),
        ("CLIENT SETNAME \"a b\"", NAME_RULE),
        ("CLIENT SETINFO lib-name x", "+OK"),
        ("CLIENT SETINFO LIB-VER \"\"", "+OK"),
        ("CLIENT SETINFO foo x", "-ERR Unrecognized option 'foo'"),
        ("CLIENT SETINFO Lib-Name \"a b\"", "-ERR Lib-Name cannot contain spaces, newlines or special characters."),
        ("CLIENT LIST TYPE", "-ERR syntax error"),
        ("CLIENT LIST TYPE foo", "-ERR Unknown client type 'foo'"),
        ("CLIENT LIST TYPE pubsub", "$0\r\n"),
        ("CLIENT LIST ID", "-ERR syntax error"),
        ("CLIENT LIST ID x", "-ERR Invalid client ID"),
        ("CLIENT LIST ID -1 0 999", "$0\r\n"),
        ("CLIENT LIST TYPE normal ID 5", "-ERR syntax error"),
        ("CLIENT KILL x", "-ERR No such client"),
        ("CLIENT KILL a b", "-ERR syntax error"),
        ("CLIENT KILL ID 0", "-ERR client-id should be greater than 0"),
        ("CLIENT KILL ID 1 SKIPME", "-ERR syntax error"),
        ("CLIENT KILL ID 1", ":0"),
        ("CLIENT KILL TYPE normal", ":0"),
        ("CLIENT KILL TYPE foo", "-ERR Unknown client type 'foo'"),
        ("CLIENT KILL USER foo", "-ERR No such user 'foo'"),
        ("CLIENT KILL SKIPME foo", "-ERR syntax error"),
        ("CLIENT KILL MAXAGE 0", "-ERR maxage should be greater than 0"),
        ("CLIENT KILL MAXAGE 1000000 SKIPME no", ":0"),
        ("CLIENT NO-EVICT x", "-ERR syntax error"),
        ("CLIENT NO-EVICT on", "+OK"),
        ("CLIENT NO-TOUCH OFF", "+OK"),
        ("CLIENT UNBLOCK x", "-ERR value is not an integer or out of range"),
        ("CLIENT UNBLOCK 5 x", reason),
        ("CLIENT UNBLOCK 5 error", ":0"),
        ("CLIENT UNBLOCK 5 timeout x", &form("UNBLOCK")),
        ("CLIENT PAUSE x", "-ERR timeout is not an integer or out of range"),
        ("CLIENT PAUSE -1", "-ERR timeout is negative"),
        ("CLIENT PAUSE x foo", mode),
        ("CLIENT pause 1 write x", &form("pause")),
        ("CLIENT PAUSE 9223372036854775807", "+OK"),
        // Neither waits for the end of the pause.
        ("CLIENT KILL ID 77", ":0"),
        ("CLIENT UNPAUSE", "+OK"),
        ("PING", "+PONG"),
    ]);
}

#[test]
fn replies_are_muted_as_asked() {
    Talk::new("").expect(&[
        ("CLIENT REPLY x", "-ERR syntax error"),
        ("CLIENT REPLY SKIP", ""),
        ("PING", ""),
        ("PING", "+PONG"),
        ("CLIENT REPLY OFF", ""),
        ("PING", ""),
        ("CLIENT REPLY SKIP", ""),
        ("FOO", ""),
        ("CLIENT REPLY ON", "+OK"),
        ("MULTI", "+OK"),
        ("CLIENT REPLY OFF", "-ERR Command not allowed inside a transaction"),
    ]);
}

#[test]
fn a_client_that_kills_itself_gets_its_reply() {
    let mut talk = Talk::new("");
    talk.expect(&[("CLIENT KILL ID 1 SKIPME no", ":1")]);
    assert_eq!(talk.outcome, Outcome::Close);
    let mut talk = Talk::new("");
    talk.expect(&[("CLIENT KILL 127.0.0.1:5", "+OK")]);
    assert_eq!(talk.outcome, Outcome::Close);
    // The rest of the transaction is answered, since its number of replies has been announced.
    let mut talk = Talk::new("");
    talk.expect(&[
        ("MULTI", "+OK"),
        ("CLIENT KILL LADDR 127.0.0.1:6464 SKIPME no", "+QUEUED"),
        ("PING", "+QUEUED"),
        ("EXEC", "*2\r\n:1\r\n+PONG"),
    ]);
    assert!(talk.executor.session().client.is_killed());
}

#[test]
fn config_reads_and_sets() {
    let immutable = "-ERR CONFIG SET failed (possibly related to argument 'port') - can't set immutable config";
    let no_number = "-ERR CONFIG SET failed (possibly related to argument 'timeout') - argument couldn't be parsed into \
                     an integer";
    let mut talk = Talk::new("port 7000");
    talk.expect(&[
        ("CONFIG GET PORT", "*2\r\n$4\r\nPORT\r\n$4\r\n7000"),
        ("CONFIG GET port PORT", "*2\r\n$4\r\nport\r\n$4\r\n7000"),
        ("CONFIG GET P?rt port", "*2\r\n$4\r\nport\r\n$4\r\n7000"),
        ("CONFIG GET nothing", "*0"),
        ("CONFIG GET", "-ERR wrong number of arguments for 'config|get' command"),
        ("CONFIG SET timeout 5 maxmemory 1mb", "+OK"),
        ("CONFIG GET timeout maxmemory", "*4\r\n$7\r\ntimeout\r\n$1\r\n5\r\n$9\r\nmaxmemory\r\n$7\r\n1048576"),
        ("CONFIG SET maxmemory 2mb timeout x", no_number),
        ("CONFIG SET timeout 5 maxmemory", "-ERR syntax error"),
        ("CONFIG SET port 1", immutable),
        ("CONFIG SET foo 1", "-ERR Unknown option or number of arguments for CONFIG SET - 'foo'"),
        ("CONFIG REWRITE", "-ERR The server is running without a config file"),
        ("CONFIG RESETSTAT", "+OK"),
        ("HELLO 3", HELLO_3),
        ("CONFIG GET timeout", "%1\r\n$7\r\ntimeout\r\n$1\r\n5"),
    ]);
    assert_eq!(talk.server.config.maxmemory(), 1 << 20);
}

#[test]
fn command_describes_commands() {
    let get = "*10\r\n$3\r\nget\r\n:2\r\n~2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n~3\r\n+@read\r\n+@string\r\n+@fast\r\n~0\r\n\
               ~1\r\n%3\r\n$5\r\nflags\r\n~2\r\n+RO\r\n+access\r\n$12\r\nbegin_search\r\n%2\r\n$4\r\ntype\r\n$5\r\nindex\r\n\
               $4\r\nspec\r\n%1\r\n$5\r\nindex\r\n:1\r\n$9\r\nfind_keys\r\n%2\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n%3\r\n\
               $7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n~0";
    let list = "*10\r\n$11\r\nclient|list\r\n:-2\r\n~4\r\n+admin\r\n+noscript\r\n+loading\r\n+stale\r\n:0\r\n:0\r\n:0\r\n~4\r\n+@admin\r\n\
                +@slow\r\n+@dangerous\r\n+@connection\r\n~1\r\n$23\r\nnondeterministic_output\r\n~0\r\n~0";
    let docs = "%1\r\n$3\r\nget\r\n%5\r\n$7\r\nsummary\r\n$34\r\nReturns the string value of a key.\r\n$5\r\nsince\r\n$5\r\n1.0.0\r\n\
                $5\r\ngroup\r\n$6\r\nstring\r\n$10\r\ncomplexity\r\n$4\r\nO(1)\r\n$9\r\narguments\r\n*1\r\n%4\r\n$4\r\nname\r\n$3\r\nkey\r\n\
                $4\r\ntype\r\n$3\r\nkey\r\n$12\r\ndisplay_text\r\n$3\r\nkey\r\n$14\r\nkey_spec_index\r\n:0";
    let (read, write) = ("*2\r\n+RO\r\n+access", "*2\r\n+OW\r\n+update");
    let mut talk = Talk::new("");
    let count = super::commands().len();
    assert_eq!(talk.say("COMMAND COUNT"), format!(":{count}\r\n"));
    assert!(talk.say("COMMAND").starts_with(&format!("*{count}\r\n*10\r\n")));
    talk.expect(&[
        ("COMMAND FOO", "-ERR unknown subcommand 'FOO'. Try COMMAND HELP."),
        ("COMMAND INFO foo get|x", "*2\r\n$-1\r\n$-1"),
        ("COMMAND LIST FILTERBY PATTERN client|l*", "*1\r\n$11\r\nclient|list"),
        (
            "COMMAND LIST FILTERBY ACLCAT transaction",
            "*5\r\n$5\r\nmulti\r\n$4\r\nexec\r\n$7\r\ndiscard\r\n$5\r\nwatch\r\n$7\r\nunwatch",
        ),
        ("COMMAND LIST FILTERBY MODULE foo", "*0"),
        ("COMMAND LIST FILTERBY FOO x", "-ERR syntax error"),
        ("COMMAND LIST FILTERBY", "-ERR syntax error"),
        ("COMMAND GETKEYS mset a b c d", "*2\r\n$1\r\na\r\n$1\r\nc"),
        ("COMMAND GETKEYS object encoding x", "*1\r\n$1\r\nx"),
        ("COMMAND GETKEYS get a b", "-ERR Invalid number of arguments specified for command"),
        ("COMMAND GETKEYS foo", "-ERR Invalid command specified"),
        ("COMMAND GETKEYS object foo bar", "-ERR Invalid command specified"),
        ("COMMAND GETKEYS client list", "-ERR The command has no key arguments"),
        ("COMMAND GETKEYSANDFLAGS get a", &format!("*1\r\n*2\r\n$1\r\na\r\n{read}")),
        ("COMMAND GETKEYSANDFLAGS set a get", &format!("*1\r\n*2\r\n$1\r\na\r\n{write}")),
        ("COMMAND GETKEYSANDFLAGS set a b get", "*1\r\n*2\r\n$1\r\na\r\n*3\r\n+RW\r\n+access\r\n+update"),
        ("COMMAND DOCS foo", "*0"),
        ("HELLO 3", HELLO_3),
        ("COMMAND INFO foo", "*1\r\n_"),
        ("COMMAND INFO GET CLIENT|LIST", &format!("*2\r\n{get}\r\n{list}")),
        ("COMMAND DOCS GET", docs),
    ]);
}

#[test]
fn info_has_what_clients_ask_for() {
    let mut talk = Talk::new("");
    talk.expect(&[("SET a 1", "+OK"), ("SET b 1 EX 100", "+OK"), ("GET a", "$1\r\n1"), ("GET c", "$-1")]);
    let text = talk.say("INFO");
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("{name} is missing in {text}")).to_owned()
    };
    for (name, value) in [
        ("redis_version", "7.4.2"),
        ("kiba_version", env!("CARGO_PKG_VERSION")),
        ("redis_mode", "standalone"),
        ("loading", "0"),
        ("role", "master"),
        ("connected_slaves", "0"),
        ("maxmemory_policy", "noeviction"),
        ("connected_clients", "1"),
        ("keyspace_hits", "1"),
        ("keyspace_misses", "1"),
        ("cluster_enabled", "0"),
        ("db0", "keys=2,expires=1,avg_ttl=0"),
    ] {
        assert_eq!(field(name), value, "{name}");
    }
    assert_eq!(field("master_replid").len(), 40);
    assert_eq!(talk.say("INFO foo"), "$0\r\n\r\n");
    let keyspace = "# Keyspace\r\ndb0:keys=2,expires=1,avg_ttl=0\r\n";
    assert_eq!(
        talk.say("INFO KEYSPACE cluster"),
        format!("$76\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n{keyspace}\r\n")
    );
    talk.expect(&[
        ("HELLO 3", HELLO_3),
        ("INFO keyspace", &format!("=48\r\ntxt:{keyspace}")),
        ("MULTI", "+OK"),
        ("INFO keyspace", "+QUEUED"),
        ("EXEC", &format!("*1\r\n=48\r\ntxt:{keyspace}")),
    ]);
}

#[test]
fn shutdown_stops_the_server_without_a_reply() {
    let mut talk = Talk::new("");
    talk.expect(&[
        ("SHUTDOWN FOO", "-ERR syntax error"),
        ("SHUTDOWN ABORT", "-ERR No shutdown in progress."),
        ("SHUTDOWN ABORT NOW", "-ERR syntax error"),
        ("SHUTDOWN SAVE NOSAVE", "-ERR syntax error"),
        ("SHUTDOWN SAVE", "-ERR Kiba does not save snapshots yet; SHUTDOWN NOSAVE stops it without"),
        ("ROLE", "*3\r\n$6\r\nmaster\r\n:0\r\n*0"),
    ]);
    assert!(!talk.server.is_stopping() && talk.outcome == Outcome::Done);
    talk.expect(&[("SHUTDOWN NOSAVE NOW FORCE", "")]);
    assert!(talk.server.is_stopping() && talk.outcome == Outcome::Close);
}

#[test]
fn memory_usage_counts_the_key_and_its_value() {
    let mut talk = Talk::new("");
    let text = "x".repeat(2000);
    talk.expect(&[
        ("SET small 1", "+OK"),
        (&format!("SET large {text}"), "+OK"),
        ("MEMORY USAGE missing", "$-1"),
        ("MEMORY USAGE small SAMPLES", "-ERR syntax error"),
        ("MEMORY USAGE small SAMPLES x", "-ERR value is not an integer or out of range"),
        ("MEMORY USAGE small SAMPLES -1", "-ERR syntax error"),
        ("MEMORY USAGE small FOO 1", "-ERR syntax error"),
    ]);
    let mut usage = |key: &str| -> usize {
        let reply = talk.say(&format!("MEMORY USAGE {key} SAMPLES 0"));
        reply.trim().trim_start_matches(':').parse().unwrap_or_else(|_| panic!("{reply}"))
    };
    assert!((13..64).contains(&usage("small")));
    assert!((2005..2200).contains(&usage("large")));
}

#[test]
fn reads_of_a_client_in_no_touch_leave_the_access_clock_alone() {
    use super::{Asker, Call, Key, lookup};
    use crate::server::Tally;
    use crate::store::table::{Raw, Table};
    use crate::store::uses::seconds;
    use crate::store::{Content, Entry};
    let talk = Talk::new("");
    let (hasher, input) = (&talk.server.env.hasher, b"getkey");
    let spans = [crate::lexer::Span { start: 0, len: 3 }, crate::lexer::Span { start: 3, len: 3 }];
    let mut table = Raw::new();
    let hash = hasher.hash(b"key");
    table.insert_new(hash, Entry::new(b"key", Content::Int(1), None, seconds(0)), hasher);
    let command = super::find(b"get").expect("registered");
    let mut call = Call {
        input,
        spans: &spans,
        command,
        now: 5_000_000,
        db: 0,
        asker: Asker { client: 1, no_touch: true, tracks: false },
        fieldsets: None,
        server: &talk.server,
    };
    let key = Key { arg: 1, elsewhere: None, hash };
    let entry = lookup(&table, key, &call, &Tally::default()).expect("there");
    assert_eq!(entry.clock(), seconds(0));
    call.asker.no_touch = false;
    let entry = lookup(&table, key, &call, &Tally::default()).expect("there");
    assert_eq!(entry.clock(), seconds(5_000_000));
}
