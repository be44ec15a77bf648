//! What the answers ought to be: one plain sequential model a type, and one of a few keys together.

mod hash;
mod list;
mod set;
mod space;
mod text;
mod zset;

use std::fmt::Debug;

use smallvec::{SmallVec, smallvec};

use crate::reply::Reply;

pub use space::{Command, Exec, KEYS, Op, Space, Store, Value};

pub use hash::{Hash, Op as HashOp};
pub use list::{End, List, Op as ListOp};
pub use set::{Op as SetOp, Set};
pub use text::{Op as TextOp, Text};
pub use zset::{Op as ZsetOp, Zset};

/// What may come of an operation: the object afterwards, and the reply. Nearly always one.
pub type Outcomes<M> = SmallVec<[(M, Reply); 1]>;

/// A request's words.
pub type Words = Vec<String>;

/// An object that does one operation after the other. Its default is what there is before the first.
pub trait Model: Clone + Debug + Default + Eq + std::hash::Hash {
    type Op: Clone + Debug;

    /// Does the operation; one of the outcomes if there are several.
    fn apply(&mut self, op: &Self::Op) -> Reply;

    /// Everything that may come of the operation.
    fn outcomes(&self, op: &Self::Op) -> Outcomes<Self> {
        let mut next = self.clone();
        let reply = next.apply(op);
        smallvec![(next, reply)]
    }

    /// Whether the operation, answered so, leaves every object as it was; without a reply, however it is answered.
    /// Errors need not be told.
    fn is_read(op: &Self::Op, reply: Option<&Reply>) -> bool;

    /// Whether a key with this value is gone.
    fn is_empty(&self) -> bool;
}

fn words<const N: usize>(words: [&str; N]) -> Words {
    words.map(String::from).into()
}
