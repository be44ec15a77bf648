//! MIGRATE: moves keys to another instance while others are served.
//!
//! Nothing is held while the network is waited for. A key is watched, copied, sent, and removed once the other instance
//! has it, if it is still what was sent. Otherwise it is sent again.

use std::time::Duration;

use super::target::{Failure, Guard, Target};
use super::{Executor, Outcome, is_long};
use crate::command::{Asker, Call, Migration};
use crate::engine::{Engine, Gone, Transaction, Watching};
use crate::error::Error;
use crate::lexer::Span;
use crate::number::parse_i64;
use crate::parser::{Batch, Verdict};
use crate::server::now;
use crate::sync::Arc;

/// How often a key is sent that changes meanwhile.
const ROUNDS: u32 = 3;

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
        let keys: Vec<Box<[u8]>> = migration.keys.iter().map(|&i| spans[i].of(&batch.input).into()).collect();
        let moved = self.move_all(&migration, &keys).await;
        // It may have taken long, and times to live count from now.
        batch.now = now();
        let error = |text| Error::Other(text);
        match moved {
            Ok(Moved::All) => batch.reply.ok(),
            Ok(Moved::NoKey) => batch.reply.simple("NOKEY"),
            Ok(Moved::Refused(text)) => batch.reply.error(text),
            Err(Stop::Gone(gone)) => return Err(gone),
            Err(Stop::Failed(Failure::Ended)) => return Ok((batch, Outcome::Drop)),
            Err(Stop::Failed(failure)) => batch.reply.fail(error(match failure {
                Failure::Connecting | Failure::Ended => "IOERR error or timeout connecting to the client",
                Failure::Writing => "IOERR error or timeout writing to target instance",
                Failure::Reading => "IOERR error or timeout reading to target instance",
            })),
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
    async fn move_all(&mut self, migration: &Migration, keys: &[Box<[u8]>]) -> Result<Moved, Stop> {
        let mut target = None;
        let mut refused = None;
        for key in keys {
            if let Err(text) = self.move_one(migration, key, &mut target).await? {
                // Without a database to go to, nothing is moved.
                if target.is_none() {
                    return Ok(Moved::Refused(text));
                }
                refused.get_or_insert(text);
            }
        }
        Ok(match (refused, target) {
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
        target: &mut Option<Target>,
    ) -> Result<Result<(), Vec<u8>>, Stop> {
        let mut replaces = migration.replaces;
        for round in 0..ROUNDS {
            let (dumped, watching) = self.dump(key, !migration.copies).await?;
            let payload = dumped.reply.as_single().and_then(bulk);
            let (Some(payload), Some(ttl)) = (payload, self.ttl(key).await?) else {
                // Gone while it was sent: what was sent is not to stay.
                return Ok(match target {
                    Some(target) if round > 0 => target.ask(&[b"DEL", key]).await?.map_err(told),
                    _ => Ok(()),
                });
            };
            if target.is_none() {
                match self.reach(migration).await? {
                    Ok(reached) => *target = Some(reached),
                    Err(text) => return Ok(Err(told(text))),
                }
            }
            let Some(target) = target else { unreachable!("reached above") };
            let ttl = ttl.to_string();
            let words = [b"RESTORE", key, ttl.as_bytes(), payload, b"REPLACE"];
            let words = if replaces { &words[..] } else { &words[..4] };
            if let Err(text) = target.ask(words).await? {
                return Ok(Err(told(text)));
            }
            if migration.copies || self.remove(key, watching).await? {
                return Ok(Ok(()));
            }
            // What is there now is our own.
            replaces = true;
        }
        Ok(Err(b"ERR key changed whenever it was sent: it is at both instances".to_vec()))
    }

    /// Connects, logs in and selects the database.
    async fn reach(&self, migration: &Migration) -> Result<Result<Target, Vec<u8>>, Failure> {
        let (client, server) = (Arc::clone(&self.session().client), Arc::clone(&self.server));
        let guard = Guard { client, server, patience: migration.patience };
        let port = migration.port.ok_or(Failure::Connecting)?;
        let mut target = Target::connect(&migration.host, port, guard).await?;
        if !migration.login.is_empty() {
            let words: Vec<&[u8]> = migration.login.iter().map(|word| &word[..]).collect();
            if let Err(text) = target.ask(&words).await? {
                return Ok(Err(text));
            }
        }
        let answer = target.ask(&[b"SELECT", migration.db.to_string().as_bytes()]).await?;
        Ok(answer.map(|()| target))
    }

    /// Copies a key's value as DUMP does: aside where it is large. Before that the watch begins, if it is wanted.
    async fn dump(&mut self, key: &[u8], is_watched: bool) -> Result<(Box<Batch>, Watching), Stop> {
        let (mut batch, mut watching) = (self.request(&[b"DUMP", key]), Watching::default());
        let db = self.session().db;
        if is_watched {
            (batch, watching) = self.engine.watch(batch, 0, db, watching).await?;
        }
        Ok((self.ask(batch).await?, watching))
    }

    /// The time that a key has to live, in ms: 0 for ever. None when it is over, or there is no key.
    async fn ttl(&mut self, key: &[u8]) -> Result<Option<i64>, Stop> {
        let asked = self.ask(self.request(&[b"PTTL", key])).await?;
        let number =
            asked.reply.as_single().and_then(|reply| parse_i64(reply.strip_prefix(b":")?.strip_suffix(b"\r\n")?));
        Ok(match number {
            Some(-1) => Some(0),
            other => other.filter(|&millis| millis > 0),
        })
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
            _ => Err(Stop::Failed(Failure::Ended)),
        }
    }

    /// A batch of one request, which leaves no trace in access clocks and what clients track.
    fn request(&self, words: &[&[u8]]) -> Box<Batch> {
        let mut batch = Box::new(Batch { now: now(), ..Batch::default() });
        batch.asker = Asker { client: self.session().client.id, no_touch: true, tracks: false };
        for word in words {
            let start = batch.input.len() as u32;
            batch.input.extend_from_slice(word);
            batch.spans.push(Span { start, len: word.len() as u32 });
        }
        batch.push(0..words.len(), &self.server.env.hasher);
        batch
    }
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
