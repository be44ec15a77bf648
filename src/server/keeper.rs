//! The thread that keeps memory ready: it fetches what will be needed next, and gives back what was not needed for a
//! while, so that no client waits for either.
//!
//! Threads that serve clients are asked to let others have what is free in their pages when memory in use has changed.
//!
//! The first touch of a page has the system find and clear it. Of a huge page that is some tenths of a millisecond, and
//! several on a virtual machine whose host takes back what is free. So while memory in use grows, the pages that follow
//! the one that the allocator took last are populated. Should it go on elsewhere, a few are resident for nothing.
//!
//! Where huge pages are that slow, memory goes on in small ones, which take too little each for anybody to notice. They are
//! not fetched ahead, since a thousand at once would keep a core busy.
//!
//! With `disable-thp` nothing is fetched ahead. With `maxmemory` every page counts: nothing is fetched ahead either, and the
//! allocator gives back by itself, after a second.

use std::ops::Range;
use std::time::{Duration, Instant};

use rustix::time::ClockId;

use super::{KEEP_FREED_BOUNDED, Server, read_clock};
use crate::memory::pages::{Frontier, HUGE, ask_to_tidy, give_back, go_on_small, populate};
use crate::memory::{keep_freed_for, resident_now, used};
use crate::sync::Arc;
use crate::{background, fault};

/// Time between two looks while memory in use grows, and while it does not.
const TICK: Duration = Duration::from_millis(5);
const TICK_IDLE: Duration = Duration::from_millis(50);

/// Growth, in bytes, after which it is seen to that there is more.
const GROWN: u64 = HUGE as u64 / 4;

/// Ticks without growth after which it has ended.
const CALM: u32 = 20;

/// Bytes in use, more or less, after which threads are asked to let others have what they do not need.
const CHANGED: u64 = 16 << 20;

/// CPU time for a huge page above which it is slow: clearing one takes some tenths of a millisecond.
const SLOW: Duration = Duration::from_millis(1);

/// CPU time below which a huge page was resident already.
const RESIDENT: Duration = Duration::from_micros(30);

/// Slow ones in a row after which small ones are taken.
const SLOW_ENOUGH: u32 = 3;

/// Huge pages that are populated beyond the one in which the allocator is: at 500 MB a second they last for a tick and a half.
const AHEAD: usize = 2;

/// Starts the thread. It ends when the server is gone.
pub fn start(server: &Arc<Server>) {
    let server = Arc::downgrade(server);
    let thread = background::start("kiba-memory", move || {
        let mut keeper = Keeper::new(used());
        while let Some(server) = server.upgrade() {
            let tick = fault::shield(|| {
                fault::point("keeper.tick");
                keeper.tick(&server)
            });
            drop(server);
            std::thread::sleep(tick.unwrap_or(TICK_IDLE));
        }
    });
    // Without it clients fetch for themselves, and the allocator gives back what is free.
    if let Err(error) = thread {
        tracing::warn!(%error, "cannot start the thread that keeps memory ready");
    }
}

#[derive(Debug)]
struct Keeper {
    growth: Growth,
    frontier: Frontier,
    cost: Cost,
    /// Where memory goes on in small pages.
    small: Vec<Range<usize>>,
    need: Need,
    /// The allocator gives nothing back by itself.
    is_in_charge: bool,
    /// Ticks without growth.
    calm: u32,
    /// Most bytes in use since the last look at what was needed, and when that was.
    most: u64,
    looked: Instant,
    /// Bytes in use when threads were asked to tidy up.
    tidied: u64,
}

impl Keeper {
    fn new(used: u64) -> Self {
        Self {
            growth: Growth { last: used },
            frontier: Frontier::default(),
            cost: Cost::default(),
            small: Vec::new(),
            need: Need::default(),
            is_in_charge: false,
            calm: CALM,
            most: used,
            looked: Instant::now(),
            tidied: used,
        }
    }

    /// Does what is to be done; gives the time until the next look.
    fn tick(&mut self, server: &Server) -> Duration {
        let used = used();
        if used.abs_diff(self.tidied) >= CHANGED {
            self.tidied = used;
            ask_to_tidy();
        }
        if server.config.maxmemory() != 0 {
            if std::mem::take(&mut self.is_in_charge) {
                // The time that was told before holds for what was freed before, until all of it is given back.
                keep_freed_for(Some(KEEP_FREED_BOUNDED));
                give_back();
            }
            return TICK_IDLE;
        }
        self.most = self.most.max(used);
        if self.looked.elapsed() >= Duration::from_secs(1) {
            self.look_back();
            (self.most, self.looked) = (used, Instant::now());
        }
        if self.growth.goes_on(used) && !server.config.disable_thp() {
            self.calm = 0;
            if let Some(address) = self.frontier.look() {
                self.fetch_ahead(address);
            }
        }
        self.calm = self.calm.saturating_add(1);
        if self.calm == CALM {
            // What was slow a while ago says nothing.
            self.cost = Cost::default();
        }
        if self.calm < CALM { TICK } else { TICK_IDLE }
    }

    /// Populates the huge pages from an address on.
    fn fetch_ahead(&mut self, address: usize) {
        for page in (0..=AHEAD).map(|page| address + page * HUGE) {
            if self.small.iter().any(|small| small.contains(&page)) {
                return;
            }
            // Others that want this core do not count.
            let begun = read_clock(ClockId::ThreadCPUTime);
            populate(page);
            if self.cost.is_too_high(read_clock(ClockId::ThreadCPUTime).saturating_sub(begun)) {
                tracing::debug!("memory comes slowly: going on with small pages");
                self.small.push(address..go_on_small(page));
            }
        }
    }

    /// Gives back what was not needed lately.
    fn look_back(&mut self) {
        let resident = resident_now();
        if resident == 0 {
            // The system does not tell: the allocator knows better.
            return;
        }
        // Told each time, since an option that is set tells the allocator otherwise.
        keep_freed_for(None);
        if !std::mem::replace(&mut self.is_in_charge, true) {
            // What was freed before would make the allocator give back once more by itself.
            give_back();
        }
        if self.need.is_exceeded(self.most, resident) {
            give_back();
        }
    }
}

/// What huge pages cost.
#[derive(Debug, Default)]
struct Cost {
    /// Slow ones in a row.
    slow: u32,
}

impl Cost {
    /// Takes the time of one; whether small ones are better.
    fn is_too_high(&mut self, took: Duration) -> bool {
        if took >= RESIDENT {
            self.slow = if took >= SLOW { self.slow + 1 } else { 0 };
        }
        self.slow >= SLOW_ENOUGH && std::mem::take(&mut self.slow) > 0
    }
}

/// Whether memory in use grows.
#[derive(Debug)]
struct Growth {
    /// Bytes in use when it was last seen to have grown, or less.
    last: u64,
}

impl Growth {
    fn goes_on(&mut self, used: u64) -> bool {
        let has_grown = used >= self.last + GROWN;
        self.last = if has_grown { used } else { self.last.min(used) };
        has_grown
    }
}

/// How many seconds back what was needed counts.
const SECONDS: usize = 10;

/// What may be resident beside what was needed: this, and an eighth of it.
const SPARE: u64 = 32 << 20;

/// How much memory was needed lately.
#[derive(Debug, Default)]
struct Need {
    /// Most bytes in use in each of the last seconds.
    window: [u64; SECONDS],
    second: usize,
    /// Bytes beyond what was needed that could not be given back: other blocks in their pages are in use.
    stuck: u64,
    has_given: bool,
}

impl Need {
    /// Takes what was in use in one second at most, and what is resident; whether what is free is to be given back. While
    /// much less is in use than was needed, it is not: all that is free would go.
    fn is_exceeded(&mut self, most: u64, resident: u64) -> bool {
        self.window[self.second % SECONDS] = most;
        self.second += 1;
        let need = self.window.iter().copied().fold(0, u64::max);
        let spare = SPARE + need / 8;
        if need - most > spare {
            return false;
        }
        let excess = resident.saturating_sub(need);
        self.stuck = if self.has_given { excess } else { excess.min(self.stuck) };
        self.has_given = excess > self.stuck + spare;
        self.has_given
    }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    #[test]
    fn growth_is_noticed_however_slow_it_is() {
        let mut growth = Growth { last: 100 * MB };
        let steps = (1..=64).map(|step| 100 * MB + step * GROWN / 8);
        assert_eq!(steps.filter(|&used| growth.goes_on(used)).count(), 8);
        assert!(!growth.goes_on(50 * MB));
        assert!(growth.goes_on(51 * MB));
    }

    #[test]
    fn huge_pages_cost_too_much_when_several_in_a_row_were_slow() {
        let [resident, fast, slow] = [2, 300, 6000].map(Duration::from_micros);
        let mut cost = Cost::default();
        let mut decided = |times: &[Duration]| times.iter().map(|&took| cost.is_too_high(took)).collect::<Vec<_>>();
        assert_eq!(decided(&[slow, slow, fast, slow, resident, slow]), [false; 6]);
        assert_eq!(decided(&[resident, slow, slow]), [false, true, false]);
        assert_eq!(decided(&[slow, resident, slow]), [false, false, true]);
    }

    #[test]
    fn what_was_not_needed_for_a_while_is_given_back_once() {
        let mut need = Need::default();
        // A gigabyte was freed. Of what was resident 100 MB will not go.
        assert!(!need.is_exceeded(1000 * MB, 1020 * MB));
        let mut resident = 1020 * MB;
        let mut given = Vec::new();
        for second in 1..100 {
            if need.is_exceeded(200 * MB, resident) {
                given.push(second);
                resident = 300 * MB;
            }
        }
        assert_eq!(given, [SECONDS]);
        // More that is freed is given back as well.
        assert!(!need.is_exceeded(600 * MB, 700 * MB));
        let given = (0..100).filter(|_| need.is_exceeded(200 * MB, 700 * MB)).count();
        assert_eq!(given, 1);
    }

    #[test]
    fn short_peaks_keep_their_memory() {
        let mut need = Need::default();
        let mut resident = 1200 * MB;
        let mut given = 0;
        for second in 0..100 {
            let most = if second % 8 == 0 { 1000 * MB } else { 200 * MB };
            resident = resident.max(most + 50 * MB);
            if need.is_exceeded(most, resident) {
                given += 1;
                resident = most + 50 * MB;
            }
        }
        assert_eq!(given, 1);
        assert_eq!(resident, 1050 * MB);
    }

    #[test]
    fn what_comes_and_goes_stays() {
        let mut need = Need::default();
        assert!(
            (0..100).all(|second| !need.is_exceeded(if second % 8 == 0 { 1000 * MB } else { 200 * MB }, 1100 * MB))
        );
    }
}
