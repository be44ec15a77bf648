//! `kiba`: reads the configuration, starts an engine and serves until it is told to stop.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use kiba::config::{Config, EngineKind, Start};
use kiba::engine::Engine;
use kiba::engine::channel::Channel;
use kiba::engine::sharded::Sharded;
use kiba::log::Log;
use kiba::net::{Listeners, Runtimes};
use kiba::server::{Server, keeper, open_files};
use kiba::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

// A sanitizer watches the system's allocator.
#[cfg(not(kiba_sanitizer))]
#[global_allocator]
static ALLOCATOR: kiba::memory::Counting = kiba::memory::Counting;

fn main() -> ExitCode {
    match kiba::config::start(std::env::args_os(), std::io::stdin()) {
        Start::Print(text) => {
            // Whoever reads may have gone, as `head` does.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Start::Refuse(text) => fail(&text),
        Start::Serve(config) => match serve(config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(text) => fail(&text),
        },
    }
}

fn fail(text: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{}", text.trim_end());
    ExitCode::FAILURE
}

fn serve(config: Config) -> Result<(), String> {
    std::env::set_current_dir(&*config.dir()).map_err(|error| format!("cannot change to {}: {error}", config.dir()))?;
    let log = Log::install(&config).map_err(|error| format!("cannot open the log: {error}"))?;
    let runtimes = Runtimes::new(config.io(), config.threads() as usize, config.rest_threads())
        .map_err(|error| format!("cannot start the threads: {error}"))?;
    let maxclients = u64::from(config.maxclients());
    let fitting = open_files::raise(maxclients);
    if fitting < maxclients {
        tracing::warn!(maxclients, fitting, "the limit of open files allows fewer clients than maxclients");
        let value = fitting.max(1).to_string();
        let set = config.set(&[("maxclients", value)], kiba::config::Caller::Local);
        set.map_err(|error| error.to_string())?;
    }
    let server = Server::new(Arc::new(config), Some(log));
    kiba::fault::install(&server);
    let outcome = runtimes.block_on(async {
        match server.config.engine() {
            EngineKind::Sharded => {
                run(&server, Arc::new(Sharded::new(Arc::clone(&server)).start_sweeper()), &runtimes).await
            }
            EngineKind::Channel => {
                run(&server, Arc::new(Channel::new(Arc::clone(&server), runtimes.home())), &runtimes).await
            }
        }
    });
    // A long command may have far to go, and nobody waits for its answer any more.
    runtimes.end();
    outcome
}

async fn run<E: Engine>(server: &Arc<Server>, engine: Arc<E>, runtimes: &Runtimes) -> Result<(), String> {
    let listeners = Listeners::open(server)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    for address in listeners.addresses() {
        tracing::info!(%address, engine = engine.name(), "Kiba {} is ready to accept connections", env!("CARGO_PKG_VERSION"));
    }
    keeper::start(server);
    let _elastic = runtimes.elastic(server);
    let acceptors = listeners.accept(server, &engine, &runtimes.spawner());
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
        () = server.stopped() => tracing::info!("SHUTDOWN: stopping"),
    }
    server.request_stop();
    // Nobody is let in any more, and the Unix socket is gone.
    acceptors.join_all().await;
    // What was read is answered; a client that does not take its answer does not hold up the end.
    const GRACE: Duration = Duration::from_secs(5);
    if tokio::time::timeout(GRACE, server.clients.wait_until_empty()).await.is_err() {
        tracing::warn!(clients = server.clients.len(), "stopping with clients that did not take their replies");
    }
    tracing::info!("Kiba is now ready to exit, bye bye...");
    Ok(())
}
