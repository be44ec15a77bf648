//! One connection: reads what there is, runs it as a batch, and answers with one write.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::task::Poll;
use std::time::{Duration, Instant};

use super::pool;
use super::runtime::Place;
use super::stream::{Socket, Stream, is_for_later};
use crate::config::Class;
use crate::engine::{Engine, FLUSH};
use crate::executor::{Executor, Outcome};
use crate::fault::{self, Panicked};
use crate::lexer::{INPUT_MAX, Lexer, Limits, Protocol, Span};
use crate::parser::Batch;
use crate::reply::Reply;
use crate::server::block::{End, Wait};
use crate::server::clients::Client;
use crate::server::outbox::Message;
use crate::server::stripe::add_alone;
use crate::server::{Count, Server, now};
use crate::session::{Replies, Session};
use crate::sync::{Arc, Ordering};

/// Room for one read. Pipelines of 64 requests of 100 bytes are 6 KiB; bulk loaders fill whatever there is.
const READ: usize = 32 * 1024;

/// Bytes of room for replies that a connection keeps from one batch to the next.
const KEPT: usize = 64 * 1024;

/// The unfinished request of a connection between two reads. Smaller than this, it is kept in a buffer of its size,
/// so that many clients in the middle of a request cost little.
const SMALL: usize = 4096;

#[derive(Default)]
struct Leftover {
    input: Vec<u8>,
    spans: Vec<Span>,
}

impl Leftover {
    fn has_room(&self) -> bool {
        self.input.capacity() + self.spans.capacity() > 0
    }
}

/// Takes the client off the registry whatever ends the connection.
struct Registration {
    server: Arc<Server>,
    client: Arc<Client>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        // What is pushed from now on finds nobody.
        self.client.outbox.close();
        self.server.forget(&self.client);
        self.server.clients.remove(self.client.id);
    }
}

/// Why a connection is not served any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It has ended.
    Over,
    /// It is wanted on other threads, and goes on there.
    Left,
}

/// A connection, without its socket.
pub struct Connection<E> {
    registration: Registration,
    executor: Executor<E>,
    server: Arc<Server>,
    lexer: Lexer,
    leftover: Leftover,
}

impl<E: Engine> Connection<E> {
    /// * `client`: registered; taken off the registry when the connection is dropped.
    pub fn new(server: Arc<Server>, engine: Arc<E>, client: Arc<Client>) -> Self {
        let session = Session::new(Arc::clone(&client), server.config.requirepass().is_empty());
        let executor = Executor::new(Arc::clone(&server), engine, session);
        let registration = Registration { server: Arc::clone(&server), client };
        Self { registration, executor, server, lexer: Lexer::default(), leftover: Leftover::default() }
    }

    /// Ends what a panic has broken off: reports it, and has the engine see to whatever it left behind.
    pub async fn break_off(&mut self, panicked: Panicked) {
        panicked.report(&self.server, self.registration.client.id);
        self.executor.break_off().await;
    }

    /// Serves the connection until it ends or is wanted elsewhere.
    pub async fn serve<S: Stream>(&mut self, socket: &mut Socket<S>, place: &Place) -> Ended {
        let client = Arc::clone(&self.registration.client);
        let ended = self.run(socket, &client, place).await;
        if client.outbox.is_over() {
            self.over_output_limit(client.outbox.waiting().bytes);
            return Ended::Over;
        }
        ended.unwrap_or_else(|error| {
            tracing::debug!(client = client.id, %error, "connection ended");
            Ended::Over
        })
    }

    async fn run<S: Stream>(&mut self, socket: &mut Socket<S>, client: &Client, place: &Place) -> io::Result<Ended> {
        let mut spare = None;
        while let Some(mut batch) = self.read(socket, client, spare).await? {
            fault::point("connection.read");
            // What was pushed before these requests came is sent before their replies.
            if client.outbox.has_news() {
                self.send(socket, &mut batch.reply).await?;
            }
            batch.now = now();
            batch.reply.set_limit(match self.server.config.output_limit(Class::Normal).hard_bytes {
                0 => usize::MAX,
                bytes => bytes as usize,
            });
            client.last_active.store(batch.now, Ordering::Relaxed);
            loop {
                // A client that has not logged in is read request by request: AUTH lifts the limits of what follows.
                let is_authenticated = !self.executor.session().must_log_in(&self.server);
                let lexed = self.lex(&mut batch, is_authenticated);
                let (returned, outcome, has_waited) = self.execute(socket, batch).await?;
                batch = returned;
                if outcome == Outcome::Drop {
                    return Ok(Ended::Over);
                }
                // What follows a QUIT is not looked at, and a muted client hears nothing.
                if let Err(error) = lexed
                    && outcome == Outcome::Done
                {
                    if self.executor.session().replies == Replies::On {
                        let mut text = Vec::new();
                        error.write(&mut text);
                        batch.reply.error(text);
                    }
                    tracing::debug!(client = client.id, ?error, "protocol error");
                }
                let is_over = lexed.is_err() || outcome == Outcome::Close || client.is_killed();
                if is_over || !has_waited && (is_authenticated || !matches!(lexed, Ok(true))) {
                    if let Some(sent) = self.send_now(socket, &mut batch.reply)? {
                        self.send_rest(sent, socket, &mut batch.reply).await?;
                    }
                    if is_over {
                        return Ok(Ended::Over);
                    }
                    break;
                }
                batch.requests.clear();
                batch.keys.clear();
            }
            self.keep_leftover(&mut batch)?;
            batch.clear();
            if place.is_left() {
                pool::put_clear(batch);
                return Ok(Ended::Left);
            }
            spare = Some(batch);
        }
        Ok(Ended::Over)
    }

    /// Reads what there is; `None` when the connection is to end. Nothing new when the configured timeout changed.
    ///
    /// * `spare`: an empty batch for the first attempt. Who waits has none.
    async fn read<S: Stream>(
        &mut self,
        socket: &mut Socket<S>,
        client: &Client,
        mut spare: Option<Box<Batch>>,
    ) -> io::Result<Option<Box<Batch>>> {
        let timeout = self.server.config.timeout();
        // Whoever listens may be silent.
        let is_listening = client.is_subscriber() || client.is_monitor.load(Ordering::Relaxed);
        let idle_seconds = if is_listening { 0 } else { timeout };
        let mut has_let_others_pass = false;
        let reading = poll_fn(|cx| {
            if client.is_killed() || self.server.is_stopping() {
                return Poll::Ready(Ok(None));
            }
            let mut batch = spare.take().unwrap_or_else(pool::take);
            if self.leftover.input.is_empty() {
                batch.input.reserve(READ);
            } else {
                std::mem::swap(&mut batch.input, &mut self.leftover.input);
                std::mem::swap(&mut batch.spans, &mut self.leftover.spans);
                // Twice what has been received at most, however much was announced.
                let missing = self.lexer.wanted().saturating_sub(batch.input.len());
                batch.input.reserve(missing.clamp(READ, batch.input.len().max(READ)));
            }
            let before = batch.input.len();
            match socket.poll_read(&mut batch.input, cx) {
                Poll::Pending => {
                    // Whoever has news for this client wakes the task; look once more in case it just did.
                    let has_news = client.poll_news(cx).is_ready();
                    if has_news && has_let_others_pass || self.server.config.timeout() != timeout {
                        // Nothing new, so that the news is sent, or this waits again, with the new time.
                        return Poll::Ready(Ok(Some(batch)));
                    }
                    if has_news {
                        // Whoever is ready now may have more, and one write is enough for all of it.
                        has_let_others_pass = true;
                        cx.waker().wake_by_ref();
                    }
                    if before > 0 {
                        // Give back the room that was reserved: many clients may wait here.
                        batch.input.shrink_to(if before < SMALL { before } else { before * 2 });
                        std::mem::swap(&mut batch.input, &mut self.leftover.input);
                        std::mem::swap(&mut batch.spans, &mut self.leftover.spans);
                    }
                    pool::put_clear(batch);
                    if client.is_killed() || self.server.is_stopping() { Poll::Ready(Ok(None)) } else { Poll::Pending }
                }
                Poll::Ready(Ok(0)) => Poll::Ready(Ok(None)),
                Poll::Ready(Ok(read)) => {
                    add_alone(&client.input_bytes, read as u64);
                    self.server.stats.add(Count::input_bytes, read as u64);
                    Poll::Ready(Ok(Some(batch)))
                }
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            }
        });
        match idle_seconds {
            0 => reading.await,
            seconds => match tokio::time::timeout(Duration::from_secs(u64::from(seconds)), reading).await {
                Ok(result) => result,
                Err(_) => {
                    tracing::debug!(client = client.id, "closing an idle client");
                    Ok(None)
                }
            },
        }
    }

    /// Finds the batch's requests: all complete ones, or one for a client that has not logged in. `true`: found one.
    fn lex(&mut self, batch: &mut Batch, is_authenticated: bool) -> Result<bool, Protocol> {
        let limits = if is_authenticated {
            Limits::trusted(self.server.config.proto_max_bulk_len())
        } else {
            Limits::unauthenticated()
        };
        loop {
            fault::point("lexer");
            match self.lexer.next(&mut batch.input, &mut batch.spans, &limits)? {
                None => return Ok(!batch.requests.is_empty()),
                Some(spans) => batch.push(spans, &self.server.env.hasher),
            }
            if !is_authenticated || self.lexer.is_at_end(&batch.input) {
                return Ok(true);
            }
        }
    }

    /// Runs the batch's requests, sending replies in between when they grow large. Tells as well whether one of them
    /// waited, so that more may have been read meanwhile.
    async fn execute<S: Stream>(
        &mut self,
        socket: &mut Socket<S>,
        mut batch: Box<Batch>,
    ) -> io::Result<(Box<Batch>, Outcome, bool)> {
        let Some(last) = batch.requests.last() else { return Ok((batch, Outcome::Done, false)) };
        let client = &self.executor.session().client;
        if let crate::parser::Verdict::Run(command) = last.verdict {
            client.last_command.store(command.index, Ordering::Relaxed);
        }
        add_alone(&client.commands, batch.requests.len() as u64);
        self.server.stats.add(Count::commands, batch.requests.len() as u64);
        let mut at = 0;
        let mut has_waited = false;
        self.executor.run_now(&mut batch, &mut at);
        if at == batch.requests.len() {
            return Ok((batch, Outcome::Done, false));
        }
        loop {
            let (returned, outcome) = self.executor.run(batch, &mut at).await.map_err(|_| io::ErrorKind::BrokenPipe)?;
            batch = returned;
            if outcome == Outcome::Wait {
                has_waited = true;
                // Boxed, since few connections ever wait.
                let goes_on;
                (batch, goes_on) = Box::pin(self.wait(socket, batch, &mut at)).await?;
                if !goes_on {
                    return Ok((batch, Outcome::Drop, has_waited));
                }
                continue;
            }
            if outcome != Outcome::Flush {
                return Ok((batch, outcome, has_waited));
            }
            self.send(socket, &mut batch.reply).await?;
            // Others have their turn, however fast this peer takes its replies.
            tokio::task::yield_now().await;
            if self.executor.session().client.is_killed() {
                return Ok((batch, Outcome::Drop, has_waited));
            }
            // All that may have taken long, and times to live count from now.
            batch.now = now();
        }
    }

    /// Waits for what a blocking command waits for; false when the connection is to end. Whatever it is, the wait is
    /// over then, and others do not find it.
    async fn wait<S: Stream>(
        &mut self,
        socket: &mut Socket<S>,
        mut batch: Box<Batch>,
        at: &mut usize,
    ) -> io::Result<(Box<Batch>, bool)> {
        let result = match self.send(socket, &mut batch.reply).await {
            Ok(()) => {
                batch = self.compact(batch, at);
                self.wait_and_tell(socket, &mut batch).await
            }
            Err(error) => Err(error),
        };
        let goes_on = self.executor.resume(&mut batch).await;
        result.map(|()| (batch, goes_on))
    }

    /// Keeps of a batch what is needed while its client waits: many may.
    fn compact(&mut self, mut batch: Box<Batch>, at: &mut usize) -> Box<Batch> {
        if *at < batch.requests.len() {
            batch.input.shrink_to_fit();
            return batch;
        }
        *at = 0;
        let consumed = self.lexer.keep_from(&batch.spans);
        self.lexer.rebase(consumed, &mut batch.spans);
        let mut small = Box::<Batch>::default();
        small.input = batch.input[consumed..].to_vec();
        small.spans = batch.spans.clone();
        small.reply = batch.reply.part();
        pool::put(batch);
        small
    }

    /// Waits until the wait is over, or is to be. What others push to the client meanwhile is sent.
    async fn wait_and_tell<S: Stream>(&mut self, socket: &mut Socket<S>, batch: &mut Batch) -> io::Result<()> {
        while self.executor.waiter().is_some_and(|waiter| !waiter.is_over()) {
            self.wait_for_reply(socket, batch).await?;
            self.send(socket, &mut batch.reply).await?;
        }
        Ok(())
    }

    /// Returns when something was pushed to the client, or the wait is over, or is to be: because its time has come, or
    /// the connection's end. What the client sends meanwhile is added to the batch's input.
    async fn wait_for_reply<S: Stream>(&mut self, socket: &mut Socket<S>, batch: &mut Batch) -> io::Result<()> {
        let client = Arc::clone(&self.executor.session().client);
        let Some(waiter) = self.executor.waiter().map(Arc::clone) else { return Ok(()) };
        let limit = self.server.config.client_query_buffer_limit().min(INPUT_MAX) as usize;
        fault::point("connection.waiting");
        let mut has_hung_up = false;
        // Without a deadline there is no timer.
        let mut timer = waiter.deadline.map(|deadline| Box::pin(tokio::time::sleep_until(next_alarm(deadline))));
        poll_fn(|cx| {
            // Registered before looking, so that nothing in between is missed.
            let has_news = client.poll_news(cx).is_ready();
            if client.is_killed() || self.server.is_stopping() {
                waiter.end(End::Gone);
            }
            while let (Some(sleep), Some(deadline)) = (&mut timer, waiter.deadline) {
                if sleep.as_mut().poll(cx).is_pending() {
                    break;
                }
                if Instant::now() < deadline {
                    sleep.as_mut().reset(next_alarm(deadline));
                    continue;
                }
                waiter.end(End::TimedOut);
                timer = None;
            }
            while !waiter.is_over() {
                if has_hung_up {
                    // Somebody has claimed the wait, and wakes this in a moment. Who has only ended his side still
                    // reads.
                    return Poll::Pending;
                }
                let mut fresh = pool::take();
                fresh.input.reserve(READ);
                match socket.poll_read(&mut fresh.input, cx) {
                    Poll::Pending => {
                        pool::put(fresh);
                        return if has_news { Poll::Ready(Ok(())) } else { Poll::Pending };
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Ready(Ok(0)) => {
                        waiter.end(End::Gone);
                        has_hung_up = true;
                    }
                    Poll::Ready(Ok(read)) => {
                        batch.input.extend_from_slice(&fresh.input);
                        pool::put(fresh);
                        add_alone(&client.input_bytes, read as u64);
                        client.query_bytes.store(batch.input.len() as u64, Ordering::Relaxed);
                        self.server.stats.add(Count::input_bytes, read as u64);
                        if batch.input.len() > limit {
                            return Poll::Ready(Err(self.over_query_limit(batch.input.len())));
                        }
                    }
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Sends the replies, and behind them what others have pushed.
    async fn send<S: Stream>(&mut self, socket: &Socket<S>, reply: &mut Reply) -> io::Result<()> {
        match self.send_now(socket, reply)? {
            None => Ok(()),
            Some(sent) => self.send_rest(sent, socket, reply).await,
        }
    }

    /// Sends the replies, if nothing was pushed. Where something was or the peer is slow, how many bytes have been
    /// sent: [`Connection::send_rest`] goes on.
    #[inline]
    fn send_now<S: Stream>(&self, socket: &Socket<S>, reply: &mut Reply) -> io::Result<Option<usize>> {
        fault::point("connection.send");
        let len = reply.len();
        if reply.is_over() {
            return Err(self.over_output_limit(len));
        }
        if self.executor.session().client.outbox.has_news() {
            return Ok(Some(0));
        }
        let sent = match self.write(0, socket, reply) {
            Err(error) if is_for_later(&error) => 0,
            sent => sent?,
        };
        if sent < len {
            return Ok(Some(sent));
        }
        reply.clear(KEPT);
        Ok(None)
    }

    /// Sends the replies from byte `sent` on, and behind them what others have pushed.
    async fn send_rest<S: Stream>(&mut self, sent: usize, socket: &Socket<S>, reply: &mut Reply) -> io::Result<()> {
        let session = self.executor.session();
        if sent > 0 || !session.client.outbox.has_news() {
            return self.write_all(sent, socket, reply).await;
        }
        reply.set_resp(session.resp);
        let mut news = session.client.outbox.take();
        fault::point("outbox.taken");
        while let Some(message) = news.messages.pop_front() {
            // CLIENT REPLY OFF is about what MONITOR shows as well.
            if session.replies == Replies::Off && matches!(message, Message::Line(_)) {
                continue;
            }
            message.write(session.client.is_subscriber(), reply);
            if reply.len() >= FLUSH {
                self.write_all(0, socket, reply).await?;
                tokio::task::yield_now().await;
            }
        }
        self.write_all(0, socket, reply).await?;
        session.client.outbox.sent(news);
        Ok(())
    }

    /// Writes from byte `sent` of the reply on.
    async fn write_all<S: Stream>(&self, mut sent: usize, socket: &Socket<S>, reply: &mut Reply) -> io::Result<()> {
        while sent < reply.len() {
            match self.write(sent, socket, reply) {
                Err(error) if is_for_later(&error) => self.wait_for_peer(socket, reply.len() - sent).await?,
                written => sent += written?,
            }
        }
        reply.clear(KEPT);
        Ok(())
    }

    /// Waits until the peer takes more. One that does not keep up has the soft limit's time for each step forward, as the
    /// system reports them.
    ///
    /// * `waiting`: how many bytes wait for it.
    async fn wait_for_peer<S: Stream>(&self, socket: &Socket<S>, waiting: usize) -> io::Result<()> {
        let client = &self.executor.session().client;
        let ready = poll_fn(|cx| {
            let is_ready = socket.poll_write_ready(cx);
            if is_ready.is_pending() && client.poll_killed(cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            is_ready
        });
        match self.server.config.output_limit(client.class()).soft_seconds {
            0 => ready.await,
            seconds => match tokio::time::timeout(Duration::from_secs(seconds), ready).await {
                Ok(result) => result,
                Err(_) => Err(self.over_output_limit(waiting)),
            },
        }
    }

    /// Writes from byte `sent` of the reply on, as much as the peer takes at once; returns how many bytes that were.
    #[inline]
    fn write<S: Stream>(&self, sent: usize, socket: &Socket<S>, reply: &Reply) -> io::Result<usize> {
        if sent == reply.len() {
            return Ok(0);
        }
        let written = send_from(sent, reply, socket)?;
        add_alone(&self.executor.session().client.output_bytes, written as u64);
        self.server.stats.add(Count::output_bytes, written as u64);
        Ok(written)
    }

    fn over_output_limit(&self, waiting: usize) -> io::Error {
        let client = &self.executor.session().client;
        tracing::warn!(
            client = client.id,
            addr = client.addr,
            waiting,
            "closing a client that does not read its replies"
        );
        self.server.stats.add(Count::output_limit_disconnections, 1);
        io::ErrorKind::TimedOut.into()
    }

    fn over_query_limit(&self, rest: usize) -> io::Error {
        tracing::warn!(
            client = self.executor.session().client.id,
            rest,
            "closing a client whose request exceeds client-query-buffer-limit"
        );
        self.server.stats.add(Count::query_limit_disconnections, 1);
        io::ErrorKind::OutOfMemory.into()
    }

    /// Keeps the unfinished request, if there is one.
    fn keep_leftover(&mut self, batch: &mut Batch) -> io::Result<()> {
        if self.lexer.is_at_end(&batch.input) {
            self.lexer = Lexer::default();
            self.executor.session().client.query_bytes.store(0, Ordering::Relaxed);
            if self.leftover.has_room() {
                self.leftover = Leftover::default();
            }
            return Ok(());
        }
        let consumed = self.lexer.keep_from(&batch.spans);
        self.lexer.rebase(consumed, &mut batch.spans);
        let rest = batch.input.len() - consumed;
        let client = &self.executor.session().client;
        client.query_bytes.store(rest as u64, Ordering::Relaxed);
        if rest as u64 > self.server.config.client_query_buffer_limit().min(INPUT_MAX) {
            return Err(self.over_query_limit(rest));
        }
        if rest < SMALL {
            self.leftover = Leftover { input: batch.input[consumed..].to_vec(), spans: batch.spans.clone() };
        } else {
            batch.input.drain(..consumed);
            self.leftover =
                Leftover { input: std::mem::take(&mut batch.input), spans: std::mem::take(&mut batch.spans) };
        }
        Ok(())
    }
}

/// When to look at a deadline: a day from now at most, since timers do not take every distance.
fn next_alarm(deadline: Instant) -> tokio::time::Instant {
    deadline.min(Instant::now() + Duration::from_secs(86_400)).into()
}

/// Sends from byte `sent` of the reply on; returns how many bytes were taken.
fn send_from<S: Stream>(sent: usize, reply: &Reply, socket: &Socket<S>) -> io::Result<usize> {
    let result = if let Some(bytes) = reply.as_single() {
        socket.try_write(&bytes[sent..])
    } else {
        /// Parts of one vectored write: a batch of large reads alternates small and large ones.
        const PARTS: usize = 64;
        let mut slices: smallvec::SmallVec<[IoSlice<'_>; PARTS]> = smallvec::SmallVec::new();
        let mut skip = sent;
        for part in reply.parts() {
            if skip >= part.len() {
                skip -= part.len();
                continue;
            }
            slices.push(IoSlice::new(&part[skip..]));
            skip = 0;
            if slices.len() == PARTS {
                break;
            }
        }
        socket.try_write_vectored(&slices)
    };
    match result {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        result => result,
    }
}
