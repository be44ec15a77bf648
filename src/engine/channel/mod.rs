//! The channel engine: one task owns the store, connections send it their batches.
//!
//! The queue is bounded: when it is full, connections wait. One message carries a whole batch, so that the
//! comparison with the sharded engine measures the architecture and not a wasteful channel. Replies are in
//! order because a connection waits for each batch before it sends the next.

mod owner;

use std::ops::Range;

use super::aside::Aside;
use super::evict::Room;
use super::{Engine, Gone, Transaction, Watching};
use crate::engine::wait::Waiter;
use crate::parser::Batch;
use crate::server::Server;
use crate::server::clients::Client;
use crate::server::home::Home;
use crate::sync::{Arc, oneshot, queue};

/// A message to the owner. The owner answers by sending back what it was given.
enum Message {
    Execute {
        batch: Box<Batch>,
        range: Range<usize>,
        db: u16,
        answer: oneshot::Sender<(Box<Batch>, usize)>,
    },
    Transact {
        transaction: Box<Transaction>,
        answer: oneshot::Sender<Box<Transaction>>,
    },
    Watch {
        batch: Box<Batch>,
        index: usize,
        db: u16,
        watching: Watching,
        answer: oneshot::Sender<(Box<Batch>, Watching)>,
    },
    Block {
        batch: Box<Batch>,
        index: usize,
        db: u16,
        client: Arc<Client>,
        answer: oneshot::Sender<(Box<Batch>, Option<Arc<Waiter>>)>,
    },
    Advance {
        aside: Box<Aside>,
        answer: oneshot::Sender<Box<Aside>>,
    },
    MakeRoom {
        answer: oneshot::Sender<Room>,
    },
    /// No answer.
    Forget(Arc<Waiter>),
}

/// The engine.
pub struct Channel {
    sender: queue::Sender<Message>,
}

impl Channel {
    /// Starts the owner where tasks are wanted. It ends when the engine is dropped.
    pub fn new(server: Arc<Server>, home: Arc<Home>) -> Self {
        let (sender, receiver) = queue::channel(server.config.cbound());
        owner::Owner::new(server).settle(receiver, home);
        Self { sender }
    }

    /// The engine, and its owner for whoever wants to run it himself: for models.
    ///
    /// * `is_left`: whether the owner is wanted elsewhere. It goes on at once, as if it were there.
    pub fn with_owner(server: Arc<Server>, is_left: impl Fn() -> bool) -> (Self, impl Future<Output = ()>) {
        let (sender, receiver) = queue::channel(server.config.cbound());
        (Self { sender }, owner::Owner::new(server).run_everywhere(receiver, is_left))
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T, Gone> {
        let (answer, answered) = oneshot::channel();
        self.sender.send(message(answer)).await.map_err(|_| Gone)?;
        answered.await.map_err(|_| Gone)
    }
}

impl Message {
    /// Who sent it; 0 where it does not say.
    fn client(&self) -> u64 {
        match self {
            Self::Execute { batch, .. } | Self::Watch { batch, .. } => batch.asker.client,
            Self::Transact { transaction, .. } => transaction.session.client.id,
            Self::Block { client, .. } => client.id,
            Self::Advance { aside, .. } => aside.client(),
            Self::MakeRoom { .. } | Self::Forget(_) => 0,
        }
    }
}

impl Engine for Channel {
    async fn execute(&self, batch: Box<Batch>, range: Range<usize>, db: u16) -> Result<(Box<Batch>, usize), Gone> {
        self.ask(|answer| Message::Execute { batch, range, db, answer }).await
    }

    async fn transact(&self, transaction: Box<Transaction>) -> Result<Box<Transaction>, Gone> {
        self.ask(|answer| Message::Transact { transaction, answer }).await
    }

    async fn watch(
        &self,
        batch: Box<Batch>,
        index: usize,
        db: u16,
        watching: Watching,
    ) -> Result<(Box<Batch>, Watching), Gone> {
        self.ask(|answer| Message::Watch { batch, index, db, watching, answer }).await
    }

    async fn block(
        &self,
        batch: Box<Batch>,
        index: usize,
        db: u16,
        client: Arc<Client>,
    ) -> Result<(Box<Batch>, Option<Arc<Waiter>>), Gone> {
        self.ask(|answer| Message::Block { batch, index, db, client, answer }).await
    }

    async fn advance(&self, aside: Box<Aside>) -> Result<Box<Aside>, Gone> {
        self.ask(|answer| Message::Advance { aside, answer }).await
    }

    async fn forget(&self, waiter: Arc<Waiter>) {
        // Without its owner the store is gone, and the lines with it.
        let _ = self.sender.send(Message::Forget(waiter)).await;
    }

    async fn make_room(&self) -> Result<Room, Gone> {
        self.ask(|answer| Message::MakeRoom { answer }).await
    }

    async fn mend(&self) {
        // The owner does it when it is its own panic; connections hold nothing.
    }

    fn name(&self) -> &'static str {
        "channel"
    }
}
