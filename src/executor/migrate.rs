//! MIGRATE: moves keys to another instance while others are served.
//!
//! Nothing is held while the network is waited for. A key is watched, copied, sent, and removed once the other instance
//! has it, if it is still what was sent. Otherwise it is sent again. Whatever becomes of the key meanwhile, nothing is
//! ever taken from the other instance: what was sent may be the only copy.

use std::time::Duration;

use super::{Executor, Outcome, is_long};
use crate::command::{Asker, Call, Migration};
use crate::engine::{Engine, Gone, Transaction, Watching};
use crate::error::Error;
use crate::parser::{Batch, Verdict};
use crate::server::now;
use crate::server::peer::{Failure, Guard, Peer};
use crate::sync::Arc;

/// How often a key is copied that changes meanwhile.
const ROUNDS: u32 = 3;

/// Keys after which others have the thread. Those that are missing wait for nothing.
const SLICE: usize = 64;

/// How a MIGRATE went to its end.
enum Moved {
    All,
    NoKey,
    /// Something was refused. What was not is done.
    Refused(Vec<u8>),
}

/// Why a MIGRATE did not.
enum Stop {
    Gone(Gone),
    Failed(Failure),
}

/// A key as it was at one moment.
struct Copied {
    /// What DUMP says.
    payload: Vec<u8>,
    deadline: Option<u64>,
    /// Since before that moment.
    watching: Watching,
}

impl From<Gone> for Stop {
    fn from(gone: Gone) -> Self {
        Self::Gone(gone)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl<E: Engine> Executor<E> {
    /// Runs request `at`, a MIGRATE.
    pub(super) async fn migrate(&mut self, mut batch: Box<Batch>, at: usize) -> Result<(Box<Batch>, Outcome), Gone> {
        let migration = match self.asked_for(&batch, at) {
            Ok(migration) => migration,
            Err(error) => {
                batch.reply.fail(error);
                return Ok((batch, Outcome::Done));
            }
        };
        let spans = &batch.spans[batch.requests[at].spans()];
        let keys: Vec<&[u8]> = migration.keys.iter().map(|&i| spans[i].of(&batch.input)).collect();
        let (client, server) = (Arc::clone(&self.session().client), Arc::clone(&self.server));
        let guard = Guard { client, server, patience: migration.patience };
        let moved = self.move_all(&migration, &keys, &guard).await;
        // It may have taken long, and times to live count from now.
        batch.now = now();
        match moved {
            Ok(Moved::All) => batch.reply.ok(),
            Ok(Moved::NoKey) => batch.reply.simple("NOKEY"),
            Ok(Moved::Refused(text)) => batch.reply.error(text),
            Err(Stop::Gone(gone)) => return Err(gone),
            Err(Stop::Failed(failure)) => {
                let text = match failure {
                    Failure::Killed => return Ok((batch, Outcome::Drop)),
                    Failure::Connecting => "IOERR error or timeout connecting to the client",
                    Failure::Writing => "IOERR error or timeout writing to target instance",
                    Failure::Reading => "IOERR error or timeout reading to target instance",
                };
                batch.reply.fail(Error::Other(text));
            }
        }
        Ok((batch, Outcome::Done))
    }

    fn asked_for(&self, batch: &Batch, at: usize) -> Result<Migration, Error> {
        let request = &batch.requests[at];
        let Verdict::Run(command) = request.verdict else { unreachable!("admitted") };
        Migration::parse(&Call {
            input: &batch.input,
            spans: &batch.spans[request.spans()],
            command,
            now: batch.now,
            db: self.session().db,
            asker: Asker::default(),
            fieldsets: None,
            server: &self.server,
        })
    }

    /// Moves one key after the other. Connects when the first is found.
    async fn move_all(&mut self, migration: &Migration, keys: &[&[u8]], guard: &Guard) -> Result<Moved, Stop> {
        let _turn = guard.wait(guard.server.migrations.acquire(), Failure::Connecting).await?;
        let (mut peer, mut refused) = (None, None);
        for (i, key) in keys.iter().enumerate() {
            if i % SLICE == SLICE - 1 {
                tokio::task::yield_now().await;
            }
            if let Err(text) = self.move_one(migration, key, guard, &mut peer).await? {
                // Without a database to go to, nothing is moved.
                if peer.is_none() {
                    return Ok(Moved::Refused(text));
                }
                refused.get_or_insert(text);
            }
        }
        Ok(match (refused, peer) {
            (Some(text), _) => Moved::Refused(text),
            (None, Some(_)) => Moved::All,
            (None, None) => Moved::NoKey,
        })
    }

    /// Moves a key, if there is one. The inner error is the reply's.
    async fn move_one(
        &mut self,
        migration: &Migration,
        key: &[u8],
        guard: &Guard,
        peer: &mut Option<Peer>,
    ) -> Result<Result<(), Vec<u8>>, Stop> {
        let mut is_there = false;
        for round in 0..ROUNDS {
            wait_out_pause(guard).await?;
            let Some(copied) = self.copy(key, round == 0).await? else { return Ok(Ok(())) };
            if peer.is_none() {
                match reach(migration, guard).await? {
                    Ok(reached) => *peer = Some(reached),
                    Err(text) => return Ok(Err(told(text))),
                }
            }
            let Some(peer) = peer else { unreachable!("reached above") };
            let Copied { payload, deadline, mut watching } = copied;
            // Value and deadline may be of two moments.
            if watching.flag.is_raised() {
                continue;
            }
            let ttl = match deadline.map(|deadline| deadline.saturating_sub(now())) {
                None => 0,
                // What has expired is not sent.
                Some(0) => return Ok(Ok(())),
                Some(millis) => millis,
            };
            let ttl = ttl.to_string();
            let words = [b"RESTORE", key, ttl.as_bytes(), &payload, b"REPLACE"];
            // What this has put there may be replaced.
            let words = if migration.replaces || is_there { &words[..] } else { &words[..4] };
            if let Err(text) = peer.ask(words).await? {
                return Ok(Err(told(text)));
            }
            is_there = true;
            if migration.copies {
                return Ok(Ok(()));
            }
            wait_out_pause(guard).await?;
            if let Some(watched) = watching.keys.first_mut() {
                watched.payload = Some(payload);
            }
            if self.remove(key, watching).await? {
                return Ok(Ok(()));
            }
        }
        Ok(Err(if is_there {
            b"ERR key changed whenever it was sent: it is at both instances".to_vec()
        } else {
            b"ERR key changed whenever it was copied: it was not sent".to_vec()
        }))
    }

    /// Watches a key and copies its value as DUMP does: aside where it is large.
    ///
    /// * `is_counted`: that it is missing counts as a miss.
    async fn copy(&mut self, key: &[u8], is_counted: bool) -> Result<Option<Copied>, Stop> {
        let (batch, db) = (self.request(&[b"DUMP", key]), self.session().db);
        let (batch, watching) = self.engine.watch(batch, 0, db, Watching::default()).await?;
        let (exists, deadline) = watching.keys.first().map_or((false, None), |it| (it.existed, it.deadline));
        if !exists && !is_counted {
            return Ok(None);
        }
        let dumped = self.ask(batch).await?;
        let payload = dumped.reply.as_single().and_then(bulk).map(<[u8]>::to_vec);
        Ok(payload.map(|payload| Copied { payload, deadline, watching }))
    }

    /// Removes a key if it has not changed since the watch began.
    async fn remove(&mut self, key: &[u8], watching: Watching) -> Result<bool, Gone> {
        let batch = self.request(&[b"DEL", key]);
        let session = self.session.take().expect("present between requests");
        let sleep = Duration::ZERO;
        let transaction = Box::new(Transaction { batch, session, watching, is_aborted: false, sleep });
        let done = self.engine.transact(transaction).await?;
        self.session = Some(done.session);
        Ok(!done.is_aborted)
    }

    /// Has the engine run a request of our own.
    async fn ask(&mut self, batch: Box<Batch>) -> Result<Box<Batch>, Stop> {
        let db = self.session().db;
        let (batch, at) = self.engine.execute(batch, 0..1, db).await?;
        if at > 0 || !is_long(&batch.requests[0]) {
            return Ok(batch);
        }
        match self.work_aside(batch, 0).await? {
            (batch, Outcome::Done) => Ok(batch),
            _ => Err(Stop::Failed(Failure::Killed)),
        }
    }

    /// A batch of one request, which leaves no trace in access clocks and what clients track.
    fn request(&self, words: &[&[u8]]) -> Box<Batch> {
        let mut batch = Box::new(Batch { now: now(), ..Batch::default() });
        batch.asker = Asker { client: self.session().client.id, no_touch: true, tracks: false };
        batch.push_words(words.iter().copied(), &self.server.env.hasher);
        batch
    }
}

/// Connects, logs in and selects the database.
async fn reach(migration: &Migration, guard: &Guard) -> Result<Result<Peer, Vec<u8>>, Failure> {
    let port = migration.port.ok_or(Failure::Connecting)?;
    let mut peer = Peer::connect(&migration.host, port, guard.clone()).await?;
    if let Some(words) = migration.login.words()
        && let Err(text) = peer.ask(&words).await?
    {
        return Ok(Err(text));
    }
    let answer = peer.ask(&[b"SELECT", migration.db.to_string().as_bytes()]).await?;
    Ok(answer.map(|()| peer))
}

/// CLIENT PAUSE may have begun since the command was admitted.
async fn wait_out_pause(guard: &Guard) -> Result<(), Failure> {
    guard.wait(guard.server.pause.wait(true), Failure::Writing).await
}

/// What the other instance's error becomes.
fn told(text: Vec<u8>) -> Vec<u8> {
    [b"ERR Target instance replied with error: ", &text[..]].concat()
}

/// The string of a reply; none when it is nil.
fn bulk(reply: &[u8]) -> Option<&[u8]> {
    let start = reply.windows(2).position(|bytes| bytes == b"\r\n")? + 2;
    reply.get(start..)?.strip_suffix(b"\r\n")
}
