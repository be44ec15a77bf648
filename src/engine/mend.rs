//! After a panic: what it may have kept from those who wait, and from what is due.
//!
//! Locks are free by then and values are whole, since unwinding has seen to that. What it cannot do is to serve those who wait
//! for a key, or to put back what was on its way from one place to another.

use super::serve::Ready;
use crate::command::Keyspace;
use crate::fault;
use crate::server::Server;

/// Most panics in a row of the mending itself. Each ends somebody's wait, so that the next attempt finds less to do.
const TRIES: usize = 64;

/// Tells those who cannot know what has happened.
pub fn tell(server: &Server) {
    // Somebody may have a copy of what had changed already.
    fault::shield(|| server.tracking.flushed(&server.config));
    // Messages that nobody was woken for.
    server.clients.wake_all();
}

/// Goes through all parts: whoever waits is asked again, and what has a deadline is found again.
///
/// * `serve`: serves what is ready, with nothing held.
pub fn mend<S: Keyspace>(space: &mut S, server: &Server, mut serve: impl FnMut(&mut S, &mut Ready)) {
    tell(server);
    for _ in 0..TRIES {
        let mended = fault::shield(|| {
            fault::point("mend");
            let mut ready = Ready::default();
            for db in (0..space.databases()).filter(|&db| space.is_used(db)).collect::<Vec<_>>() {
                for index in 0..space.parts() {
                    space.write(db, index, &mut |mut part| {
                        part.mend();
                        ready.collect(&mut part);
                    });
                }
            }
            serve(space, &mut ready);
        });
        if mended.is_some() {
            return;
        }
    }
}
