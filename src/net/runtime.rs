//! The threads that serve connections.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle, Runtime};

use super::elastic::Elastic;
use crate::config::IoModel;
use crate::server::Server;
use crate::sync::Arc;

/// Either one runtime whose threads steal work from each other, or one runtime a thread, each with its own connections.
pub struct Runtimes {
    main: Runtime,
    own: Vec<Own>,
    threads: usize,
}

struct Own {
    handle: Handle,
    connections: Arc<AtomicUsize>,
}

/// Counts a connection on its runtime for as long as it lives.
pub struct Place(Option<Arc<AtomicUsize>>);

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(connections) = &self.0 {
            connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Runtimes {
    /// * `threads`: 0 for one a core.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn new(model: IoModel, threads: usize) -> io::Result<Self> {
        let threads = if threads > 0 { threads } else { std::thread::available_parallelism().map_or(1, usize::from) };
        if model == IoModel::WorkStealing {
            let main = Builder::new_multi_thread().worker_threads(threads).thread_name("kiba").enable_all().build()?;
            return Ok(Self { main, own: Vec::new(), threads });
        }
        let mut own = Vec::new();
        for i in 1..threads {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            own.push(Own { handle: runtime.handle().clone(), connections: Arc::default() });
            std::thread::Builder::new().name(format!("kiba-{i}")).spawn(move || {
                runtime.block_on(std::future::pending::<()>());
            })?;
        }
        let main = Builder::new_current_thread().enable_all().build()?;
        own.push(Own { handle: main.handle().clone(), connections: Arc::default() });
        Ok(Self { main, own, threads })
    }

    /// Runs the server's main task on the main thread.
    pub fn block_on<F: Future>(&self, main: F) -> F::Output {
        self.main.block_on(main)
    }

    /// Lets threads rest where that answers more. Only threads that share their work can; for as long as the result lives.
    pub fn elastic(&self, server: &Arc<Server>) -> Option<Elastic> {
        let can_rest = self.own.is_empty() && self.threads > 1 && server.config.rest_threads();
        can_rest.then(|| Elastic::start(self.main.handle().clone(), self.threads, server))
    }

    /// Where connections are spawned.
    pub fn spawner(&self) -> Spawner {
        let own = self.own.iter().map(|own| (own.handle.clone(), Arc::clone(&own.connections))).collect();
        Spawner { main: self.main.handle().clone(), own }
    }
}

/// Spawns connections where they are served.
#[derive(Clone)]
pub struct Spawner {
    main: Handle,
    own: Vec<(Handle, Arc<AtomicUsize>)>,
}

impl Spawner {
    /// The runtime for a new connection: the one with the fewest.
    pub fn place(&self) -> (Handle, Place) {
        match self.own.iter().min_by_key(|(_, connections)| connections.load(Ordering::Relaxed)) {
            None => (self.main.clone(), Place(None)),
            Some((handle, connections)) => {
                connections.fetch_add(1, Ordering::Relaxed);
                (handle.clone(), Place(Some(Arc::clone(connections))))
            }
        }
    }
}
