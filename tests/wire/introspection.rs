//! COMMAND: what it says of each command is what redis-server 7.0 says, field by field.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Peer, Value, same_as_redis};

/// The fields of a command's description, in order.
const FIELDS: &[&str] =
    &["name", "arity", "flags", "first", "last", "step", "categories", "tips", "keys", "subcommands"];

/// Where Kiba differs on purpose, most often because later versions do: command, field, Kiba's answer.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    // Since 7.2 the flag says that they may wait.
    ("wait", "flags", "[+blocking]"),
    ("wait", "categories", "[+@slow, +@blocking, +@connection]"),
    // Since 7.2 scripts may call them.
    ("blmove", "flags", "[+write, +denyoom, +blocking]"),
    ("blpop", "flags", "[+write, +blocking]"),
    ("brpop", "flags", "[+write, +blocking]"),
    ("brpoplpush", "flags", "[+write, +denyoom, +blocking]"),
    ("bzpopmax", "flags", "[+write, +blocking, +fast]"),
    ("bzpopmin", "flags", "[+write, +blocking, +fast]"),
    // Since 7.2 a name alone is allowed.
    ("command|getkeys", "arity", "-3"),
    ("command|getkeysandflags", "arity", "-3"),
    // A member may follow the key.
    ("persist", "arity", "-2"),
    ("pttl", "arity", "-2"),
    ("ttl", "arity", "-2"),
    // Since 7.2 with WITHSCORE.
    ("zrank", "arity", "-3"),
    ("zrevrank", "arity", "-3"),
    // EXEC announces how many replies follow; the others may wait for the disk while keys are held.
    ("client|reply", "flags", "[+noscript, +loading, +stale, +no_multi]"),
    ("config|rewrite", "flags", "[+admin, +noscript, +loading, +stale, +no_multi]"),
    ("config|set", "flags", "[+admin, +noscript, +loading, +stale, +no_multi]"),
    // It waits for the network.
    ("migrate", "flags", "[+write, +no_multi, +movablekeys]"),
];

/// All commands and subcommands with their fields as texts.
fn descriptions(peer: Peer) -> BTreeMap<String, Vec<String>> {
    fn add(description: &Value, found: &mut BTreeMap<String, Vec<String>>) {
        let fields = description.items();
        assert_eq!(fields.len(), FIELDS.len());
        let texts = fields[..FIELDS.len() - 1].iter().map(|field| format!("{field:?}")).collect();
        found.insert(fields[0].text(), texts);
        fields[FIELDS.len() - 1].items().iter().for_each(|sub| add(sub, found));
    }
    let server = peer.start();
    let mut found = BTreeMap::new();
    server.client().call("COMMAND").items().iter().for_each(|description| add(description, &mut found));
    found
}

#[test]
fn every_description_is_that_of_redis() {
    if !Peer::has_redis() {
        return;
    }
    let (redis, kiba) = (descriptions(Peer::Redis), descriptions(Peer::Sharded));
    let mut found = BTreeSet::new();
    let mut compared = 0;
    for (name, ours) in &kiba {
        // Those that came later than 7.0 have nothing to be compared with.
        let Some(theirs) = redis.get(name) else { continue };
        compared += 1;
        for (field, (ours, theirs)) in FIELDS.iter().zip(ours.iter().zip(theirs)) {
            let is_accepted = DIFFERENCES.contains(&(name, field, ours));
            if (ours != theirs) != is_accepted {
                found.insert(format!("{name} {field}\n  expected {theirs}\n  found    {ours}"));
            }
        }
    }
    assert!(compared >= 100, "{compared}");
    assert!(found.is_empty(), "{}", found.into_iter().collect::<Vec<_>>().join("\n"));
}

same_as_redis! {
    fn keys_of_requests(peer) {
        let server = peer.start();
        let mut client = server.client();
        for (request, expected) in [
            ("copy a b db 3", "a b"),
            ("move a 3", "a"),
            ("sort a by w_* get # limit 1 2", "a"),
            ("sort a store b", "a b"),
            ("sort a get store limit 0 1 store b store c", "a c"),
            ("sort_ro a by store", "a"),
            ("rename a b", "a b"),
            ("object freq a", "a"),
            ("restore a 0 payload", "a"),
            ("mset a 1 b 2", "a b"),
            ("zunionstore d 2 a b weights 1 2", "d a b"),
            ("zinter 2 a b withscores", "a b"),
            ("zrangestore d a 0 -1", "d a"),
            ("georadius a 1 2 3 km storedist b", "a b"),
        ] {
            let keys = client.call(&format!("COMMAND GETKEYS {request}"));
            let keys: Vec<String> = keys.items().iter().map(Value::text).collect();
            assert_eq!(keys.join(" "), expected, "{request}");
            assert_eq!(client.call(&format!("COMMAND GETKEYSANDFLAGS {request}")).items().len(), keys.len());
        }
        for request in ["zunionstore d 3 a b", "zunionstore d 0 a", "zinter x a", "zdiff -1 a b"] {
            client.check(&format!("COMMAND GETKEYS {request}"), "-ERR Invalid arguments specified for command\r\n");
        }
        client.check("COMMAND GETKEYS swapdb 0 1", "-ERR The command has no key arguments\r\n");
        client.check("COMMAND GETKEYS copy a", "-ERR Invalid number of arguments specified for command\r\n");
        client.check(
            "COMMAND GETKEYSANDFLAGS sort a store b",
            "*2\r\n*2\r\n$1\r\na\r\n*2\r\n+RO\r\n+access\r\n*2\r\n$1\r\nb\r\n*2\r\n+OW\r\n+update\r\n",
        );
        client.check(
            "COMMAND GETKEYSANDFLAGS copy a b",
            "*2\r\n*2\r\n$1\r\na\r\n*2\r\n+RO\r\n+access\r\n*2\r\n$1\r\nb\r\n*2\r\n+OW\r\n+update\r\n",
        );
        client.check(
            "COMMAND GETKEYSANDFLAGS move a 1",
            "*1\r\n*2\r\n$1\r\na\r\n*3\r\n+RW\r\n+access\r\n+update\r\n",
        );
    }
}
