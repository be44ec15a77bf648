//! CONFIG GET and SET against what was observed from redis-server 7.0.15.

use std::path::PathBuf;

use super::*;

/// A directory of this test alone, removed with the value.
pub(crate) struct Dir(pub(crate) PathBuf);

impl Dir {
    pub(crate) fn new(test: &str) -> Dir {
        let path = std::env::temp_dir().join(format!("kiba-config-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary directory");
        Dir(path.canonicalize().expect("it exists"))
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("the directory can be written");
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn set(config: &Config, pairs: &[(&str, &str)]) -> Result<Vec<Id>, String> {
    config.set(pairs, Caller::Remote).map_err(|error| error.to_string())
}

/// Observed from redis-server 7.0.15, with the range of an option where Kiba's is the same.
#[test]
fn databases_are_numbered_in_16_bits() {
    assert_eq!(Config::from_text("databases 65535").expect("valid").databases(), 65535);
    assert!(Config::from_text("databases 65536").is_err());
}

#[test]
fn config_set_errors_have_the_words_of_redis() {
    const INTEGER: &str = "argument couldn't be parsed into an integer";
    const MEMORY: &str = "argument must be a memory value";
    const SWITCH: &str = "argument must be 'yes' or 'no'";
    let config = Config::default();
    for (name, value, reason) in [
        ("maxclients", "abc", INTEGER),
        ("maxclients", "", INTEGER),
        ("maxclients", "1e3", INTEGER),
        ("maxclients", "1k", INTEGER),
        ("maxclients", " 5", INTEGER),
        ("maxclients", "0x10", INTEGER),
        ("maxclients", "+5", INTEGER),
        ("maxclients", "010", INTEGER),
        ("maxclients", "0", "argument must be between 1 and 4294967295 inclusive"),
        ("maxclients", "-1", "argument must be between 1 and 4294967295 inclusive"),
        ("maxclients", "4294967296", "argument must be between 1 and 4294967295 inclusive"),
        ("timeout", "-1", "argument must be between 0 and 2147483647 inclusive"),
        ("timeout", "x\r\ny", INTEGER),
        ("tcp-keepalive", "-1", "argument must be between 0 and 2147483647 inclusive"),
        ("lfu-decay-time", "-1", "argument must be between 0 and 2147483647 inclusive"),
        ("lfu-decay-time", "x", INTEGER),
        ("lfu-log-factor", "-1", "argument must be between 0 and 2147483647 inclusive"),
        ("maxmemory-samples", "0", "argument must be between 1 and 2147483647 inclusive"),
        ("maxmemory-eviction-tenacity", "101", "argument must be between 0 and 100 inclusive"),
        ("list-max-ziplist-size", "abc", INTEGER),
        ("list-max-ziplist-size", "99999999999", "argument must be between -2147483648 and 2147483647 inclusive"),
        ("slowlog-log-slower-than", "-2", "argument must be between -1 and 9223372036854775807 inclusive"),
        ("slowlog-log-slower-than", "99999999999999999999", INTEGER),
        ("slowlog-max-len", "-1", "argument must be between 0 and 9223372036854775807 inclusive"),
        ("hash-max-listpack-entries", "-1", "argument must be between 0 and 9223372036854775807 inclusive"),
        ("set-max-intset-entries", "-1", "argument must be between 0 and 9223372036854775807 inclusive"),
        ("lua-time-limit", "-1", "argument must be between 0 and 9223372036854775807 inclusive"),
        ("hash-max-ziplist-value", "-1", MEMORY),
        ("hash-max-listpack-value", "10%", MEMORY),
        ("hash-max-listpack-value", "-5kb", MEMORY),
        ("maxmemory", "-1", MEMORY),
        ("maxmemory", "1gbb", MEMORY),
        ("maxmemory", "50%", MEMORY),
        ("maxmemory", "1.5gb", MEMORY),
        ("maxmemory", "50 kb", MEMORY),
        ("maxmemory", "50xb", MEMORY),
        ("client-query-buffer-limit", "x", MEMORY),
        ("client-query-buffer-limit", "1", "argument must be between 1048576 and 9223372036854775807 inclusive"),
        ("proto-max-bulk-len", "1", "argument must be between 1048576 and 9223372036854775807 inclusive"),
        ("proto-max-bulk-len", "99999999999gb", "argument must be between 1048576 and 9223372036854775807 inclusive"),
        (
            "maxmemory-policy",
            "foo",
            "argument(s) must be one of the following: volatile-lru, volatile-lfu, volatile-random, volatile-ttl, \
             allkeys-lru, allkeys-lfu, allkeys-random, noeviction",
        ),
        ("latency-tracking", "maybe", SWITCH),
        ("lazyfree-lazy-expire", "1", SWITCH),
        ("protected-mode", "x", SWITCH),
        ("appendonly", "maybe", SWITCH),
        ("notify-keyspace-events", "xyz", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
        ("client-output-buffer-limit", "foo", "Wrong number of arguments in buffer limit configuration."),
        ("client-output-buffer-limit", "normal 1 2", "Wrong number of arguments in buffer limit configuration."),
        ("client-output-buffer-limit", "foo 1 2 3", "Invalid client class specified in buffer limit configuration."),
        (
            "client-output-buffer-limit",
            "normal x 2mb 60",
            "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
        ),
        ("databases", "5", "can't set immutable config"),
        ("tcp-backlog", "1", "can't set immutable config"),
        ("unixsocket", "x", "can't set immutable config"),
        ("unixsocketperm", "999", "can't set immutable config"),
        ("logfile", "x", "can't set immutable config"),
        ("enable-debug-command", "x", "can't set immutable config"),
        ("enable-protected-configs", "yes", "can't set immutable config"),
        ("dir", "/etc", "can't set protected config"),
        ("dbfilename", "x", "can't set protected config"),
    ] {
        let expected = format!("CONFIG SET failed (possibly related to argument '{name}') - {reason}");
        assert_eq!(set(&config, &[(name, value)]), Err(expected), "{name} {value:?}");
        let shouted = name.to_uppercase();
        assert!(set(&config, &[(&shouted, value)]).unwrap_err().contains(&format!("'{name}'")), "canonical case");
    }
    assert_eq!(format!("{config:?}"), "{}", "nothing changed");
}

/// Observed from redis-server 7.0.15.
#[test]
fn errors_in_several_pairs_are_found_in_the_order_of_redis() {
    let unknown = |name| format!("Unknown option or number of arguments for CONFIG SET - '{name}'");
    let failed = |name, reason| format!("CONFIG SET failed (possibly related to argument '{name}') - {reason}");
    let not_integer = "argument couldn't be parsed into an integer";
    let config = Config::default();
    for (pairs, expected) in [
        (&[("nosuch", "1")][..], unknown("nosuch")),
        (&[("NOSUCH", "1")], unknown("NOSUCH")),
        (&[("rename-command", "a")], unknown("rename-command")),
        (&[("nosuch", "1"), ("alsonosuch", "2")], unknown("nosuch")),
        (&[("maxclients", "700"), ("nosuch", "1")], unknown("nosuch")),
        (&[("maxclients", "abc"), ("nosuch", "1")], unknown("nosuch")),
        (&[("nosuch", "1"), ("maxclients", "abc")], unknown("nosuch")),
        (&[("maxclients", "5"), ("nosuch", "1"), ("maxclients", "6")], unknown("nosuch")),
        (&[("maxclients", "5"), ("maxclients", "6")], failed("maxclients", "duplicate parameter")),
        (&[("maxclients", "5"), ("MAXCLIENTS", "x")], failed("maxclients", "duplicate parameter")),
        (&[("maxclients", "700"), ("timeout", "abc")], failed("timeout", not_integer)),
        (&[("timeout", "5"), ("maxclients", "abc")], failed("maxclients", not_integer)),
        (&[("timeout", "x"), ("maxclients", "x")], failed("timeout", not_integer)),
        (&[("databases", "5"), ("nosuch", "1")], failed("databases", "can't set immutable config")),
        (&[("databases", "5"), ("timeout", "x")], failed("databases", "can't set immutable config")),
        (&[("timeout", "x"), ("databases", "5")], failed("databases", "can't set immutable config")),
    ] {
        assert_eq!(set(&config, pairs), Err(expected), "{pairs:?}");
        assert_eq!(format!("{config:?}"), "{}", "{pairs:?} changed nothing");
    }
    let error = config.set(&[(b"no\xffsuch", b"1")], Caller::Local).unwrap_err();
    assert_eq!(error, SetError::Unknown(b"no\xffsuch".to_vec()));
}

#[test]
fn set_reports_what_changed_and_nothing_else() {
    let config = Config::default();
    let changed = set(&config, &[("Timeout", "5"), ("maxclients", "10000"), ("loglevel", "WARNING")]);
    assert_eq!(changed, Ok(vec![Id::Timeout, Id::LogLevel]));
    assert_eq!((config.timeout(), config.maxclients(), config.loglevel()), (5, 10000, LogLevel::Warning));
    assert_eq!(set(&config, &[("timeout", "5")]), Ok(vec![]));
    assert_eq!(set(&config, &[]), Ok(vec![]));
    assert_eq!(set(&config, &[("requirepass", "a b\"c")]), Ok(vec![Id::RequirePass]));
    assert_eq!(&*config.requirepass(), "a b\"c");
    assert_eq!(set(&config, &[("save", ""), ("appendonly", "NO")]), Ok(vec![]));
}

#[test]
fn an_alias_is_the_option() {
    let config = Config::default();
    assert_eq!(set(&config, &[("lua-time-limit", "6000")]), Ok(vec![Id::BusyReplyThreshold]));
    assert_eq!(config.busy_reply_threshold(), 6000);
    // Redis takes both and keeps the last.
    let pairs = [("lua-time-limit", "1"), ("busy-reply-threshold", "2")];
    assert_eq!(set(&config, &pairs), Ok(vec![Id::BusyReplyThreshold]));
    assert_eq!(config.busy_reply_threshold(), 2);
    let limits = config.get(|name| name.ends_with(b"e-limit") || name.starts_with(b"busy"));
    let expected = vec![("busy-reply-threshold", "2".to_owned()), ("lua-time-limit", "2".to_owned())];
    assert_eq!(limits, expected);
}

#[test]
fn get_prints_as_redis_does() {
    let config = Config::default();
    for (name, value) in [
        ("port", "6464"),
        ("bind", "127.0.0.1"),
        ("save", ""),
        ("appendonly", "no"),
        ("appendfsync", "everysec"),
        ("dbfilename", "dump.rdb"),
        ("maxmemory", "0"),
        ("proto-max-bulk-len", "536870912"),
        ("client-query-buffer-limit", "1073741824"),
        ("list-max-listpack-size", "-2"),
        ("list-max-ziplist-size", "-2"),
        ("hash-max-listpack-entries", "512"),
        ("unixsocketperm", "0"),
        ("protected-mode", "yes"),
        ("engine", "sharded"),
        (
            "client-output-buffer-limit",
            "normal 268435456 67108864 60 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
        ),
    ] {
        assert_eq!(config.get(|other| other == name.as_bytes()), vec![(name, value.to_owned())]);
    }
    assert_eq!(config.get(|_| false), vec![]);
    assert_eq!(config.get(|_| true).len(), SPECS.iter().map(|spec| spec.names().count()).sum::<usize>());
    let cwd = std::env::current_dir().and_then(|dir| dir.canonicalize()).expect("a working directory");
    assert_eq!(config.print(Id::Dir), cwd.to_str().expect("UTF-8"));
}

#[test]
fn a_refused_change_is_taken_back_whole() {
    let config = Config::default();
    let mut calls = Vec::new();
    let pairs = [("slowlog-max-len", "7"), ("timeout", "9"), ("maxclients", "20")];
    let result = config.set_with(&pairs, Caller::Local, |id| {
        calls.push((id, config.print(id)));
        if id == Id::Maxclients { Err("too many for this system".to_owned()) } else { Ok(()) }
    });
    let text = "CONFIG SET failed (possibly related to argument 'maxclients') - too many for this system";
    assert_eq!(result.unwrap_err().to_string(), text);
    // Timeout was put into effect and is put back.
    let value = |id, text: &str| (id, text.to_owned());
    assert_eq!(calls, [value(Id::Timeout, "9"), value(Id::Maxclients, "20"), value(Id::Timeout, "0")]);
    assert_eq!(format!("{config:?}"), "{}");
}

#[test]
fn protected_options_need_the_permission() {
    let config = Config::from_text("enable-protected-configs local").expect("valid");
    let pairs = [("dbfilename", "x.rdb")];
    assert_eq!(config.set(&pairs, Caller::Local), Ok(vec![Id::DbFilename]));
    let reason = Reason::Protected;
    assert_eq!(config.set(&pairs, Caller::Remote), Err(SetError::Failed { name: "dbfilename", reason }));
    let error = config.set(&[("dbfilename", "/etc/x")], Caller::Local).unwrap_err().to_string();
    assert!(error.ends_with("dbfilename can't be a path, just a filename"), "{error}");
}

#[test]
fn persistence_cannot_be_enabled_yet() {
    let config = Config::default();
    let failed = |name, reason| Err(format!("CONFIG SET failed (possibly related to argument '{name}') - {reason}"));
    assert_eq!(set(&config, &[("save", "3600 1")]), failed("save", "Kiba does not save snapshots yet"));
    let reason = "Kiba does not write an append-only file yet";
    assert_eq!(set(&config, &[("appendonly", "yes")]), failed("appendonly", reason));
    assert_eq!(set(&config, &[("appendfsync", "no")]), failed("appendfsync", "can't set immutable config"));
}

#[test]
fn limits_can_be_set_by_class_at_run_time() {
    let config = Config::default();
    let pairs = [("client-output-buffer-limit", "pubsub 1mb 0 0")];
    assert_eq!(set(&config, &pairs), Ok(vec![Id::ClientOutputBufferLimit]));
    assert_eq!(config.output_limit(Class::Pubsub).hard_bytes, 1 << 20);
    assert_eq!(config.output_limit(Class::Normal).hard_bytes, 256 << 20);
    assert_eq!(config.client_output_buffer_limit().of(Class::Pubsub), config.output_limit(Class::Pubsub));
}

#[test]
fn listen_puts_bind_and_port_together() {
    let listen = |text| Config::from_text(text).expect(text).listen();
    let address = |host: &str, port, is_optional| Listen { host: host.to_owned(), port, is_optional };
    assert_eq!(listen(""), [address("127.0.0.1", 6464, false)]);
    assert_eq!(listen("bind 127.0.0.1:7000"), [address("127.0.0.1", 7000, false)]);
    assert_eq!(listen("bind 127.0.0.1:7000\nport 1"), [address("127.0.0.1", 1, false)]);
    let all = [address("0.0.0.0", 6464, false), address("::", 6464, true)];
    assert_eq!(listen("bind * -::*"), all);
    assert_eq!(listen("port 0\nunixsocket /tmp/kiba.sock"), []);
    assert_eq!(listen("bind \"\"\nunixsocket /tmp/kiba.sock"), []);
}

#[test]
fn debug_hides_the_password() {
    let config = Config::from_text("requirepass hunter2\nport 1").expect("valid");
    assert_eq!(format!("{config:?}"), r#"{"port": "1", "requirepass": "(secret)"}"#);
}
