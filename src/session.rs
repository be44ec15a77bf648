//! What the server knows about one connection.

use crate::command::Fieldsets;
use crate::engine::Watching;
use crate::parser::Batch;
use crate::reply::Resp;
use crate::server::Server;
use crate::server::clients::Client;
use crate::sync::Arc;

/// Whether replies are sent (CLIENT REPLY).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replies {
    #[default]
    On,
    Off,
    /// Not for the present command (CLIENT REPLY SKIP itself), nor for the next one.
    SkipNext,
    Skip,
}

/// A transaction that is being queued.
#[derive(Debug, Default)]
pub struct Queue {
    pub batch: Box<Batch>,
    /// A command could not be queued, so EXEC will refuse.
    pub is_broken: bool,
}

/// The state of a connection that commands can see and change.
#[derive(Debug)]
pub struct Session {
    /// What other connections see of this one.
    pub client: Arc<Client>,
    pub db: u16,
    pub resp: Resp,
    pub is_authenticated: bool,
    pub replies: Replies,
    pub queue: Option<Queue>,
    pub watching: Watching,
    /// The commands of a transaction are running.
    pub is_executing: bool,
    /// What HIMPORT PREPARE has named.
    pub fieldsets: Option<Box<Fieldsets>>,
}

impl Session {
    pub fn new(client: Arc<Client>, is_authenticated: bool) -> Self {
        Self {
            client,
            db: 0,
            resp: Resp::V2,
            is_authenticated,
            replies: Replies::On,
            queue: None,
            watching: Watching::default(),
            is_executing: false,
            fieldsets: None,
        }
    }

    /// RESET: everything as on a new connection, but for its address and id.
    pub fn reset(&mut self, is_authenticated: bool) {
        use crate::sync::Ordering::Relaxed;
        let client = Arc::clone(&self.client);
        client.set_name("");
        client.no_evict.store(false, Relaxed);
        client.no_touch.store(false, Relaxed);
        client.fieldset_bytes.store(0, Relaxed);
        *self = Self::new(client, is_authenticated);
        self.select(0);
        self.set_resp(Resp::V2);
    }

    /// Whether the client has yet to log in. A password that is taken off the server lets everybody in.
    pub fn must_log_in(&self, server: &Server) -> bool {
        !self.is_authenticated && !server.config.requirepass().is_empty()
    }

    pub fn select(&mut self, db: u16) {
        self.db = db;
        self.client.db.store(u32::from(db), crate::sync::Ordering::Relaxed);
    }

    pub fn set_resp(&mut self, resp: Resp) {
        self.resp = resp;
        self.client.resp.store(if resp == Resp::V3 { 3 } else { 2 }, crate::sync::Ordering::Relaxed);
    }
}
