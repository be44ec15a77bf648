//! The thread that removes expired keys, part by part, when they are due, and evicts what commands have left to it.

use std::time::Duration;

use super::Holder;
use super::shards::{Shards, Unheld};
use crate::engine::evict::{Evictor, State};
use crate::engine::mend;
use crate::engine::serve::{Ready, serve};
use crate::server::{Server, now};
use crate::store::wheel::TICK_MS;
use crate::sync::Arc;
use crate::{background, fault};

/// Records looked at under one lock: some tens of microseconds.
const SLICE: usize = 128;

/// After a panic.
const REST: Duration = Duration::from_millis(100);

/// Starts the thread. It ends when the server stops. Models take its steps themselves.
pub fn start(server: Arc<Server>, shards: Arc<Shards>, evictor: Arc<Evictor>) {
    let server = Arc::downgrade(&server);
    let shards = Arc::downgrade(&shards);
    let thread = background::start("kiba-expire", {
        let server = server.clone();
        move || {
            // Whatever happens, look once a second: the clock may have been set forward.
            while let (Some(server), Some(shards)) = (server.upgrade(), shards.upgrade()) {
                let round = fault::shield(|| (sweep(&server, &shards, now), evict(&server, &shards, &evictor)));
                let (sleep, is_done) = round.unwrap_or_else(|| {
                    mend(&server, &shards);
                    // What has caused the panic may be there still.
                    (REST, true)
                });
                drop((server, shards));
                if is_done {
                    std::thread::park_timeout(sleep);
                }
            }
        }
    });
    #[cfg_attr(kiba_model, allow(unused_variables))]
    let thread = thread.expect("a thread can be started");
    // A model's threads are of another kind.
    #[cfg(not(kiba_model))]
    if let Some(server) = server.upgrade() {
        server.env.agenda.set_sweeper(thread.thread().clone());
    }
}

/// Sees to what a panic may have left behind.
pub fn mend(server: &Server, shards: &Shards) {
    mend::mend(&mut Unheld { shards, env: &server.env }, server, |_, ready| {
        serve(&mut Holder { shards, env: &server.env }, server, ready);
    });
}

/// Evicts for a while, if a command has left it to this thread; whether it is done.
fn evict(server: &Server, shards: &Shards, evictor: &Evictor) -> bool {
    if !evictor.take_wanted() {
        return true;
    }
    let mut ready = Ready::default();
    let room = evictor.evict(&mut Unheld { shards, env: &server.env }, server, &mut ready);
    if !ready.is_empty() {
        serve(&mut Holder { shards, env: &server.env }, server, &mut ready);
    }
    if room.state == State::Partly {
        evictor.want();
    }
    room.state != State::Partly
}

/// Removes what is due; returns how long nothing will be, unless it is told otherwise.
///
/// * `now`: the time, in milliseconds since the Unix epoch.
pub fn sweep(server: &Server, shards: &Shards, now: impl Fn() -> u64) -> Duration {
    const IDLE: Duration = Duration::from_secs(1);
    let mut ready = Ready::default();
    loop {
        let now = now();
        while let Some(id) = server.env.agenda.pop(now / TICK_MS) {
            loop {
                let mut exclusive = shards.write(id, &server.env);
                fault::point("sweeper.part");
                let more = exclusive.part().expire(now, SLICE);
                ready.collect(&mut exclusive.part());
                if !more {
                    exclusive.part().reschedule();
                }
                drop(exclusive);
                // Whoever has become ready on this core meanwhile is served first.
                std::thread::yield_now();
                if !more {
                    break;
                }
            }
            if !ready.is_empty() {
                serve(&mut Holder { shards, env: &server.env }, server, &mut ready);
            }
        }
        let until = now + IDLE.as_millis() as u64;
        match server.env.agenda.sleep_until(until / TICK_MS) {
            Some(next) if next <= now / TICK_MS => {}
            Some(next) => return IDLE.min(Duration::from_millis(next * TICK_MS - now)),
            None => return IDLE,
        }
    }
}
