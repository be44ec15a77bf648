//! Stand-ins for what the model checkers do not have: each keeps the promise of the real one that Kiba relies on, and is
//! made of the checker's locks, so that its steps are among those that are interleaved.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, VecDeque, hash_map};
use std::future::Future;
use std::hash::BuildHasherDefault;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::{
    Arc, AtomicUsize, Condvar, Mutex, Ordering, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, lock, read,
    write,
};
use crate::store::table::Raw;

/// Unseeded, so that a schedule can be run again.
pub type HashState = BuildHasherDefault<hash_map::DefaultHasher>;

/// Who registers before it looks is woken by who wakes after it changed something.
#[derive(Debug, Default)]
pub struct AtomicWaker(Mutex<Option<Waker>>);

impl AtomicWaker {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn register(&self, waker: &Waker) {
        *lock(&self.0) = Some(waker.clone());
    }

    pub fn wake(&self) {
        let waker = lock(&self.0).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A thread that parks: an `unpark` that comes before counts. (loom's own ends its wait for a lock as well.)
#[derive(Clone, Debug, Default)]
pub struct Thread(Arc<Parking>);

#[derive(Debug, Default)]
struct Parking {
    is_told: Mutex<bool>,
    changed: Condvar,
}

impl Thread {
    pub fn park(&self) {
        let mut is_told = lock(&self.0.is_told);
        while !*is_told {
            is_told = self.0.changed.wait(is_told).unwrap_or_else(PoisonError::into_inner);
        }
        *is_told = false;
    }

    pub fn unpark(&self) {
        *lock(&self.0.is_told) = true;
        self.0.changed.notify_one();
    }
}

/// Whoever asks to be notified, and looks afterwards, hears of every call that comes after he asked.
#[derive(Debug, Default)]
pub struct Notify(Mutex<Calls>);

#[derive(Debug, Default)]
struct Calls {
    count: u64,
    wakers: Vec<Waker>,
}

impl Notify {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn notified(&self) -> Notified<'_> {
        Notified { notify: self, since: lock(&self.0).count }
    }

    pub fn notify_waiters(&self) {
        let wakers = {
            let mut calls = lock(&self.0);
            calls.count += 1;
            std::mem::take(&mut calls.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// Ready when there was a call since it was made.
#[derive(Debug)]
pub struct Notified<'a> {
    notify: &'a Notify,
    since: u64,
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut calls = lock(&self.notify.0);
        if calls.count > self.since {
            return Poll::Ready(());
        }
        calls.wakers.push(cx.waker().clone());
        Poll::Pending
    }
}

/// Which value is current is what the checker sees, with the orderings of the real one's pointer; how a value is kept
/// alive is not part of the model.
pub struct Published<T> {
    /// Number of the current value among `values`, from 1; 0 for none.
    current: AtomicUsize,
    values: std::sync::Mutex<Vec<std::sync::Arc<T>>>,
}

impl<T> Default for Published<T> {
    fn default() -> Self {
        Self { current: AtomicUsize::new(0), values: std::sync::Mutex::default() }
    }
}

impl<T> Published<T> {
    pub fn read<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        let current = self.current.load(Ordering::Acquire);
        let values = self.values.lock().expect("models do not poison");
        let value = std::sync::Arc::clone(values.get(current.checked_sub(1)?)?);
        drop(values);
        Some(f(&value))
    }

    pub fn publish(&self, value: T) {
        let mut values = self.values.lock().expect("models do not poison");
        values.push(std::sync::Arc::new(value));
        let number = values.len();
        drop(values);
        self.current.store(number, Ordering::Release);
    }

    pub fn withdraw(&self) {
        if self.current.load(Ordering::Relaxed) > 0 {
            self.current.store(0, Ordering::Release);
        }
    }
}

pub type ReadGuard<'a> = RwLockReadGuard<'a, Raw>;
pub type WriteGuard<'a> = RwLockWriteGuard<'a, Raw>;

/// Tables behind locks.
pub struct ShardMap(Vec<RwLock<Raw>>);

impl ShardMap {
    pub fn new(shards: usize) -> Self {
        Self((0..shards).map(|_| RwLock::new(Raw::new())).collect())
    }

    pub fn index_of(&self, hash: u64) -> usize {
        // As DashMap: the bits below the seven of the tag.
        (hash << 7 >> (64 - self.0.len().trailing_zeros())) as usize
    }

    pub fn read(&self, shard: usize) -> ReadGuard<'_> {
        read(&self.0[shard])
    }

    pub fn try_read(&self, shard: usize) -> Option<ReadGuard<'_>> {
        self.0[shard].try_read().ok()
    }

    pub fn write(&self, shard: usize) -> WriteGuard<'_> {
        write(&self.0[shard])
    }

    pub fn try_write(&self, shard: usize) -> Option<WriteGuard<'_>> {
        self.0[shard].try_write().ok()
    }
}

/// DashMap's interface, as far as it is used, on one lock instead of many.
#[derive(Debug)]
pub struct Map<K, V>(RwLock<BTreeMap<K, V>>);

impl<K: Ord, V> Default for Map<K, V> {
    fn default() -> Self {
        Self(RwLock::new(BTreeMap::new()))
    }
}

impl<K: Ord + Clone, V> Map<K, V> {
    pub fn insert(&self, key: K, value: V) -> Option<V> {
        write(&self.0).insert(key, value)
    }

    pub fn remove<Q: Ord + ?Sized>(&self, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q>,
    {
        write(&self.0).remove_entry(key)
    }

    pub fn remove_if_mut<Q: Ord + ?Sized>(&self, key: &Q, is_removed: impl FnOnce(&K, &mut V) -> bool)
    where
        K: Borrow<Q>,
    {
        let mut map = write(&self.0);
        let Some(own) = map.get_key_value(key).map(|(own, _)| own.clone()) else { return };
        if map.get_mut(key).is_some_and(|value| is_removed(&own, value)) {
            map.remove(key);
        }
    }

    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<Ref<'_, K, V>>
    where
        K: Borrow<Q>,
    {
        let map = read(&self.0);
        let key = map.get_key_value(key)?.0.clone();
        Some(Ref { map: Rc::new(map), key })
    }

    pub fn entry(&self, key: K) -> Vacancy<'_, K, V> {
        Vacancy { map: write(&self.0), key }
    }

    pub fn iter(&self) -> impl Iterator<Item = Ref<'_, K, V>> {
        let map = Rc::new(read(&self.0));
        let keys: Vec<K> = map.keys().cloned().collect();
        keys.into_iter().map(move |key| Ref { map: Rc::clone(&map), key })
    }

    pub fn len(&self) -> usize {
        read(&self.0).len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A value, while the map is locked shared.
pub struct Ref<'a, K, V> {
    map: Rc<RwLockReadGuard<'a, BTreeMap<K, V>>>,
    key: K,
}

impl<K, V> Ref<'_, K, V> {
    pub fn key(&self) -> &K {
        &self.key
    }
}

impl<K: Ord, V> Deref for Ref<'_, K, V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.map[&self.key]
    }
}

/// The place of a key, while the map is locked.
pub struct Vacancy<'a, K, V> {
    map: RwLockWriteGuard<'a, BTreeMap<K, V>>,
    key: K,
}

impl<'a, K: Ord + Clone, V: Default> Vacancy<'a, K, V> {
    pub fn or_default(mut self) -> RefMut<'a, K, V> {
        self.map.entry(self.key.clone()).or_default();
        RefMut { map: self.map, key: self.key }
    }
}

/// A value, while the map is locked.
pub struct RefMut<'a, K, V> {
    map: RwLockWriteGuard<'a, BTreeMap<K, V>>,
    key: K,
}

impl<K, V> RefMut<'_, K, V> {
    pub fn key(&self) -> &K {
        &self.key
    }
}

impl<K: Ord, V> Deref for RefMut<'_, K, V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.map[&self.key]
    }
}

impl<K: Ord, V> DerefMut for RefMut<'_, K, V> {
    fn deref_mut(&mut self) -> &mut V {
        self.map.get_mut(&self.key).expect("put there by `or_default`")
    }
}

/// The skip list's interface, as far as it is used. Its steps are whole here.
#[derive(Debug)]
pub struct SortedSet<T>(Mutex<BTreeSet<T>>);

impl<T: Ord> Default for SortedSet<T> {
    fn default() -> Self {
        Self(Mutex::new(BTreeSet::new()))
    }
}

impl<T: Ord + Copy> SortedSet<T> {
    pub fn insert(&self, value: T) {
        lock(&self.0).insert(value);
    }

    /// As of now.
    pub fn iter(&self) -> impl Iterator<Item = Front<'_, T>> {
        let values: Vec<T> = lock(&self.0).iter().copied().collect();
        values.into_iter().map(|value| Front { set: self, value })
    }

    pub fn front(&self) -> Option<Front<'_, T>> {
        lock(&self.0).first().map(|&value| Front { set: self, value })
    }
}

/// What was an element, the first one mostly.
pub struct Front<'a, T> {
    set: &'a SortedSet<T>,
    value: T,
}

impl<T: Ord> Front<'_, T> {
    pub fn value(&self) -> &T {
        &self.value
    }

    pub fn remove(&self) -> bool {
        lock(&self.set.0).remove(&self.value)
    }
}

/// An unbounded queue between threads: std's interface, as far as it is used.
pub mod mpsc {
    use super::{VecDeque, lock};
    use crate::sync::{Arc, Condvar, Mutex, PoisonError};

    struct Queue<T> {
        state: Mutex<State<T>>,
        changed: Condvar,
    }

    struct State<T> {
        waiting: VecDeque<T>,
        senders: usize,
        has_receiver: bool,
    }

    pub struct Sender<T>(Arc<Queue<T>>);

    pub struct Receiver<T>(Arc<Queue<T>>);

    impl<T> std::fmt::Debug for Sender<T> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Sender")
        }
    }

    impl<T> std::fmt::Debug for Receiver<T> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Receiver")
        }
    }

    pub struct SendError<T>(pub T);

    pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
        let state = State { waiting: VecDeque::new(), senders: 1, has_receiver: true };
        let queue = Arc::new(Queue { state: Mutex::new(state), changed: Condvar::new() });
        (Sender(Arc::clone(&queue)), Receiver(queue))
    }

    impl<T> Sender<T> {
        /// # Errors
        /// Gives back what nobody will receive.
        pub fn send(&self, value: T) -> Result<(), SendError<T>> {
            let mut state = lock(&self.0.state);
            if !state.has_receiver {
                return Err(SendError(value));
            }
            state.waiting.push_back(value);
            drop(state);
            self.0.changed.notify_one();
            Ok(())
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            lock(&self.0.state).senders -= 1;
            self.0.changed.notify_one();
        }
    }

    impl<T> Receiver<T> {
        /// The next value; none when there is no sender any more.
        pub fn recv(&self) -> Option<T> {
            let mut state = lock(&self.0.state);
            loop {
                if let Some(value) = state.waiting.pop_front() {
                    return Some(value);
                }
                if state.senders == 0 {
                    return None;
                }
                state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            let mut state = lock(&self.0.state);
            state.has_receiver = false;
            let left = std::mem::take(&mut state.waiting);
            drop(state);
            drop(left);
        }
    }

    impl<T> Iterator for Receiver<T> {
        type Item = T;

        fn next(&mut self) -> Option<T> {
            self.recv()
        }
    }
}

/// No time passes in a model.
///
/// # Errors
/// Never.
pub async fn timeout<F: Future>(_: std::time::Duration, future: F) -> Result<F::Output, std::convert::Infallible> {
    Ok(future.await)
}

/// A bounded queue between tasks: tokio's interface, as far as it is used.
pub mod queue {
    use std::future::poll_fn;
    use std::task::{Poll, Waker};

    use super::{VecDeque, lock};
    use crate::sync::{Arc, Mutex};

    struct State<T> {
        waiting: VecDeque<T>,
        bound: usize,
        has_sender: bool,
        has_receiver: bool,
        /// Of those who wait for a place, and of the receiver.
        wakers: Vec<Waker>,
    }

    pub struct Sender<T>(Arc<Mutex<State<T>>>);

    pub struct Receiver<T>(Arc<Mutex<State<T>>>);

    pub fn channel<T>(bound: usize) -> (Sender<T>, Receiver<T>) {
        let waiting = VecDeque::new();
        let state = State { waiting, bound, has_sender: true, has_receiver: true, wakers: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        (Sender(Arc::clone(&state)), Receiver(state))
    }

    /// Has all who wait look again.
    fn changed<T>(mut state: crate::sync::MutexGuard<'_, State<T>>) {
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    impl<T> Sender<T> {
        /// # Errors
        /// Gives back what nobody will receive.
        pub async fn send(&self, value: T) -> Result<(), T> {
            let mut value = Some(value);
            poll_fn(|cx| {
                let mut state = lock(&self.0);
                if !state.has_receiver {
                    return Poll::Ready(Err(value.take().expect("not sent yet")));
                }
                if state.waiting.len() == state.bound {
                    state.wakers.push(cx.waker().clone());
                    return Poll::Pending;
                }
                state.waiting.push_back(value.take().expect("not sent yet"));
                changed(state);
                Poll::Ready(Ok(()))
            })
            .await
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            let mut state = lock(&self.0);
            state.has_sender = false;
            changed(state);
        }
    }

    impl<T> Receiver<T> {
        /// The next value; none when there is no sender any more.
        pub async fn recv(&mut self) -> Option<T> {
            poll_fn(|cx| {
                let mut state = lock(&self.0);
                let value = state.waiting.pop_front();
                if value.is_some() {
                    changed(state);
                } else if state.has_sender {
                    state.wakers.push(cx.waker().clone());
                    return Poll::Pending;
                }
                Poll::Ready(value)
            })
            .await
        }

        /// # Errors
        /// When nothing waits.
        pub fn try_recv(&mut self) -> Result<T, ()> {
            let mut state = lock(&self.0);
            let value = state.waiting.pop_front().ok_or(())?;
            changed(state);
            Ok(value)
        }
    }

    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            let mut state = lock(&self.0);
            state.has_receiver = false;
            let left = std::mem::take(&mut state.waiting);
            changed(state);
            drop(left);
        }
    }
}

/// A value for one who waits: tokio's interface, as far as it is used.
pub mod oneshot {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::lock;
    use crate::sync::{Arc, Mutex};

    struct State<T> {
        value: Option<T>,
        is_over: bool,
        waker: Option<Waker>,
    }

    pub struct Sender<T>(Arc<Mutex<State<T>>>);

    pub struct Receiver<T>(Arc<Mutex<State<T>>>);

    pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
        let state = Arc::new(Mutex::new(State { value: None, is_over: false, waker: None }));
        (Sender(Arc::clone(&state)), Receiver(state))
    }

    impl<T> Sender<T> {
        /// # Errors
        /// Never, though it may be that nobody waits.
        pub fn send(self, value: T) -> Result<(), T> {
            lock(&self.0).value = Some(value);
            Ok(())
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            let waker = {
                let mut state = lock(&self.0);
                state.is_over = true;
                state.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    impl<T> Future for Receiver<T> {
        type Output = Result<T, ()>;

        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
            let mut state = lock(&self.0);
            if state.is_over {
                return Poll::Ready(state.value.take().ok_or(()));
            }
            state.waker = Some(cx.waker().clone());
            Poll::Pending
        }
    }
}
