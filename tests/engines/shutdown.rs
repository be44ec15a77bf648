//! SIGTERM and SIGINT: what was read is answered, and the process ends with exit code 0.

use rustix::process::Signal;

use crate::support::{Value, each_engine};

each_engine! {
    fn signals_end_the_server(peer) {
        for signal in [Signal::TERM, Signal::INT] {
            let mut server = peer.start();
            let mut client = server.client();
            client.check("PING", "+PONG\r\n");
            server.signal(signal);
            client.expect_closed();
            assert_eq!(server.wait().code(), Some(0), "{}", server.log());
        }
    }

    fn the_unix_socket_is_gone_afterwards(peer) {
        let path = std::env::temp_dir().join(format!("kiba-{}-{peer:?}.sock", std::process::id()));
        let mut server = peer.start_with(&["--unixsocket", path.to_str().expect("text")]);
        let mut stream = std::os::unix::net::UnixStream::connect(&path).expect("the socket listens");
        std::io::Write::write_all(&mut stream, b"PING\r\n").expect("it reads");
        let mut reply = [0; 7];
        std::io::Read::read_exact(&mut stream, &mut reply).expect("it answers");
        assert_eq!(&reply, b"+PONG\r\n");
        server.signal(Signal::TERM);
        assert_eq!(server.wait().code(), Some(0), "{}", server.log());
        assert!(!path.exists());
    }

    /// Replies are whole and in order up to where the server stopped reading.
    fn what_was_read_is_answered(peer) {
        let mut server = peer.start();
        let mut clients: Vec<_> = (0..4).map(|_| server.client()).collect();
        for (i, client) in clients.iter_mut().enumerate() {
            client.send(format!("INCR n:{i}\r\n").repeat(5000));
        }
        // Every client is being served.
        for client in &mut clients {
            client.expect(":1\r\n");
        }
        server.signal(Signal::TERM);
        for client in &mut clients {
            let replies = client.read_to_end();
            let mut rest = replies.as_slice();
            let mut expected = 2;
            while !rest.is_empty() {
                let (value, used) = Value::parse(rest).expect("no reply is cut off");
                assert_eq!(value, Value::Int(expected));
                expected += 1;
                rest = &rest[used..];
            }
        }
        assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    }

    /// A reply that is on its way arrives, although its reader takes its time.
    fn a_slow_reader_gets_its_reply(peer) {
        let mut server = peer.start();
        let mut client = server.client();
        // More than the sockets' buffers hold.
        let value = vec![b'x'; 32 << 20];
        assert_eq!(client.request(&[b"SET".as_slice(), b"k", &value]).text(), "OK");
        client.send("GET k\r\n");
        client.expect("$33554432\r\n");
        server.signal(Signal::TERM);
        server.wait_for_log("SIGTERM");
        client.expect(&value);
        client.expect("\r\n");
        client.expect_closed();
        assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    }

    fn no_connection_is_accepted_after_the_signal(peer) {
        let mut server = peer.start();
        server.signal(Signal::TERM);
        assert_eq!(server.wait().code(), Some(0), "{}", server.log());
        assert!(std::net::TcpStream::connect(server.address).is_err());
    }
}
