//! WAIT WAITAOF: there are no replicas.

use crate::support::{each_engine, same_as_redis};

same_as_redis! {
    fn no_replica_has_anything(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("WAIT 0 0", ":0\r\n");
        client.check("WAIT 0 1000000", ":0\r\n");
        client.check("WAIT -5 0", ":0\r\n");
        client.check("WAIT 1 1", ":0\r\n");
        client.check("WAIT x 0", "-ERR value is not an integer or out of range\r\n");
        client.check("WAIT x -1", "-ERR value is not an integer or out of range\r\n");
        client.check("WAIT 0 x", "-ERR timeout is not an integer or out of range\r\n");
        client.check("WAIT 0 1.5", "-ERR timeout is not an integer or out of range\r\n");
        client.check("WAIT 0 -1", "-ERR timeout is negative\r\n");
        client.check("WAIT 0", "-ERR wrong number of arguments for 'wait' command\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("WAIT 1 0", "+QUEUED\r\n");
        client.check("EXEC", "*1\r\n:0\r\n");
    }
}

each_engine! {
    /// Redis 7.0 does not know WAITAOF; the rest is as 7.4 answers.
    fn no_log_has_anything(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("WAITAOF 0 0 0", "*2\r\n:0\r\n:0\r\n");
        client.check("WAITAOF 0 1 10", "*2\r\n:0\r\n:0\r\n");
        for request in ["WAITAOF 2 0 0", "WAITAOF -1 x 0"] {
            client.check(request, "-ERR value is out of range, value must between 0 and 1\r\n");
        }
        client.check("WAITAOF x 0 0", "-ERR value is not an integer or out of range\r\n");
        for request in ["WAITAOF 0 -1 0", "WAITAOF 0 x 0"] {
            client.check(request, "-ERR value is out of range, must be positive\r\n");
        }
        client.check("WAITAOF 1 0 -1", "-ERR timeout is negative\r\n");
        client.check("WAITAOF 1 0 x", "-ERR timeout is not an integer or out of range\r\n");
        client.check("WAITAOF 1 0 9223372036854775807", "-ERR timeout is out of range\r\n");
        client.check("WAIT 0 9223372036854775807", "-ERR timeout is out of range\r\n");
        client.check(
            "WAITAOF 1 0 0",
            "-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.\r\n",
        );
        client.check("WAITAOF 0 0", "-ERR wrong number of arguments for 'waitaof' command\r\n");
    }
}
