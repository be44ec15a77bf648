//! Batches between uses: an idle connection holds none.

use std::cell::RefCell;

use crate::parser::Batch;

/// Batches that a thread keeps for its next requests. More are only needed while the channel engine has them.
const KEPT: usize = 16;

thread_local! {
    // Boxed, because batches travel through engines by pointer.
    #[allow(clippy::vec_box)]
    static POOL: RefCell<Vec<Box<Batch>>> = const { RefCell::new(Vec::new()) };
}

/// An empty batch.
pub fn take() -> Box<Batch> {
    POOL.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Gives a batch back.
pub fn put(mut batch: Box<Batch>) {
    batch.clear();
    put_clear(batch);
}

/// Gives a batch back that is as it was taken, or has been cleared.
pub fn put_clear(batch: Box<Batch>) {
    debug_assert!(batch.input.is_empty() && batch.spans.is_empty() && batch.requests.is_empty());
    debug_assert!(batch.keys.is_empty() && batch.reply.is_empty() && batch.fieldsets.is_none() && !batch.lacks_room);
    POOL.with_borrow_mut(|pool| {
        if pool.len() < KEPT {
            pool.push(batch);
        }
    });
}
