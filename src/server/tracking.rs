//! Client-side caching: who keeps copies of which keys, and is told when they change.
//!
//! A client in the default mode is entered in a table at each key that it reads, while the key is held; the next change
//! of the key takes the entry out and tells the client. In the mode of prefixes (BCAST) a client is told of every
//! change of keys that begin in a certain way. The table is bounded: an entry that has to go counts as a change.
//!
//! Lock order: a part of the key space; one table of this module at a time; an outbox.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::Server;
use super::clients::Client;
use super::outbox::{Message, Pushed};
use crate::config::Config;
use crate::fault;
use crate::reply::Resp;
use crate::store::{Env, Heard, SharedBytes};
use crate::sync::{Arc, AtomicUsize, HashState, Mutex, Ordering, RwLock, lock, read, write};

/// How a client wants to be told, as bits.
pub mod mode {
    pub const ON: u32 = 1;
    /// Of every change of keys with its prefixes.
    pub const BCAST: u32 = 2;
    /// Only of what it read after CLIENT CACHING YES.
    pub const OPTIN: u32 = 4;
    /// Of all but what it read after CLIENT CACHING NO.
    pub const OPTOUT: u32 = 8;
    /// Not of its own changes.
    pub const NOLOOP: u32 = 16;
    /// The client that messages were redirected to is gone.
    pub const BROKEN: u32 = 32;
    /// CLIENT CACHING was given for the next command.
    pub const CACHING: u32 = 64;
}

type Name = Arc<[u8]>;
type Clients = HashMap<u64, Arc<Client>, HashState>;
/// Clients at one key, by number. Most keys are read by few.
type Readers = SmallVec<[u64; 2]>;
type Table = HashMap<Box<[u8]>, Readers, HashState>;

/// Enough that threads seldom wait for each other. Models have few threads.
const SHARDS: usize = if cfg!(kiba_model) { 1 } else { 64 };

/// The tables.
#[derive(Debug)]
pub struct Tracking {
    keys: Box<[Mutex<Table>]>,
    hasher: HashState,
    key_count: AtomicUsize,
    item_count: AtomicUsize,
    /// Those in the mode of prefixes.
    prefixes: RwLock<HashMap<Name, Clients, HashState>>,
    prefix_count: AtomicUsize,
    /// All who track.
    clients: RwLock<Clients>,
}

impl Default for Tracking {
    fn default() -> Self {
        Self {
            keys: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: HashState::default(),
            key_count: AtomicUsize::new(0),
            item_count: AtomicUsize::new(0),
            prefixes: RwLock::default(),
            prefix_count: AtomicUsize::new(0),
            clients: RwLock::default(),
        }
    }
}

impl Tracking {
    /// Begins to tell a client, or tells it in another way.
    ///
    /// * `modes`: bits of [`mode`], `ON` among them.
    /// * `redirect`: who gets the messages instead.
    /// * `prefixes`: added to those that it has, in the mode of prefixes; none stand for all keys.
    pub fn start(
        &self,
        client: &Arc<Client>,
        modes: u32,
        redirect: Option<Arc<Client>>,
        prefixes: &[&[u8]],
        env: &Env,
    ) {
        client.set_tracking(modes, redirect);
        if modes & mode::BCAST != 0 {
            let mut table = write(&self.prefixes);
            let all: [&[u8]; 1] = [b""];
            for &prefix in if prefixes.is_empty() { &all } else { prefixes } {
                table.entry(Name::from(prefix)).or_default().insert(client.id, Arc::clone(client));
            }
            self.prefix_count.store(table.len(), Ordering::Relaxed);
        }
        let mut clients = write(&self.clients);
        clients.insert(client.id, Arc::clone(client));
        env.set_heard(Heard::COPIES, true);
    }

    /// Stops telling a client. What it has read is forgotten when it changes, or when nobody tracks any more.
    pub fn stop(&self, client: &Client, env: &Env) {
        if client.tracking_modes() & mode::ON == 0 {
            return;
        }
        client.set_tracking(0, None);
        {
            let mut table = write(&self.prefixes);
            table.retain(|_, clients| {
                clients.remove(&client.id);
                !clients.is_empty()
            });
            self.prefix_count.store(table.len(), Ordering::Relaxed);
        }
        let mut clients = write(&self.clients);
        clients.remove(&client.id);
        if clients.is_empty() {
            env.set_heard(Heard::COPIES, false);
            self.forget_all();
        }
    }

    /// Notes that a client reads a key, which is held.
    #[cold]
    pub fn remember(&self, key: &[u8], id: u64, server: &Server) {
        let most = server.config.tracking_table_max_keys();
        let evicted = {
            let mut table = lock(self.shard(key));
            if let Some(readers) = table.get_mut(key) {
                if !readers.contains(&id) {
                    readers.push(id);
                    self.item_count.fetch_add(1, Ordering::Relaxed);
                }
                return;
            }
            table.insert(key.into(), Readers::from_slice(&[id]));
            self.item_count.fetch_add(1, Ordering::Relaxed);
            let count = self.key_count.fetch_add(1, Ordering::Relaxed) + 1;
            if most == 0 || count <= most {
                return;
            }
            // Another of the same shard: no order of locks between shards is needed.
            let other = table.keys().find(|&other| **other != *key).or_else(|| table.keys().next()).cloned();
            other.and_then(|other| table.remove_entry(&other))
        };
        if let Some((key, readers)) = evicted {
            self.forgotten(&readers);
            self.tell(&key, &readers, 0, &server.config);
        }
    }

    /// Tells all who have a copy that a key changed. The key is held.
    ///
    /// * `by`: the client that changed it, 0 for none.
    pub fn invalidate(&self, key: &[u8], by: u64, config: &Config) {
        if self.key_count.load(Ordering::Relaxed) > 0 {
            let readers = lock(self.shard(key)).remove(key);
            if let Some(readers) = readers {
                self.forgotten(&readers);
                self.tell(key, &readers, by, config);
            }
        }
        if self.prefix_count.load(Ordering::Relaxed) > 0 {
            let message = Invalidation::of(Some(key));
            let table = read(&self.prefixes);
            for (_, clients) in table.iter().filter(|(prefix, _)| key.starts_with(prefix)) {
                clients.values().for_each(|client| message.send(client, by, config));
            }
        }
    }

    /// Tells all who track that nothing is what it was.
    pub fn flushed(&self, config: &Config) {
        let clients: Vec<Arc<Client>> = {
            let clients = read(&self.clients);
            clients.values().cloned().collect()
        };
        if clients.is_empty() {
            return;
        }
        self.forget_all();
        let message = Invalidation::of(None);
        // Their own flush is told them too.
        clients.iter().for_each(|client| message.send(client, 0, config));
    }

    /// The prefixes of a client, in order.
    pub fn prefixes(&self, client: &Client) -> Vec<Name> {
        let table = read(&self.prefixes);
        let own = table.iter().filter(|(_, clients)| clients.contains_key(&client.id));
        let mut prefixes: Vec<Name> = own.map(|(prefix, _)| Arc::clone(prefix)).collect();
        prefixes.sort_unstable();
        prefixes
    }

    pub fn client_count(&self) -> usize {
        read(&self.clients).len()
    }

    pub fn key_count(&self) -> usize {
        self.key_count.load(Ordering::Relaxed)
    }

    /// Clients at keys, all together.
    pub fn item_count(&self) -> usize {
        self.item_count.load(Ordering::Relaxed)
    }

    pub fn prefix_count(&self) -> usize {
        self.prefix_count.load(Ordering::Relaxed)
    }

    fn tell(&self, key: &[u8], readers: &[u64], by: u64, config: &Config) {
        fault::point("tracking.tell");
        let message = Invalidation::of(Some(key));
        for id in readers {
            let client = {
                let clients = read(&self.clients);
                clients.get(id).cloned()
            };
            // One that has gone over to prefixes is told by those.
            if let Some(client) = client.filter(|client| client.tracking_modes() & mode::BCAST == 0) {
                message.send(&client, by, config);
            }
        }
    }

    fn forgotten(&self, readers: &[u64]) {
        self.key_count.fetch_sub(1, Ordering::Relaxed);
        self.item_count.fetch_sub(readers.len(), Ordering::Relaxed);
    }

    fn forget_all(&self) {
        for shard in &self.keys {
            let table = std::mem::take(&mut *lock(shard));
            self.key_count.fetch_sub(table.len(), Ordering::Relaxed);
            self.item_count.fetch_sub(table.values().map(|readers| readers.len()).sum(), Ordering::Relaxed);
        }
    }

    fn shard(&self, key: &[u8]) -> &Mutex<Table> {
        &self.keys[std::hash::BuildHasher::hash_one(&self.hasher, key) as usize % SHARDS]
    }
}

/// The channel of those who are told in RESP2.
const CHANNEL: &[u8] = b"__redis__:invalidate";

/// A message that a key, or everything, is not what it was.
struct Invalidation {
    push: Message,
    /// For a subscriber in RESP2.
    message: Message,
}

impl Invalidation {
    fn of(key: Option<&[u8]>) -> Self {
        let what = |resp: Resp| match (key, resp) {
            (Some(key), _) => [b"*1\r\n", bulk(key).as_slice()].concat(),
            (None, Resp::V3) => b"_\r\n".to_vec(),
            (None, Resp::V2) => b"$-1\r\n".to_vec(),
        };
        let push = [b"2\r\n".as_slice(), &bulk(b"invalidate"), &what(Resp::V3)].concat();
        let message = [b"3\r\n".as_slice(), &bulk(b"message"), &bulk(CHANNEL), &what(Resp::V2)].concat();
        Self { push: Message::Push(SharedBytes::new(push)), message: Message::Push(SharedBytes::new(message)) }
    }

    /// Sends it to a client that tracks, or to whom it redirects, unless it did it itself and does not want to know.
    fn send(&self, client: &Client, by: u64, config: &Config) {
        if client.tracking_modes() & mode::NOLOOP != 0 && by == client.id {
            return;
        }
        let Some(target) = client.redirect() else {
            if client.is_resp3() {
                client.push(self.push.clone(), config);
            }
            return;
        };
        let pushed = if target.is_resp3() {
            target.push(self.push.clone(), config)
        } else if target.is_subscriber() {
            target.push(self.message.clone(), config)
        } else if target.outbox.is_closed() {
            Pushed::Closed
        } else {
            return;
        };
        if pushed == Pushed::Closed {
            client.add_tracking_mode(mode::BROKEN);
            if client.is_resp3() {
                let id = format!(":{}\r\n", target.id);
                let text = [b"2\r\n".as_slice(), &bulk(b"tracking-redir-broken"), id.as_bytes()].concat();
                client.push(Message::Push(SharedBytes::new(text)), config);
            }
        }
    }
}

fn bulk(bytes: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}
