//! Any bytes, to a fresh server with either engine: no panic, an end, and no more memory than the limits allow.
#![no_main]

use std::time::Duration;

use kiba::config::Config;
use kiba::engine::Engine;
use kiba::engine::channel::Channel;
use kiba::engine::sharded::Sharded;
use kiba::net::{Connection, Place, Socket};
use kiba::server::Server;
use kiba::server::home::{Home, Threads};
use kiba::sync::Arc;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

/// Small enough to be made for each input.
const OPTIONS: &str = "\
databases 3
shards 4
proto-max-bulk-len 1mb
client-query-buffer-limit 1mb
client-output-buffer-limit normal 1mb 0 0
long-command-elements 100
enable-debug-command yes
";

/// Whoever waits for something that does not come is not waited for.
const PATIENCE: Duration = Duration::from_millis(100);

fuzz_target!(|data: &[u8]| {
    let Some((&first, input)) = data.split_first() else { return };
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let config = Config::from_text(OPTIONS).unwrap_or_else(|problems| panic!("{problems:?}"));
    let server = Server::new(Arc::new(config), None);
    // The first byte chooses the engine and where the input is cut.
    let cut = usize::from(first / 2) % (input.len() + 1);
    if first % 2 == 0 {
        let engine = Sharded::new(Arc::clone(&server));
        run(&runtime, &server, engine, input.split_at(cut));
    } else {
        let engine = runtime.block_on(async { Channel::new(Arc::clone(&server), Arc::new(Home::here())) });
        run(&runtime, &server, engine, input.split_at(cut));
    }
});

fn run<E: Engine>(runtime: &Runtime, server: &Arc<Server>, engine: E, pieces: (&[u8], &[u8])) {
    runtime.block_on(async {
        let (ours, theirs) = UnixStream::pair().expect("there are sockets");
        let mut theirs = Socket::new(theirs);
        let client =
            server.clients.add("127.0.0.1:1".into(), "127.0.0.1:2".into(), true, 10).expect("the first client");
        let mut connection = Connection::new(Arc::clone(server), Arc::new(engine), client);
        let place = Place::Shared(Arc::new(Home::here()), Threads::All);
        // Polled along with the peer, so that a panic is not caught on the way.
        let serve = async {
            connection.serve(&mut theirs, &place).await;
            drop(theirs);
        };
        let both = async { tokio::join!(serve, talk(ours, pieces)) };
        let _ = tokio::time::timeout(PATIENCE, both).await;
    });
}

/// Sends everything, reads everything.
async fn talk(stream: UnixStream, (first, second): (&[u8], &[u8])) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let write = async {
        // The server may hang up on the way.
        let _ = writer.write_all(first).await;
        tokio::task::yield_now().await;
        let _ = writer.write_all(second).await;
        let _ = writer.shutdown().await;
    };
    let read = async {
        let mut buffer = vec![0; 16 * 1024];
        while reader.read(&mut buffer).await.is_ok_and(|len| len > 0) {}
    };
    tokio::join!(write, read);
}
