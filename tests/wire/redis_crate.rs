//! The `redis` crate, as an application uses it.

use std::collections::{BTreeMap, BTreeSet};

use redis::{Client, Commands, Connection, pipe};

use crate::support::{Server, each_engine};

fn connect(server: &Server) -> Connection {
    let client = Client::open(format!("redis://{}/", server.address)).expect("a valid address");
    client.get_connection().expect("the handshake works")
}

each_engine! {
    fn typed_commands(peer) {
        let server = peer.start();
        let mut connection = connect(&server);
        let () = connection.set("k", "v").unwrap();
        assert_eq!(connection.get::<_, Option<String>>("k").unwrap().as_deref(), Some("v"));
        assert_eq!(connection.get::<_, Option<String>>("missing").unwrap(), None);
        assert_eq!(connection.incr::<_, _, i64>("n", 5).unwrap(), 5);
        assert_eq!(connection.decr::<_, _, i64>("n", 7).unwrap(), -2);
        let () = connection.mset(&[("a", 1), ("b", 2)]).unwrap();
        assert_eq!(connection.mget::<_, Vec<Option<i64>>>(&["a", "b", "c"]).unwrap(), [Some(1), Some(2), None]);
        assert_eq!(connection.rpush::<_, _, i64>("l", &["x", "y"]).unwrap(), 2);
        assert_eq!(connection.lrange::<_, Vec<String>>("l", 0, -1).unwrap(), ["x", "y"]);
        assert_eq!(connection.sadd::<_, _, i64>("s", &["x", "y", "x"]).unwrap(), 2);
        assert_eq!(connection.smembers::<_, BTreeSet<String>>("s").unwrap().len(), 2);
        assert_eq!(connection.hset::<_, _, _, i64>("h", "f", "v").unwrap(), 1);
        assert_eq!(connection.hgetall::<_, BTreeMap<String, String>>("h").unwrap()["f"], "v");
        assert!(connection.expire::<_, bool>("k", 100).unwrap());
        assert_eq!(connection.ttl::<_, i64>("k").unwrap(), 100);
        assert_eq!(connection.scan::<String>().unwrap().filter_map(Result::ok).count(), 7);
        let error = connection.incr::<_, _, i64>("l", 1).unwrap_err();
        assert_eq!(error.code(), Some("WRONGTYPE"));
    }

    fn pipelines_and_transactions(peer) {
        let server = peer.start();
        let mut connection = connect(&server);
        let (first, second): (i64, i64) = pipe().set("n", 1).ignore().incr("n", 1).incr("n", 1).query(&mut connection).unwrap();
        assert_eq!((first, second), (2, 3));
        let (value,): (i64,) = pipe().atomic().set("n", 10).ignore().incr("n", 1).query(&mut connection).unwrap();
        assert_eq!(value, 11);
        let result: (i64,) = redis::transaction(&mut connection, &["n"], |connection, pipe| {
            let old: i64 = connection.get("n")?;
            pipe.set("n", old * 2).ignore().incr("n", 1).query(connection)
        })
        .unwrap();
        assert_eq!(result.0, 23);
    }
}
