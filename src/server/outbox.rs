//! The outbox of a connection: what others push to it, until its own task sends it.
//!
//! A message is encoded once and shared by all who get it. Whoever pushes never waits: it appends, and wakes the
//! connection's task if nothing was waiting yet. What a peer does not read is bounded by its output limit, at which
//! the outbox closes for good and the connection ends.

use std::collections::VecDeque;
use std::time::Instant;

use crate::config::Limit;
use crate::reply::{Reply, Resp, write_head};
use crate::store::SharedBytes;
use crate::sync::{AtomicBool, Mutex, Ordering};

/// A message, encoded.
#[derive(Clone, Debug)]
pub enum Message {
    /// Without its first byte: a push in RESP3, an array in RESP2, where only subscribers get it.
    Push(SharedBytes),
    /// The same for everybody.
    Line(SharedBytes),
}

impl Message {
    /// A message of bulk strings.
    pub fn push(parts: &[&[u8]]) -> Self {
        /// Room for the head of a bulk string and the line break behind it.
        const HEAD: usize = 16;
        let mut bytes = Vec::with_capacity(HEAD + parts.iter().map(|part| part.len() + HEAD).sum::<usize>());
        bytes.extend_from_slice(itoa::Buffer::new().format(parts.len()).as_bytes());
        bytes.extend_from_slice(b"\r\n");
        for part in parts {
            write_head(&mut bytes, b'$', part.len() as i64);
            bytes.extend_from_slice(part);
            bytes.extend_from_slice(b"\r\n");
        }
        Self::Push(SharedBytes::new(bytes))
    }

    /// Appends it to what is sent to a client.
    pub fn write(&self, is_subscriber: bool, reply: &mut Reply) {
        match (self, reply.resp()) {
            (Self::Push(bytes), Resp::V3) => reply.raw(b">", bytes),
            (Self::Push(bytes), Resp::V2) if is_subscriber => reply.raw(b"*", bytes),
            // It would be taken for the answer to a request.
            (Self::Push(_), Resp::V2) => {}
            (Self::Line(bytes), _) => reply.raw(b"", bytes),
        }
    }

    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        match self {
            Self::Push(bytes) => bytes.len() + 1,
            Self::Line(bytes) => bytes.len(),
        }
    }
}

/// What happened to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// Others wait already, so that the connection's task knows.
    Behind,
    /// The connection's task is to be woken.
    First,
    /// It was one too many: the outbox is closed now, and the connection is to end.
    TooMuch,
    /// The connection has ended.
    Closed,
}

/// Messages that wait for a connection's task.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: Mutex<Queue>,
    /// Whether messages wait. Written under the lock, so that it is looked at without.
    has_news: AtomicBool,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Message>,
    /// Bytes of messages that have not been sent, those that were taken included.
    bytes: usize,
    /// Of them, those of the messages above.
    untaken: usize,
    /// Since when there are more of them than the soft limit allows.
    over_since: Option<Instant>,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// The peer did not read.
    Over,
    Closed,
}

/// Messages that the connection's task has taken.
#[derive(Debug, Default)]
pub struct News {
    pub messages: VecDeque<Message>,
    bytes: usize,
}

/// What waits, as CLIENT LIST shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    pub messages: usize,
    pub bytes: usize,
}

impl Outbox {
    /// Messages that an empty queue keeps room for.
    const KEEP: usize = 64;

    /// Appends a message. It never waits for the peer.
    pub fn push(&self, message: Message, limit: Limit) -> Pushed {
        let mut queue = self.queue();
        if queue.state != State::Open && !crate::sync::planted("outbox-stays-open") {
            return Pushed::Closed;
        }
        queue.bytes += message.len();
        queue.untaken += message.len();
        queue.messages.push_back(message);
        if queue.is_too_much(limit) {
            // Its own task frees the messages, since there may be many.
            queue.state = State::Over;
            self.has_news.store(false, Ordering::Relaxed);
            return Pushed::TooMuch;
        }
        // Release: who sees it finds what the message tells of as well.
        let is_first = !self.has_news.load(Ordering::Relaxed);
        self.has_news.store(true, Ordering::Release);
        crate::fault::point("outbox.push");
        if is_first { Pushed::First } else { Pushed::Behind }
    }

    /// Whether there is something to take.
    #[inline]
    pub fn has_news(&self) -> bool {
        self.has_news.load(Ordering::Acquire)
    }

    /// Takes all that waits, in order.
    pub fn take(&self) -> News {
        let mut queue = self.queue();
        let messages = std::mem::take(&mut queue.messages);
        let bytes = std::mem::take(&mut queue.untaken);
        if crate::sync::planted("outbox-news-forgotten") {
            drop(queue);
        }
        self.has_news.store(false, Ordering::Relaxed);
        News { messages, bytes }
    }

    /// Gives back what was taken, after it was sent.
    pub fn sent(&self, mut news: News) {
        news.messages.clear();
        let mut queue = self.queue();
        queue.bytes = queue.bytes.saturating_sub(news.bytes);
        if queue.messages.capacity() == 0 && news.messages.capacity() <= Self::KEEP && queue.state == State::Open {
            queue.messages = news.messages;
        }
    }

    /// Takes no more messages, and drops those that wait.
    pub fn close(&self) {
        let mut queue = self.queue();
        if queue.state == State::Open {
            queue.state = State::Closed;
        }
        self.has_news.store(false, Ordering::Relaxed);
        (queue.bytes, queue.untaken) = (0, 0);
        let messages = std::mem::take(&mut queue.messages);
        drop(queue);
        drop(messages);
    }

    /// Whether it takes no more messages.
    pub fn is_closed(&self) -> bool {
        self.queue().state != State::Open
    }

    /// Whether it was closed because the peer did not read.
    pub fn is_over(&self) -> bool {
        self.queue().state == State::Over
    }

    pub fn waiting(&self) -> Waiting {
        let queue = self.queue();
        Waiting { messages: queue.messages.len(), bytes: queue.bytes }
    }

    fn queue(&self) -> crate::sync::MutexGuard<'_, Queue> {
        crate::sync::lock(&self.queue)
    }
}

impl Queue {
    fn is_too_much(&mut self, limit: Limit) -> bool {
        let bytes = self.bytes as u64;
        if limit.hard_bytes > 0 && bytes > limit.hard_bytes {
            return true;
        }
        if limit.soft_bytes == 0 || bytes <= limit.soft_bytes {
            self.over_since = None;
            return false;
        }
        let since = *self.over_since.get_or_insert_with(Instant::now);
        since.elapsed().as_secs() > limit.soft_seconds
    }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    const NONE: Limit = Limit { hard_bytes: 0, soft_bytes: 0, soft_seconds: 0 };

    fn text(outbox: &Outbox, resp: Resp, is_subscriber: bool) -> String {
        let mut reply = Reply::default();
        reply.set_resp(resp);
        let news = outbox.take();
        news.messages.iter().for_each(|message| message.write(is_subscriber, &mut reply));
        outbox.sent(news);
        String::from_utf8(reply.parts().collect::<Vec<_>>().concat()).expect("text")
    }

    #[test]
    fn the_first_message_wakes_and_the_others_follow_it() {
        let outbox = Outbox::default();
        assert!(!outbox.has_news());
        assert_eq!(outbox.push(Message::push(&[b"message", b"c", b"1"]), NONE), Pushed::First);
        assert_eq!(outbox.push(Message::push(&[b"x"]), NONE), Pushed::Behind);
        assert!(outbox.has_news());
        assert_eq!(text(&outbox, Resp::V3, false), ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n1\r\n>1\r\n$1\r\nx\r\n");
        assert_eq!(outbox.waiting(), Waiting::default());
        assert_eq!(outbox.push(Message::push(&[b"x"]), NONE), Pushed::First);
        assert_eq!(text(&outbox, Resp::V2, true), "*1\r\n$1\r\nx\r\n");
    }

    #[test]
    fn in_resp2_only_subscribers_get_pushes() {
        let outbox = Outbox::default();
        outbox.push(Message::push(&[b"x"]), NONE);
        outbox.push(Message::Line(SharedBytes::new(b"+line\r\n".to_vec())), NONE);
        assert_eq!(text(&outbox, Resp::V2, false), "+line\r\n");
    }

    #[test]
    fn what_is_not_sent_counts_until_it_is_too_much() {
        let outbox = Outbox::default();
        let message = Message::push(&[&[b'x'; 100]]);
        let limit = Limit { hard_bytes: 3 * message.len() as u64, ..NONE };
        for _ in 0..2 {
            outbox.push(message.clone(), limit);
        }
        let news = outbox.take();
        assert_eq!(outbox.push(message.clone(), limit), Pushed::First);
        assert_eq!(outbox.waiting(), Waiting { messages: 1, bytes: 3 * message.len() });
        outbox.sent(news);
        outbox.push(message.clone(), limit);
        outbox.push(message.clone(), limit);
        assert!(!outbox.is_over());
        assert_eq!(outbox.push(message.clone(), limit), Pushed::TooMuch);
        assert!(outbox.is_over() && !outbox.has_news());
        assert_eq!(outbox.push(message.clone(), limit), Pushed::Closed);
        assert_eq!(outbox.waiting().bytes, 4 * message.len());
        outbox.close();
        assert!(outbox.is_over());
        assert_eq!(outbox.waiting(), Waiting::default());
    }

    #[test]
    fn the_soft_limit_gives_time() {
        let outbox = Outbox::default();
        let message = Message::push(&[&[b'x'; 100]]);
        let limit = |soft_seconds| Limit { hard_bytes: 0, soft_bytes: 150, soft_seconds };
        for _ in 0..100 {
            assert_ne!(outbox.push(message.clone(), limit(60)), Pushed::TooMuch);
        }
        let long_ago =
            Instant::now().checked_sub(std::time::Duration::from_secs(62)).expect("the machine is up longer");
        outbox.queue().over_since = Some(long_ago);
        assert_eq!(outbox.push(message, limit(60)), Pushed::TooMuch);
    }

    #[test]
    fn a_closed_outbox_takes_nothing() {
        let outbox = Outbox::default();
        outbox.push(Message::push(&[b"x"]), NONE);
        outbox.close();
        assert!(!outbox.has_news() && !outbox.is_over());
        assert_eq!(outbox.push(Message::push(&[b"x"]), NONE), Pushed::Closed);
    }
}
