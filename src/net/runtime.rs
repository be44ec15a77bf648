//! The threads that serve connections.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle, Runtime};

use super::elastic::Elastic;
use crate::config::IoModel;
use crate::memory::pages::tidy_if_asked;
use crate::server::Server;
use crate::server::home::{Home, Threads};
use crate::sync::Arc;

/// Either one runtime whose threads steal work from each other, and perhaps one of a single thread beside it; or one
/// runtime a thread, each with its own connections.
pub struct Runtimes {
    main: Runtime,
    home: Arc<Home>,
    own: Vec<Own>,
}

struct Own {
    handle: Handle,
    connections: Arc<AtomicUsize>,
}

/// Where a connection runs.
pub enum Place {
    /// On a runtime of its own, for as long as it lives; counted there.
    Own(Arc<AtomicUsize>),
    /// Where it is wanted.
    Shared(Arc<Home>, Threads),
}

impl Place {
    /// Whether the connection is wanted elsewhere.
    #[inline]
    pub fn is_left(&self) -> bool {
        matches!(self, Self::Shared(home, threads) if home.wanted() != *threads)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::Own(connections) = self {
            connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Runtimes {
    /// * `threads`: 0 for one a core.
    /// * `rest`: threads may rest where that answers more.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn new(model: IoModel, threads: usize, rest: bool) -> io::Result<Self> {
        let threads = if threads > 0 { threads } else { std::thread::available_parallelism().map_or(1, usize::from) };
        if model == IoModel::WorkStealing {
            let main = Builder::new_multi_thread()
                .worker_threads(threads)
                .thread_name("kiba")
                .on_thread_park(tidy_if_asked)
                .enable_all()
                .build()?;
            let one = if rest && threads > 1 { Some(start_thread("kiba-one".into())?) } else { None };
            let home = Arc::new(Home::new(main.handle().clone(), one));
            return Ok(Self { main, home, own: Vec::new() });
        }
        let mut own = Vec::new();
        for i in 1..threads {
            own.push(Own { handle: start_thread(format!("kiba-{i}"))?, connections: Arc::default() });
        }
        let main = single_threaded()?;
        own.push(Own { handle: main.handle().clone(), connections: Arc::default() });
        let home = Arc::new(Home::new(main.handle().clone(), None));
        Ok(Self { main, home, own })
    }

    /// Runs the server's main task on the main thread.
    pub fn block_on<F: Future>(&self, main: F) -> F::Output {
        self.main.block_on(main)
    }

    /// Ends without waiting for what is still going on.
    pub fn end(self) {
        self.main.shutdown_background();
    }

    /// Where the tasks are wanted that serve all clients.
    pub fn home(&self) -> Arc<Home> {
        Arc::clone(&self.home)
    }

    /// Lets threads rest where that answers more, for as long as the result lives. None where nothing can be chosen.
    pub fn elastic(&self, server: &Arc<Server>) -> Option<Elastic> {
        self.home.has_choice().then(|| Elastic::start(self.home(), server))
    }

    /// Where connections are spawned.
    pub fn spawner(&self) -> Spawner {
        let own = self.own.iter().map(|own| (own.handle.clone(), Arc::clone(&own.connections))).collect();
        Spawner { home: self.home(), own }
    }
}

fn single_threaded() -> io::Result<Runtime> {
    Builder::new_current_thread().on_thread_park(tidy_if_asked).enable_all().build()
}

/// A runtime of one thread, which takes no work from others and so need not look out for them. It sleeps while nobody
/// runs on it, and lives as long as the process.
fn start_thread(name: String) -> io::Result<Handle> {
    let runtime = single_threaded()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new().name(name).spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(handle)
}

/// Spawns connections where they are served.
#[derive(Clone)]
pub struct Spawner {
    home: Arc<Home>,
    own: Vec<(Handle, Arc<AtomicUsize>)>,
}

impl Spawner {
    /// Where a connection is to run now: where it is wanted, or on the runtime with the fewest.
    pub fn place(&self) -> (Handle, Place) {
        match self.own.iter().min_by_key(|(_, connections)| connections.load(Ordering::Relaxed)) {
            None => {
                let threads = self.home.wanted();
                (self.home.handle(threads).clone(), Place::Shared(Arc::clone(&self.home), threads))
            }
            Some((handle, connections)) => {
                connections.fetch_add(1, Ordering::Relaxed);
                (handle.clone(), Place::Own(Arc::clone(connections)))
            }
        }
    }
}
