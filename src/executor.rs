//! Requests to replies: admits each request, runs what concerns the connection itself, and hands data
//! commands to the engine, as many at a time as follow each other.

mod migrate;

use std::future::poll_fn;
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::command::{Arguments, Asker, Call, Command, Control, Flags, Next, Run};
use crate::config::Caller;
use crate::engine::aside::{Aside, Stage};
use crate::engine::evict::{self, State};
use crate::engine::mend;
use crate::engine::wait::{Over, Waiter};
use crate::engine::{Engine, FLUSH, Gone, Transaction, Watching};
use crate::error::Error;
use crate::fault;
use crate::lexer::INPUT_MAX;
use crate::parser::{Batch, Request, Verdict};
use crate::reply::Resp;
use crate::server::block::{End, Wait};
use crate::server::clients::Client;
use crate::server::{Count, PauseMode, Server, now};
use crate::session::{Queue, Replies, Session};
use crate::sync::{Arc, Ordering};

/// Runs the batches of one connection.
pub struct Executor<E> {
    server: Arc<Server>,
    engine: Arc<E>,
    /// Absent only while a transaction has it.
    session: Option<Box<Session>>,
    /// The blocking command that waits, after [`Outcome::Wait`].
    blocked: Option<Blocked>,
}

/// A blocking command that waits. However the connection goes on, nobody finds it waiting once this is dropped.
struct Blocked {
    waiter: Arc<Waiter>,
    server: Arc<Server>,
    client: Arc<Client>,
    /// What CLIENT REPLY said when it began.
    replies: Replies,
}

impl Blocked {
    fn new(waiter: Arc<Waiter>, server: &Arc<Server>, session: &Session) -> Self {
        server.clients.blocked.fetch_add(1, Ordering::Relaxed);
        Self { waiter, server: Arc::clone(server), client: Arc::clone(&session.client), replies: session.replies }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        self.waiter.end(End::Gone);
        self.client.blocked.set(None);
        self.server.clients.blocked.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<E> Drop for Executor<E> {
    fn drop(&mut self) {
        if let Some(session) = &mut self.session {
            free_fieldsets(session, &self.server);
        }
    }
}

/// How long a long command leaves its keys alone when others wait for locks: a tick of the runtime's timers.
const GIVE_WAY: Duration = Duration::from_millis(1);

/// Why [`Executor::run`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All requests have run.
    Done,
    /// The replies are to be sent before the rest runs.
    Flush,
    /// The replies are to be sent, then the connection waits ([`Executor::waiter`]) and goes on with
    /// [`Executor::resume`].
    Wait,
    /// The replies are to be sent, then the connection ends.
    Close,
    /// The connection ends at once.
    Drop,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waited {
    ToTheEnd,
    Killed,
}

/// What happens with a request.
enum Admission {
    /// The engine runs it.
    Data,
    Queue,
    Session(fn(&mut Session, &Call<'_>, &mut crate::reply::Reply) -> Result<Next, Error>),
    Control(Control),
    /// It gets this error; a transaction that is being queued is broken by it.
    Refuse(Error),
    /// It cannot run at all.
    Malformed,
}

impl<E: Engine> Executor<E> {
    pub fn new(server: Arc<Server>, engine: Arc<E>, session: Session) -> Self {
        Self { server, engine, session: Some(Box::new(session)), blocked: None }
    }

    pub fn session(&self) -> &Session {
        self.session.as_ref().expect("present between batches")
    }

    /// Runs as many requests from number `at` on as take nothing but an engine that runs them at once: mostly all. `at`
    /// is moved to the first that has not run.
    #[inline]
    pub fn run_now(&mut self, batch: &mut Batch, at: &mut usize) {
        let plain = self.plain(batch, *at);
        if plain == 0 {
            return;
        }
        fault::point("executor.admit");
        let end = *at + plain;
        let session = self.session.as_mut().expect("present between requests");
        batch.reply.set_resp(session.resp);
        batch.asker = session.client.asker();
        std::mem::swap(&mut batch.fieldsets, &mut session.fieldsets);
        let ran = self.engine.execute_now(batch, *at..end, session.db);
        std::mem::swap(&mut batch.fieldsets, &mut session.fieldsets);
        let Some(ran) = ran else { return };
        fault::point("executor.ran");
        // Whoever makes room asks again.
        batch.lacks_room = false;
        self.count(batch, *at..ran);
        *at = ran;
    }

    /// How many data commands from number `at` on run as they are: nobody is to be asked, and nothing follows but their
    /// replies.
    #[inline]
    fn plain(&self, batch: &Batch, at: usize) -> usize {
        /// Who stops earlier looks again, so that a large batch is not to be gone through each time.
        const AT_ONCE_MAX: usize = 1024;
        let session = self.session();
        let client = &session.client;
        let is_plain = session.queue.is_none()
            && session.replies == Replies::On
            && !session.must_log_in(&self.server)
            && !client.is_subscriber()
            && !client.is_monitor.load(Ordering::Relaxed)
            && !client.is_caching_told()
            && !self.server.monitors.is_any()
            && self.server.pause.mode(batch.now).is_none();
        if !is_plain || self.needs_room(&batch.requests[at]) {
            return 0;
        }
        let runs_at_once =
            |request: &&Request| matches!(request.verdict, Verdict::Run(it) if it.flags.has(Flags::AT_ONCE));
        batch.requests[at..].iter().take(AT_ONCE_MAX).take_while(runs_at_once).count()
    }

    /// Runs the requests of a batch from number `at` on, which is moved to the first that has not run.
    ///
    /// # Errors
    /// [`Gone`] when the engine cannot answer any more.
    pub async fn run(&mut self, mut batch: Box<Batch>, at: &mut usize) -> Result<(Box<Batch>, Outcome), Gone> {
        while *at < batch.requests.len() {
            if batch.reply.len() >= FLUSH {
                return Ok((batch, Outcome::Flush));
            }
            let first = *at;
            self.run_now(&mut batch, at);
            if *at > first {
                continue;
            }
            if let Some(is_write) = self.is_paused(&batch, *at) {
                // What has run is answered before the rest waits.
                if !batch.reply.is_empty() {
                    return Ok((batch, Outcome::Flush));
                }
                if self.wait_out_pause(is_write).await == Waited::Killed {
                    return Ok((batch, Outcome::Drop));
                }
                // The wait may have been long, and times to live count from now.
                batch.now = now();
            }
            let is_out_of_memory = self.needs_room(&batch.requests[*at]) && {
                let bytes = batch.input.len() as u64;
                // Boxed, since it is seldom.
                !Box::pin(self.make_room(bytes)).await?
            };
            let session = self.session.as_mut().expect("present between requests");
            let (replies, mark) = (session.replies, batch.reply.mark());
            let request = batch.requests[*at];
            batch.reply.set_resp(session.resp);
            batch.reply.begin(None);
            fault::point("executor.admit");
            let admission = admit(&self.server, session, &request, is_out_of_memory);
            let is_run = matches!(admission, Admission::Data | Admission::Session(_) | Admission::Control(_));
            let outcome = match admission {
                Admission::Data => {
                    let end = self.run_of_data(&batch, *at);
                    let session = self.session.as_mut().expect("present between requests");
                    let db = session.db;
                    batch.asker = session.client.asker();
                    // The engine would stop before the first that may wait.
                    if !may_wait(&batch, *at) {
                        std::mem::swap(&mut batch.fieldsets, &mut session.fieldsets);
                        (batch, *at) = self.engine.execute(batch, *at..end, db).await?;
                        let session = self.session.as_mut().expect("present between requests");
                        std::mem::swap(&mut batch.fieldsets, &mut session.fieldsets);
                    }
                    fault::point("executor.ran");
                    let mut outcome = Outcome::Done;
                    if std::mem::take(&mut batch.lacks_room) {
                        // The next time round makes room before the request that needs it.
                    } else if *at < end && batch.reply.len() < FLUSH {
                        *at += 1;
                        (batch, outcome) = if is_long(&batch.requests[*at - 1]) {
                            // Boxed, since it is seldom.
                            Box::pin(self.work_aside(batch, *at - 1)).await?
                        } else {
                            self.block(batch, *at - 1).await?
                        };
                    }
                    outcome
                }
                // It may wait for long; what has run is answered before.
                Admission::Control(Control::Migrate) if !batch.reply.is_empty() => return Ok((batch, Outcome::Flush)),
                Admission::Control(control) => {
                    *at += 1;
                    let outcome;
                    (batch, outcome) = self.control(control, batch, *at - 1).await?;
                    outcome
                }
                Admission::Session(run) => {
                    *at += 1;
                    let next = run_session(run, session, &mut batch, &request, &self.server);
                    if self.server.room_wanted.load(Ordering::Relaxed) {
                        self.server.room_wanted.store(false, Ordering::Relaxed);
                        self.engine.make_room().await?;
                    }
                    match next {
                        Next::Continue => Outcome::Done,
                        Next::Close => Outcome::Close,
                        Next::Sleep(time) => self.sleep(time, &mut batch).await,
                    }
                }
                Admission::Queue => {
                    *at += 1;
                    self.queue(&mut batch, &request)
                }
                Admission::Refuse(error) => {
                    *at += 1;
                    count_rejected(&self.server, &request);
                    if is_exec(&request) {
                        end_transaction(session);
                        batch.reply.error(aborted(error));
                    } else {
                        break_queue(session);
                        batch.reply.fail(error);
                    }
                    Outcome::Done
                }
                Admission::Malformed if matches!(request.verdict, Verdict::Http) => {
                    tracing::warn!(
                        client = session.client.addr,
                        "possible attack: POST or Host: was sent, as by an HTTP client made to talk to Kiba; closing it"
                    );
                    return Ok((batch, Outcome::Drop));
                }
                Admission::Malformed => {
                    *at += 1;
                    count_rejected(&self.server, &request);
                    break_queue(session);
                    if is_malformed_exec(&request) {
                        end_transaction(session);
                        batch.reply.fail(Error::Other(
                            "EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command",
                        ));
                    } else {
                        let Batch { input, spans, reply, .. } = &mut *batch;
                        let arguments = spans[request.spans()].iter().map(|span| span.of(input));
                        request.verdict.write_error(arguments, reply);
                    }
                    Outcome::Done
                }
            };
            if is_run {
                self.count(&mut batch, first..*at);
            }
            // Redis shows an EXEC that was refused.
            if self.server.monitors.is_any() && (is_run || is_exec(&request) || is_malformed_exec(&request)) {
                self.show(&batch, first..*at);
            }
            self.forget_caching(&request);
            // The reply of who waits is muted when it is there.
            if outcome == Outcome::Wait {
                return Ok((batch, outcome));
            }
            let mark = if is_run && is_push(&request) { batch.reply.mark() } else { mark };
            // CLIENT REPLY ON answers even when it is the request that was to be skipped.
            let is_unmuted = replies != Replies::On && self.session().replies == Replies::On && is_reply(&request);
            self.mute(if is_unmuted { Replies::On } else { replies }, mark, &mut batch);
            if outcome != Outcome::Done {
                return Ok((batch, outcome));
            }
        }
        Ok((batch, Outcome::Done))
    }

    /// Tries a blocking command, or begins to wait.
    async fn block(&mut self, batch: Box<Batch>, at: usize) -> Result<(Box<Batch>, Outcome), Gone> {
        let session = self.session();
        let (db, client) = (session.db, Arc::clone(&session.client));
        let (batch, waiter) = self.engine.block(batch, at, db, client).await?;
        self.blocked = waiter.map(|waiter| Blocked::new(waiter, &self.server, self.session()));
        fault::point("executor.blocked");
        Ok((batch, if self.blocked.is_some() { Outcome::Wait } else { Outcome::Done }))
    }

    /// Has a long command worked off on copies of its keys, while others are served.
    async fn work_aside(&mut self, batch: Box<Batch>, at: usize) -> Result<(Box<Batch>, Outcome), Gone> {
        let client = Arc::clone(&self.session().client);
        let server = Arc::clone(&self.server);
        let mut aside = Box::new(Aside::new(batch, at, self.session().db));
        let turn = tokio::select! {
            biased;
            () = poll_fn(|cx| client.poll_killed(cx)) => None,
            turn = server.turns.acquire() => turn.ok(),
        };
        let calls = &server.stats.calls;
        let is_timed = calls.sample(1).is_some();
        let mut took = Duration::ZERO;
        while aside.stage() != Stage::Done {
            if turn.is_none() || client.is_killed() {
                return Ok((aside.into_batch(&server), Outcome::Drop));
            }
            let waited = server.env.contended.load(Ordering::Relaxed);
            let begun = Instant::now();
            aside = match aside.stage() {
                Stage::Work => work(aside, &server).await?,
                _ => self.engine.advance(aside).await?,
            };
            took += begun.elapsed();
            if server.env.contended.load(Ordering::Relaxed) == waited {
                tokio::task::yield_now().await;
            } else {
                // Who waits for a lock takes a moment to wake up, and would find it taken by the next slice.
                tokio::time::sleep(GIVE_WAY).await;
            }
        }
        if is_timed {
            calls.took(aside.command(), took);
        }
        let mut batch = aside.into_batch(&server);
        // It may have taken long, and times to live count from now.
        batch.now = now();
        Ok((batch, Outcome::Done))
    }

    /// Ends what a panic has broken off.
    pub async fn break_off(&mut self) {
        if let Some(blocked) = self.blocked.take() {
            let waiter = Arc::clone(&blocked.waiter);
            drop(blocked);
            self.engine.forget(waiter).await;
        }
        mend::tell(&self.server);
        self.engine.mend().await;
    }

    /// Whom the connection waits for.
    pub fn waiter(&self) -> Option<&Arc<Waiter>> {
        self.blocked.as_ref().map(|blocked| &blocked.waiter)
    }

    /// Writes the reply of the command that has waited. False when the connection is to end.
    pub async fn resume(&mut self, batch: &mut Batch) -> bool {
        let Some(blocked) = self.blocked.take() else { return true };
        // Over for certain, whatever it was that the connection stopped waiting for.
        blocked.waiter.end(End::Gone);
        let over = blocked.waiter.cell.over().unwrap_or(Over::Ended(End::Gone));
        let (waiter, replies) = (Arc::clone(&blocked.waiter), blocked.replies);
        drop(blocked);
        batch.now = now();
        batch.reply.set_resp(self.session().resp);
        let mark = batch.reply.mark();
        match over {
            Over::Served(reply) => batch.reply.append(&reply),
            Over::Ended(end) => {
                self.engine.forget(waiter).await;
                match end {
                    End::TimedOut => batch.reply.nil_array(),
                    End::Unblocked => {
                        batch.reply.fail(Error::Other("UNBLOCKED client unblocked via CLIENT UNBLOCK"));
                    }
                    End::Gone | End::Broken => return false,
                }
            }
        }
        self.mute(replies, mark, batch);
        true
    }

    /// How far the data commands that begin at `at` reach: none of them changes what may run.
    fn run_of_data(&self, batch: &Batch, at: usize) -> usize {
        let session = self.session();
        if session.replies != Replies::On
            || session.client.is_caching_told()
            || self.server.pause.mode(batch.now).is_some()
        {
            return at + 1;
        }
        // Whoever asks for the same again is admitted again.
        let is_same = |one: &Request, other: &Request| match (one.verdict, other.verdict) {
            (Verdict::Run(one), Verdict::Run(other)) => std::ptr::eq(one, other),
            _ => false,
        };
        let is_data = |request: &Request| matches!(admit(&self.server, session, request, false), Admission::Data);
        let pairs = batch.requests[at..].windows(2);
        at + 1 + pairs.take_while(|pair| is_same(&pair[0], &pair[1]) || is_data(&pair[1])).count()
    }

    /// INFO commandstats: counts requests that have run.
    #[inline]
    fn count(&self, batch: &mut Batch, requests: Range<usize>) {
        let calls = &self.server.stats.calls;
        calls.ran(indices(&batch.requests[requests]));
        if batch.reply.has_failed() {
            calls.failed(batch.reply.take_failed().into_iter());
        }
    }

    /// MONITOR: shows requests that have run.
    #[cold]
    fn show(&self, batch: &Batch, requests: Range<usize>) {
        let session = self.session();
        for request in &batch.requests[requests] {
            self.server.monitors.feed(batch, request, session.db, &session.client, &self.server.config);
        }
    }

    /// CLIENT CACHING is about the next command that is not a CLIENT itself, or the next transaction.
    #[inline]
    fn forget_caching(&self, request: &Request) {
        let session = self.session();
        if session.client.is_caching_told()
            && session.queue.is_none()
            && !matches!(request.verdict, Verdict::Run(command) if command.full_name.starts_with("client|"))
        {
            session.client.tell_caching(false);
        }
    }

    /// CLIENT REPLY: takes back what a muted command wrote.
    fn mute(&mut self, before: Replies, mark: crate::reply::Mark, batch: &mut Batch) {
        let session = self.session.as_mut().expect("present between requests");
        match before {
            Replies::Off if session.replies == Replies::Off => batch.reply.rewind(mark),
            Replies::Skip => {
                batch.reply.rewind(mark);
                if session.replies == Replies::Skip {
                    session.replies = Replies::On;
                }
            }
            _ => {}
        }
        if session.replies == Replies::SkipNext {
            session.replies = Replies::Skip;
        }
    }

    /// Whether there may be no memory for a request that needs some. Of a transaction every request does.
    #[inline]
    fn needs_room(&self, request: &Request) -> bool {
        self.server.config.maxmemory() != 0 && self.may_need_room(request) && !self.server.has_room()
    }

    fn may_need_room(&self, request: &Request) -> bool {
        let (session, Verdict::Run(command)) = (self.session(), request.verdict) else { return false };
        let needs = match &session.queue {
            None => command.flags.has(Flags::DENYOOM),
            Some(queue) => match command.spec.run {
                Run::Control(Control::Exec) => {
                    let needs = |it: &Request| matches!(it.verdict, Verdict::Run(it) if it.flags.has(Flags::DENYOOM));
                    queue.batch.requests.iter().any(needs)
                }
                Run::Control(Control::Discard | Control::Quit | Control::Reset) => false,
                _ => true,
            },
        };
        needs && !session.must_log_in(&self.server)
    }

    /// Evicts keys before a request that needs memory; false when there is none for it.
    ///
    /// Goes on until there is room, or for as long as `maxmemory-eviction-tenacity` says. But at least as much goes as
    /// the request may bring, so that many who write cannot outrun the eviction.
    ///
    /// * `bytes`: how many bytes its client has sent.
    async fn make_room(&mut self, bytes: u64) -> Result<bool, Gone> {
        /// Milliseconds to wait for what is being freed before a request is refused.
        const PATIENCE: u32 = 20;
        let begun = Instant::now();
        let time = evict::time(self.server.config.maxmemory_eviction_tenacity());
        // What it brings is in memory twice when it is stored.
        let least = bytes.saturating_mul(2);
        let (mut freed, mut waited) = (0_u64, 0);
        loop {
            let room = self.engine.make_room().await?;
            freed = freed.saturating_add(room.freed);
            match room.state {
                State::Enough => return Ok(true),
                State::Partly if freed >= least && time.is_some_and(|time| begun.elapsed() >= time) => return Ok(true),
                State::Partly => tokio::task::yield_now().await,
                State::Nothing if self.server.env.reaper.things() > 0 && waited < PATIENCE => {
                    waited += 1;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                State::Nothing => return Ok(false),
            }
        }
    }

    /// CLIENT PAUSE: whether request `at` has to wait, and if so whether it is one that writes.
    fn is_paused(&self, batch: &Batch, at: usize) -> Option<bool> {
        let mode = self.server.pause.mode(batch.now)?;
        let Verdict::Run(command) = batch.requests[at].verdict else { return None };
        if command.flags.has(Flags::NEVER_PAUSED) {
            return None;
        }
        let is_queueing = self.session().queue.is_some();
        let is_write = match command.spec.run {
            Run::Control(Control::Exec) => self.session().queue.as_ref().is_some_and(|queue| {
                let is_write = |it: &Request| matches!(it.verdict, Verdict::Run(it) if it.flags.may_change());
                queue.batch.requests.iter().any(is_write)
            }),
            _ => command.flags.may_change() && !is_queueing,
        };
        (mode == PauseMode::All || is_write).then_some(is_write)
    }

    async fn wait_out_pause(&self, is_write: bool) -> Waited {
        let client = &self.session().client;
        tokio::select! {
            biased;
            () = poll_fn(|cx| client.poll_killed(cx)) => Waited::Killed,
            () = self.server.pause.wait(is_write) => Waited::ToTheEnd,
        }
    }

    /// DEBUG SLEEP: this connection goes on later, unless it is to end.
    async fn sleep(&self, time: Duration, batch: &mut Batch) -> Outcome {
        let client = &self.session().client;
        let is_killed = tokio::select! {
            biased;
            () = poll_fn(|cx| client.poll_killed(cx)) => true,
            () = self.server.stopped() => false,
            () = tokio::time::sleep(time) => false,
        };
        batch.now = now();
        if is_killed { Outcome::Drop } else { Outcome::Done }
    }

    fn queue(&mut self, batch: &mut Batch, request: &Request) -> Outcome {
        let session = self.session.as_mut().expect("present between requests");
        let queue = session.queue.as_mut().expect("admitted to the queue only in a transaction");
        fault::point("executor.queue");
        queue.batch.push_copy(batch, request, &self.server.env.hasher);
        session.client.queued.store(queue.batch.requests.len() as u32, Ordering::Relaxed);
        batch.reply.simple("QUEUED");
        if queue.batch.footprint() as u64 > self.server.config.client_query_buffer_limit().min(INPUT_MAX) {
            tracing::warn!(
                client = session.client.id,
                "closing a client whose transaction exceeds client-query-buffer-limit"
            );
            self.server.stats.add(Count::query_limit_disconnections, 1);
            return Outcome::Drop;
        }
        Outcome::Done
    }

    async fn control(
        &mut self,
        control: Control,
        mut batch: Box<Batch>,
        at: usize,
    ) -> Result<(Box<Batch>, Outcome), Gone> {
        let session = self.session.as_mut().expect("present between requests");
        batch.reply.begin(indices(&batch.requests[at..=at]).next());
        match control {
            Control::Multi if session.queue.is_some() => {
                batch.reply.fail(Error::Other("ERR MULTI calls can not be nested"));
            }
            Control::Multi => {
                session.queue = Some(Queue::default());
                session.client.queued.store(0, Ordering::Relaxed);
                batch.reply.ok();
            }
            Control::Exec => return self.exec(batch).await,
            Control::Discard if session.queue.is_none() => {
                batch.reply.fail(Error::Other("ERR DISCARD without MULTI"));
            }
            Control::Discard => {
                end_transaction(session);
                batch.reply.ok();
            }
            Control::Watch if session.queue.is_some() => {
                batch.reply.fail(Error::Other("ERR WATCH inside MULTI is not allowed"));
            }
            Control::Watch => {
                let (db, watching) = (session.db, std::mem::take(&mut session.watching));
                let watching_now;
                (batch, watching_now) = self.engine.watch(batch, at, db, watching).await?;
                let session = self.session.as_mut().expect("present between requests");
                fault::point("executor.watched");
                session.client.watched.store(watching_now.keys.len() as u32, Ordering::Relaxed);
                session.watching = watching_now;
                batch.reply.ok();
            }
            Control::Unwatch => {
                session.watching = Watching::default();
                session.client.watched.store(0, Ordering::Relaxed);
                batch.reply.ok();
            }
            Control::Reset => {
                end_transaction(session);
                self.server.forget(&session.client);
                crate::command::deliver(session, &mut batch.reply);
                free_fieldsets(session, &self.server);
                session.reset(self.server.config.requirepass().is_empty());
                batch.reply.set_resp(session.resp);
                batch.reply.simple("RESET");
            }
            // Boxed, since it is seldom.
            Control::Migrate => return Box::pin(self.migrate(batch, at)).await,
            Control::Quit => {
                batch.reply.ok();
                return Ok((batch, Outcome::Close));
            }
        }
        Ok((batch, Outcome::Done))
    }

    async fn exec(&mut self, mut batch: Box<Batch>) -> Result<(Box<Batch>, Outcome), Gone> {
        let session = self.session.as_mut().expect("present between requests");
        let Some(queue) = session.queue.take() else {
            batch.reply.fail(Error::Other("ERR EXEC without MULTI"));
            return Ok((batch, Outcome::Done));
        };
        let watching = std::mem::take(&mut session.watching);
        end_transaction(session);
        if queue.is_broken {
            batch.reply.fail(Error::Other("EXECABORT Transaction discarded because of previous errors."));
            return Ok((batch, Outcome::Done));
        }
        let mut queued = queue.batch;
        queued.now = batch.now;
        // The replies go where this batch's replies are.
        std::mem::swap(&mut queued.reply, &mut batch.reply);
        let session = self.session.take().expect("present between requests");
        let sleep = Duration::ZERO;
        let transaction = Box::new(Transaction { batch: queued, session, watching, is_aborted: false, sleep });
        let first_db = transaction.session.db;
        fault::point("executor.exec");
        let mut done = *self.engine.transact(transaction).await?;
        if self.server.monitors.is_any() && !done.is_aborted {
            let (mut db, databases) = (first_db, self.server.config.databases() as u16);
            for request in &done.batch.requests {
                db = crate::engine::selected(&done.batch, request, db, databases);
                self.server.monitors.feed(&done.batch, request, db, &done.session.client, &self.server.config);
            }
        }
        if !done.is_aborted {
            self.server.stats.calls.ran(indices(&done.batch.requests));
        }
        std::mem::swap(&mut done.batch.reply, &mut batch.reply);
        self.session = Some(done.session);
        let outcome = if done.sleep.is_zero() { Outcome::Done } else { self.sleep(done.sleep, &mut batch).await };
        Ok((batch, outcome))
    }
}

/// Decides what happens with a request. The order of the questions is Redis'.
///
/// * `is_out_of_memory`: it needs memory, and there is none.
#[inline]
fn admit(server: &Server, session: &Session, request: &Request, is_out_of_memory: bool) -> Admission {
    let Verdict::Run(command) = request.verdict else { return Admission::Malformed };
    if command.flags.has(Flags::PROTECTED) && !may_debug(server, session) {
        return Admission::Refuse(Error::Other(
            "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from \
             a local connection, otherwise you need to set this option in the configuration file, and then restart the \
             server.",
        ));
    }
    if session.must_log_in(server) && !command.flags.has(Flags::NO_AUTH) {
        return Admission::Refuse(Error::Other("NOAUTH Authentication required."));
    }
    if is_out_of_memory {
        return Admission::Refuse(Error::OutOfMemory);
    }
    if session.resp == Resp::V2 && session.client.is_subscriber() && !may_subscriber(command) {
        return Admission::Refuse(Error::OnlyWhileSubscribed(command.full_name));
    }
    if session.client.is_monitor.load(Ordering::Relaxed) && is_about_keys(command) {
        return Admission::Refuse(Error::Other("ERR Replica can't interact with the keyspace"));
    }
    if session.queue.is_some() {
        if command.flags.has(Flags::NO_MULTI) {
            return Admission::Refuse(Error::Other("ERR Command not allowed inside a transaction"));
        }
        if !is_immediate(command) {
            return Admission::Queue;
        }
    }
    match command.spec.run {
        Run::Session(run) | Run::SessionOr(run, _) | Run::SessionElse(run, _) => Admission::Session(run),
        Run::Control(control) => Admission::Control(control),
        Run::Container(_) => Admission::Malformed,
        _ => Admission::Data,
    }
}

/// Whether a subscriber may ask for a command in RESP2, where replies and messages cannot be told apart.
#[cold]
fn may_subscriber(command: &Command) -> bool {
    command.flags.has(Flags::PUSHES) || command.flags.has(Flags::WHILE_SUBSCRIBED)
}

/// The commands that requests stand for.
fn indices(requests: &[Request]) -> impl Iterator<Item = u32> {
    requests.iter().filter_map(|request| match request.verdict {
        Verdict::Run(command) => Some(command.index),
        _ => None,
    })
}

/// INFO commandstats: counts a request that may not run.
#[cold]
fn count_rejected(server: &Server, request: &Request) {
    if let Verdict::Run(command) | Verdict::WrongArity(command) = request.verdict {
        server.stats.calls.rejected(command);
    }
}

/// Whether a client may not ask for a command while it monitors, which is what a replica may not either.
#[cold]
fn is_about_keys(command: &Command) -> bool {
    [Flags::READONLY, Flags::WRITE, Flags::MAY_REPLICATE].iter().any(|&flag| command.flags.has(flag))
}

/// Whether the reply is made of pushes, which CLIENT REPLY does not mute.
fn is_push(request: &Request) -> bool {
    matches!(request.verdict, Verdict::Run(command) if command.flags.has(Flags::PUSHES))
}

/// Whether it is a CLIENT REPLY.
fn is_reply(request: &Request) -> bool {
    matches!(request.verdict, Verdict::Run(command) if command.full_name == "client|reply")
}

#[cold]
fn may_debug(server: &Server, session: &Session) -> bool {
    let caller = if session.client.is_local { Caller::Local } else { Caller::Remote };
    server.config.enable_debug_command().allows(caller)
}

/// Whether a command runs at once inside of a transaction, instead of being queued.
fn is_immediate(command: &Command) -> bool {
    matches!(command.spec.run, Run::Control(control) if control != Control::Unwatch)
}

fn run_session(
    run: fn(&mut Session, &Call<'_>, &mut crate::reply::Reply) -> Result<Next, Error>,
    session: &mut Session,
    batch: &mut Batch,
    request: &Request,
    server: &Server,
) -> Next {
    let Batch { input, spans, reply, now, .. } = batch;
    let Verdict::Run(command) = request.verdict else { unreachable!("admitted") };
    let spans = &spans[request.spans()];
    let call = Call {
        input,
        spans,
        command,
        now: *now,
        db: session.db,
        asker: Asker { tracks: false, ..session.client.asker() },
        fieldsets: None,
        server,
    };
    reply.begin(Some(command.index));
    let mark = reply.mark();
    let calls = &server.stats.calls;
    let begun = calls.sample(1).map(|_| Instant::now());
    fault::point("session.before");
    let next = run(session, &call, reply).unwrap_or_else(|error| {
        reply.rewind(mark);
        reply.fail(error);
        Next::Continue
    });
    fault::point("session.after");
    if let Some(begun) = begun {
        calls.took(command, begun.elapsed());
    }
    next
}

/// Runs a long command on its copies.
async fn work(mut aside: Box<Aside>, server: &Arc<Server>) -> Result<Box<Aside>, Gone> {
    let (shared, reporting) = (Arc::clone(server), Arc::clone(server));
    let client = aside.client();
    let worked = tokio::task::spawn_blocking(move || {
        let worked = fault::contain(move || {
            aside.work(&shared);
            aside
        });
        worked.map_err(|panicked| panicked.report(&reporting, client)).ok()
    });
    worked.await.ok().flatten().ok_or(Gone)
}

/// Whether request `index` is a blocking command that may wait.
fn may_wait(batch: &Batch, index: usize) -> bool {
    let request = &batch.requests[index];
    let Verdict::Run(command) = request.verdict else { return false };
    let arguments = Arguments { input: &batch.input, spans: &batch.spans[request.spans()] };
    matches!(command.spec.run, Run::Block(block) if block.may_wait(arguments))
}

fn is_long(request: &Request) -> bool {
    matches!(request.verdict, Verdict::Run(command) if matches!(command.spec.run, Run::Long(_)))
}

/// An error while queueing makes EXEC refuse.
fn break_queue(session: &mut Session) {
    if let Some(queue) = &mut session.queue {
        queue.is_broken = true;
    }
}

fn is_exec(request: &Request) -> bool {
    matches!(request.verdict, Verdict::Run(it) if matches!(it.spec.run, Run::Control(Control::Exec)))
}

/// What an EXEC is answered that may not run.
#[cold]
fn aborted(error: Error) -> Vec<u8> {
    let mut text = Vec::new();
    error.write(&mut text);
    let text = text.strip_prefix(b"ERR ").unwrap_or(&text);
    [b"EXECABORT Transaction discarded because of: ", text].concat()
}

/// Whether it is an EXEC with arguments, which ends the transaction instead of only breaking it.
fn is_malformed_exec(request: &Request) -> bool {
    matches!(request.verdict, Verdict::WrongArity(it) if matches!(it.spec.run, Run::Control(Control::Exec)))
}

/// Of what HIMPORT PREPARE has named there may be very much.
fn free_fieldsets(session: &mut Session, server: &Server) {
    if let Some(sets) = session.fieldsets.take() {
        server.env.reaper.free(*sets);
    }
}

fn end_transaction(session: &mut Session) {
    session.queue = None;
    session.watching = Watching::default();
    session.client.queued.store(u32::MAX, Ordering::Relaxed);
    session.client.watched.store(0, Ordering::Relaxed);
}
