//! What a connection leaves behind when it has ended, whatever it was in the middle of: nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use kiba::config::Config;
use kiba::engine::Engine;
use kiba::engine::channel::Channel;
use kiba::engine::sharded::Sharded;
use kiba::net::{Connection, Place, Socket};
use kiba::server::Server;
use kiba::server::clients::Client;
use kiba::server::home::Home;
use kiba::server::pubsub::Feed;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::Builder;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::support::server::PATIENCE;

/// What a connection does before it ends. `ME` is its own number, `NEXT` that of the one after it, `BEFORE` that of the one before.
const STATES: &[&str] = &[
    "BLPOP a b c 0\n",
    "BLPOP a 0.01\n",
    "BLMOVE a b LEFT RIGHT 100\n",
    "XREAD BLOCK 0 STREAMS a b $ $\n",
    "CLIENT REPLY OFF\nBLMPOP 0 2 a b LEFT\n",
    "HELLO 3\nSUBSCRIBE a b\nCLIENT TRACKING ON\nGET a\nBLPOP a 0\n",
    "SUBSCRIBE a b\nPSUBSCRIBE a* b*\nSSUBSCRIBE a\n",
    "MONITOR\n",
    "CLIENT TRACKING ON REDIRECT ME\nGET a\n",
    // Two that tell each other.
    "CLIENT TRACKING ON REDIRECT NEXT\nGET a\n",
    "CLIENT TRACKING ON BCAST PREFIX a PREFIX b REDIRECT BEFORE\n",
    "WATCH a b\nMULTI\nSET a x\nBLPOP b 0\n",
    "MULTI\nCLIENT TRACKING ON REDIRECT ME\nSUBSCRIBE a\nEXEC\n",
    "SET a x\nDEL a\n*3\r\n$3\r\nSET\r\n$1\r\na",
];

/// How a connection ends.
#[derive(Clone, Copy, Debug)]
enum End {
    HangsUp,
    IsKilled,
    Quits,
}

/// A connection that is being served.
struct Peer {
    stream: UnixStream,
    client: Weak<Client>,
    serving: JoinHandle<()>,
}

fn connect<E: Engine>(server: &Arc<Server>, engine: &Arc<E>) -> Peer {
    let (stream, other) = UnixStream::pair().expect("there are sockets");
    let client = server.clients.add(String::new(), String::new(), true, 100).expect("there is room");
    let own = Arc::downgrade(&client);
    let mut connection = Connection::new(Arc::clone(server), Arc::clone(engine), client);
    let serving = tokio::spawn(async move {
        connection.serve(&mut Socket::new(other), &Place::Own(Arc::new(AtomicUsize::new(1)))).await;
    });
    Peer { stream, client: own, serving }
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "{what}");
        sleep(Duration::from_millis(1)).await;
    }
}

async fn nothing_is_left<E: Engine>(server: Arc<Server>, engine: E) {
    let engine = Arc::new(engine);
    for end in [End::HangsUp, End::IsKilled, End::Quits] {
        let mut peers: Vec<Peer> = STATES.iter().map(|_| connect(&server, &engine)).collect();
        let ids: Vec<u64> = peers.iter().map(|peer| peer.client.upgrade().expect("is served").id).collect();
        for (i, peer) in peers.iter_mut().enumerate() {
            let id = |which: usize| ids.get(which).map_or(String::new(), u64::to_string);
            let text =
                STATES[i].replace("ME", &id(i)).replace("NEXT", &id(i + 1)).replace("BEFORE", &id(i.wrapping_sub(1)));
            peer.stream.write_all(text.as_bytes()).await.expect("is read");
        }
        // All have come where they were to: five wait, the one with a timeout does not any more.
        let waiting = || server.clients.blocked.load(Ordering::Relaxed);
        let tracking = &server.tracking;
        let are_there = || (waiting(), server.pubsub.subscriber_count(), tracking.client_count()) == (5, 3, 5);
        until("all are in their states", || are_there() && tracking.prefix_count() == 2).await;
        let mut ended = Vec::new();
        for (peer, state) in peers.into_iter().zip(STATES) {
            let Peer { mut stream, client, serving } = peer;
            match end {
                End::HangsUp => drop(stream),
                End::IsKilled => client.upgrade().expect("is served").kill(),
                End::Quits => {
                    stream.write_all(b"\nQUIT\n").await.expect("is read");
                    stream.shutdown().await.expect("is open");
                    // Who is not answered any more may be closed before it has read all.
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                }
            }
            serving.await.expect("no panic");
            ended.push((state, client));
        }
        // Whoever is told in another's place is kept by that one, so this holds of all together.
        for (state, client) in ended {
            until(&format!("{state}, {end:?}: the client is freed"), || client.strong_count() == 0).await;
        }
        assert_eq!((server.clients.len(), waiting(), server.pubsub.subscriber_count()), (0, 0, 0));
        for feed in Feed::ALL {
            assert!(server.pubsub.channels(feed).is_empty());
        }
        let left = (tracking.client_count(), tracking.prefix_count(), tracking.key_count(), tracking.item_count());
        assert_eq!((server.pubsub.pattern_count(), left), (0, (0, 0, 0, 0)));
        assert!(!server.monitors.is_any());
    }
    // Nothing of what ended keeps the server itself.
    drop(engine);
    let server = Arc::downgrade(&{ server });
    until("the server is freed", || server.strong_count() == 0).await;
}

fn server() -> Arc<Server> {
    Server::new(Arc::new(Config::from_text("shards 4\ndatabases 2\n").expect("well-formed")), None)
}

#[test]
fn nothing_is_left_of_connections_that_ended_sharded() {
    let runtime = Builder::new_current_thread().enable_all().build().expect("starts");
    let server = server();
    runtime.block_on(nothing_is_left(Arc::clone(&server), Sharded::new(server)));
}

#[test]
fn nothing_is_left_of_connections_that_ended_channel() {
    let runtime = Builder::new_current_thread().enable_all().build().expect("starts");
    let server = server();
    runtime.block_on(async {
        let engine = Channel::new(Arc::clone(&server), Arc::new(Home::here()));
        nothing_is_left(server, engine).await;
    });
}
