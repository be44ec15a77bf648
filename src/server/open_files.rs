//! The limit of open files, which bounds the number of clients.

/// Raises the limit of open files to what `maxclients` needs, as far as it goes; returns the number of clients
/// that fit.
pub fn raise(maxclients: u64) -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    /// Listeners, the log, epoll and what libraries open.
    const RESERVED: u64 = 32;
    let limit = getrlimit(Resource::Nofile);
    let wanted = maxclients.saturating_add(RESERVED);
    let Some(current) = limit.current else { return maxclients };
    if current >= wanted {
        return maxclients;
    }
    let raised = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum }) {
        Ok(()) => maxclients.min(raised.saturating_sub(RESERVED)),
        Err(_) => maxclients.min(current.saturating_sub(RESERVED)),
    }
}
