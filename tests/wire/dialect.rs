//! `dialect original`: the answers of the original Kiba where they differ from Redis'.

use crate::support::each_engine;

each_engine! {
    fn sadd_replies_with_the_new_size(peer) {
        let server = peer.start_with(&["--dialect", "original"]);
        let mut client = server.client();
        client.check("SADD colors red", ":1\r\n");
        client.check("SADD colors blue", ":2\r\n");
        client.check("SADD colors green", ":3\r\n");
        client.check("SADD colors green", ":3\r\n");
        client.check("SADD colors green black white", ":5\r\n");
        assert_eq!(client.call("SMEMBERS colors").sorted(), ["black", "blue", "green", "red", "white"]);
        client.check("SREM colors red", ":1\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("SADD colors red", "+QUEUED\r\n");
        client.check("EXEC", "*1\r\n:5\r\n");
    }

    fn the_rest_answers_as_redis_does(peer) {
        let server = peer.start_with(&["--dialect", "original"]);
        let mut client = server.client();
        client.check("SET name \"FOO BAR\"", "+OK\r\n");
        client.check("GET name", "$7\r\nFOO BAR\r\n");
        client.check("GET bar", "$-1\r\n");
        client.check("SET counter 9999", "+OK\r\n");
        client.check("INCR counter", ":10000\r\n");
        client.check("DECRBY counter 3000", ":7000\r\n");
        client.check("LPUSH letters b", ":1\r\n");
        client.check("LPUSH letters a", ":2\r\n");
        client.check("RPUSH letters c", ":3\r\n");
        client.check("LPOP letters", "$1\r\na\r\n");
        client.check("HSET user:321 name \"John Smith\"", ":1\r\n");
        client.check("HGET user:321 name", "$10\r\nJohn Smith\r\n");
    }
}
