//! Who waits for keys of a part to change: the lines in front of keys, under the part's lock.
//!
//! A line is ordered by tickets, so that whoever came first is served first, and whoever gives up leaves it in
//! O(log n). What a waiter is, only the engine knows.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};

use super::{Entry, list, stream, zset};
use crate::sync::Arc;

/// Somebody who waits, as the engine knows him.
pub type Who = Arc<dyn Any + Send + Sync>;

/// What has to be at a key before somebody who waits for it is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    List,
    SortedSet,
    Stream,
    /// A stream with a consumer group: what takes the group away matters as well.
    Group,
}

impl Wanted {
    const COUNT: usize = 4;

    /// Whether this may be something for him.
    pub fn is_met(self, entry: Option<&Entry>) -> bool {
        match self {
            Self::List => entry.is_some_and(|entry| list::View::of(entry).is_some()),
            Self::SortedSet => entry.is_some_and(|entry| zset::View::of(entry).is_some()),
            Self::Stream => entry.is_some_and(|entry| stream::of(entry).is_some()),
            Self::Group => true,
        }
    }
}

/// The lines in front of the keys of one part, by hash: two keys with the same 64-bit hash share theirs, and who is
/// asked for nothing goes on waiting.
#[derive(Debug, Default)]
pub struct Waits {
    lines: HashMap<u64, Line, ahash::RandomState>,
    /// Keys that changed since somebody last asked.
    ready: Vec<u64>,
}

#[derive(Debug, Default)]
struct Line {
    by_ticket: BTreeMap<u64, (Wanted, Who)>,
    /// How many want what.
    counts: [usize; Wanted::COUNT],
    /// The key changed, and not all have been asked since.
    is_ready: bool,
}

impl Waits {
    /// Adds somebody to the line of a key.
    pub fn add(&mut self, hash: u64, ticket: u64, wanted: Wanted, who: Who) {
        let line = self.lines.entry(hash).or_default();
        // Whoever names a key twice stands in its line once.
        if line.by_ticket.insert(ticket, (wanted, who)).is_none() {
            line.counts[wanted as usize] += 1;
        }
    }

    /// Takes somebody out of the line of a key, if he is there.
    pub fn remove(&mut self, hash: u64, ticket: u64) {
        let Some(line) = self.lines.get_mut(&hash) else { return };
        if let Some((wanted, _)) = line.by_ticket.remove(&ticket) {
            line.counts[wanted as usize] -= 1;
        }
        if line.by_ticket.is_empty() {
            self.lines.remove(&hash);
        }
    }

    /// The key with this hash changed.
    #[inline]
    pub fn touch(&mut self, hash: u64) {
        if !self.lines.is_empty() {
            self.touch_slow(hash);
        }
    }

    #[cold]
    fn touch_slow(&mut self, hash: u64) {
        if let Some(line) = self.lines.get_mut(&hash) {
            line.is_ready = true;
            if self.ready.last() != Some(&hash) {
                self.ready.push(hash);
            }
        }
    }

    /// Whether keys changed that somebody waits for.
    #[inline]
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The keys that changed, in order, each time it is asked for the first time. Whoever takes them serves their lines.
    pub fn take_ready(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.ready)
    }

    /// Whether the key changed and its line is yet to be served: nobody who comes now may go first.
    pub fn is_ready(&self, hash: u64) -> bool {
        self.lines.get(&hash).is_some_and(|line| line.is_ready)
    }

    /// The first in the line behind ticket `after` whose wish is met by what is at the key now. With none left the line
    /// counts as served.
    pub fn next(&mut self, hash: u64, after: u64, mut is_met: impl FnMut(Wanted, &Who) -> bool) -> Option<(u64, Who)> {
        let line = self.lines.get_mut(&hash)?;
        let mut judged = [None; Wanted::COUNT];
        for (&ticket, (wanted, who)) in line.by_ticket.range(after + 1..) {
            let kind = *wanted as usize;
            if judged[kind].is_none() {
                let met = is_met(*wanted, who);
                judged[kind] = Some(met);
                // A long line is not walked for something that nobody in it wants.
                if !met && (0..Wanted::COUNT).all(|kind| line.counts[kind] == 0 || judged[kind] == Some(false)) {
                    break;
                }
            }
            if judged[kind] == Some(true) {
                return Some((ticket, Arc::clone(who)));
            }
        }
        line.is_ready = false;
        None
    }

    /// The hashes of all keys that somebody waits for, for changes of the whole part.
    pub fn hashes(&self) -> impl Iterator<Item = u64> {
        self.lines.keys().copied()
    }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    fn who(name: &'static str) -> Who {
        Arc::new(name)
    }

    fn name(who: &Who) -> &'static str {
        who.downcast_ref::<&'static str>().expect("a name")
    }

    /// Everybody in line who wants a list, in order.
    fn served(waits: &mut Waits, hash: u64) -> Vec<&'static str> {
        let (mut found, mut after) = (Vec::new(), 0);
        while let Some((ticket, who)) = waits.next(hash, after, |wanted, _| wanted == Wanted::List) {
            found.push(name(&who));
            after = ticket;
        }
        found
    }

    #[test]
    fn a_line_is_served_in_the_order_of_tickets() {
        let mut waits = Waits::default();
        waits.add(7, 3, Wanted::List, who("c"));
        waits.add(7, 1, Wanted::List, who("a"));
        waits.add(7, 2, Wanted::SortedSet, who("b"));
        waits.add(8, 4, Wanted::List, who("d"));
        assert_eq!(served(&mut waits, 7), ["a", "c"]);
        waits.remove(7, 1);
        waits.remove(7, 1);
        assert_eq!(served(&mut waits, 7), ["c"]);
        assert_eq!(served(&mut waits, 9), [""; 0]);
    }

    #[test]
    fn a_line_is_ready_from_the_change_until_all_were_asked() {
        let mut waits = Waits::default();
        waits.touch(7);
        assert!(!waits.has_ready());
        waits.add(7, 1, Wanted::List, who("a"));
        waits.touch(8);
        assert!(!waits.has_ready() && !waits.is_ready(7));
        waits.touch(7);
        waits.touch(7);
        assert!(waits.is_ready(7));
        assert_eq!(waits.take_ready(), [7]);
        assert!(!waits.has_ready() && waits.is_ready(7));
        served(&mut waits, 7);
        assert!(!waits.is_ready(7));
    }

    #[test]
    fn whoever_waits_for_a_key_twice_is_in_line_once() {
        let mut waits = Waits::default();
        waits.add(7, 1, Wanted::List, who("a"));
        waits.add(7, 1, Wanted::List, who("a"));
        assert_eq!(served(&mut waits, 7), ["a"]);
        waits.remove(7, 1);
        assert_eq!(waits.hashes().count(), 0);
    }

    #[test]
    fn nobody_is_asked_for_what_nobody_wants() {
        let mut waits = Waits::default();
        for ticket in 1..=1000 {
            waits.add(7, ticket, Wanted::SortedSet, who("a"));
        }
        let mut asked = 0;
        assert!(
            waits
                .next(7, 0, |_, _| {
                    asked += 1;
                    false
                })
                .is_none()
        );
        assert_eq!(asked, 1);
    }
}
