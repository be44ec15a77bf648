//! Whether all threads should serve connections, or one alone.
//!
//! On cores that are shared with others (the clients themselves, on a small machine), threads that answer one small
//! request at a time spend much of it on waking each other: one alone answers as many for less. Whether that is so
//! cannot be known from one figure, so it is tried: now and then all connections run on one thread for a tenth
//! of a second, and what was answered meanwhile, and the CPU time that it took, are compared with those before and
//! after. Such figures are noisy, so the last trials are taken together, and nothing changes while they are unclear.
//! Until then what is likely holds: clients of the same machine that send one request at a time are served by one thread.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::time::ClockId;

use crate::fault;
use crate::memory::pages::asked_to_tidy;
use crate::server::home::{Home, Threads};
use crate::server::{Server, read_clock};
use crate::sync::Arc;

/// How often the rate is looked at while the server is busy, and while it is not.
const TICK: Duration = Duration::from_millis(20);
const TICK_IDLE: Duration = Duration::from_millis(50);

/// The share of a core that the process uses below which nothing is tried: nobody would notice. Not requests a second:
/// one PUBLISH may be a thousand messages.
const BUSY: f64 = 0.5;

/// Requests a second below which a tick has too few to tell anything.
const MANY_ENOUGH: f64 = 500.0;

/// Connections above which nothing is tried: to move them all would cost more than it shows.
const MANY: usize = 2_000;

/// The controller. Dropped, it lets all threads work.
pub struct Elastic {
    home: Arc<Home>,
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

/// Told once the controller is to end.
#[derive(Debug, Default)]
struct Stop {
    is_told: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    fn tell(&self) {
        *self.is_told.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits for the next tick; false when it was told to stop.
    fn sleep(&self, tick: Duration) -> bool {
        let is_told = self.is_told.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(is_told, tick, |is_told| !*is_told);
        waited.is_ok_and(|(is_told, _)| !*is_told)
    }
}

impl Elastic {
    /// Starts the controller of where tasks are wanted.
    pub fn start(home: Arc<Home>, server: &Arc<Server>) -> Self {
        let stop = Arc::new(Stop::default());
        let (controlled, told, server) = (Arc::clone(&home), Arc::clone(&stop), Arc::downgrade(server));
        let thread = std::thread::Builder::new().name("kiba-elastic".into()).spawn(move || {
            let mut governor = Governor::default();
            let (mut before, mut used, mut at, mut tick) =
                (0, read_clock(ClockId::ProcessCPUTime), Instant::now(), TICK_IDLE);
            let mut asked = 0;
            while told.sleep(tick)
                && let Some(server) = server.upgrade()
            {
                let (now, now_used, elapsed) =
                    (server.stats.commands(), read_clock(ClockId::ProcessCPUTime), at.elapsed());
                let answered = now.saturating_sub(before) as f64;
                let busy = now_used.saturating_sub(used).as_secs_f64();
                let load = Load { rate: answered / elapsed.as_secs_f64(), cost: busy / answered.max(1.0) };
                (before, used, at) = (now, now_used, Instant::now());
                let are_many = server.clients.len() > MANY;
                let is_busy = busy >= BUSY * elapsed.as_secs_f64() && load.rate >= MANY_ENOUGH;
                let is_worthwhile = is_busy && !are_many;
                governor.are_local = server.clients.are_local();
                tick = if is_worthwhile { TICK } else { TICK_IDLE };
                let wanted = fault::shield(|| {
                    fault::point("elastic.tick");
                    governor.tick(is_worthwhile.then_some(load))
                });
                let wanted = wanted.unwrap_or_else(|| {
                    governor = Governor::default();
                    Threads::All
                });
                controlled.want(if are_many { Threads::All } else { wanted });
                let last = std::mem::replace(&mut asked, asked_to_tidy());
                if last != asked {
                    // A thread that rests would not notice.
                    controlled.rouse();
                }
            }
        });
        // Without the controller all threads work, always.
        Self { home, stop, thread: thread.ok() }
    }
}

impl Drop for Elastic {
    fn drop(&mut self) {
        self.stop.tell();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.home.want(Threads::All);
    }
}

/// What was answered in a tick, or in several.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Load {
    /// Requests a second.
    rate: f64,
    /// CPU time of the process for each, in seconds.
    cost: f64,
}

impl Load {
    fn is_unlike(self, other: Self) -> bool {
        let differ = |one: f64, other: f64| one > 2.0 * other || other > 2.0 * one;
        differ(self.rate, other.rate) || differ(self.cost, other.cost)
    }
}

/// CPU time of a request, in seconds, at and above which system calls and waking are most of it, and from which on it is
/// the request's own work.
const CALLS: Range<f64> = 4e-6..1e-3;
/// Ticks of a new load after which it is known what it costs.
const FIRST: u32 = 3;
/// Ticks in a row after which a load that is unlike the usual one is taken for another one: a fifth of a second.
const ODD: u32 = 10;
/// What is usual follows a tick by a share of one in so many.
const SMOOTH: f64 = 8.0;
/// Ticks of each stage of a trial, a tenth of a second in all: the first of each is not counted.
const STAGE: usize = 6;
/// One thread is to save at least this share of the CPU time, and may not answer less by more than that.
const SAVING: f64 = 0.03;
const LOSS: f64 = 0.02;
/// Trials that are taken together: at least and at most.
const FEW: usize = 5;
const RECENT: usize = 16;
/// What all threads must answer more in a single trial to be believed at once: one thread was not enough by far.
const PLENTY: f64 = 1.25;
/// A single trial cannot say more than this: somebody else's work was in the way.
const CLIP: f64 = 0.3;
/// Ticks between trials, 0.1 to 10 s: one such pause more after each until there are a few, then more and more.
const PAUSE: u32 = 5;
const PAUSE_MAX: u32 = 500;

/// Decides from the ticks whether one thread is to serve alone.
#[derive(Debug, Default)]
struct Governor {
    /// One thread serves alone, but for trials.
    is_alone: bool,
    /// The next tick has something of both.
    is_switching: bool,
    /// All clients share the server's cores.
    are_local: bool,
    trial: Option<Trial>,
    /// The last ticks outside of trials.
    steady: Vec<Load>,
    /// What ticks are like, also from before the server was idle: a load like it is taken for the same.
    usual: Option<Load>,
    /// Ticks in a row that were unlike it: a load began or ended in the middle of one, somebody else had the cores for a
    /// while, or it is another load.
    odd: u32,
    /// What the trials of this load have shown.
    evidence: Evidence,
    /// Ticks since the last trial that was brought to its end.
    waited: u32,
}

/// What is tried: before, during and after.
#[derive(Debug)]
struct Trial {
    before: Load,
    during: Vec<Load>,
    after: Vec<Load>,
}

impl Governor {
    /// Takes what was answered since the last tick, nothing if that is not worth a trial; gives which threads are
    /// wanted until the next.
    fn tick(&mut self, load: Option<Load>) -> Threads {
        match (load, &mut self.trial) {
            // The load has ended: what was learned stays, for the next that is like it.
            (None, trial) => {
                // A load with gaps would otherwise have nothing but trials that are cut off.
                if trial.as_ref().is_some_and(|trial| trial.during.len() == STAGE) {
                    self.judge();
                }
                (self.trial, self.odd, self.steady) = (None, 0, Vec::new());
            }
            (Some(load), None) => self.wait_for_trial(load),
            (Some(load), Some(trial)) if trial.during.len() < STAGE => trial.during.push(load),
            (Some(load), Some(trial)) => {
                trial.after.push(load);
                if trial.after.len() == STAGE {
                    self.judge();
                }
            }
        }
        let is_trying = self.trial.as_ref().is_some_and(|trial| trial.during.len() < STAGE);
        if self.is_alone != is_trying { Threads::One } else { Threads::All }
    }

    fn wait_for_trial(&mut self, load: Load) {
        if std::mem::take(&mut self.is_switching) {
            return;
        }
        let usual = *self.usual.get_or_insert(load);
        if load.is_unlike(usual) {
            self.odd += 1;
            if self.odd == ODD {
                // Another load: what was learned is worth nothing.
                *self = Self { usual: Some(load), are_local: self.are_local, ..Self::default() };
            }
            return;
        }
        self.odd = 0;
        let blend = |usual: f64, new: f64| usual + (new - usual) / SMOOTH;
        self.usual = Some(Load { rate: blend(usual.rate, load.rate), cost: blend(usual.cost, load.cost) });
        self.steady.push(load);
        self.waited += 1;
        if self.evidence.trials == 0 && self.waited == FIRST {
            let is_likely = self.are_local && self.usual.is_some_and(|usual| CALLS.contains(&usual.cost));
            self.switch(is_likely);
        }
        // Threads that rest are not woken as lightly as one trial of resting is made.
        let pause = self.evidence.pause() * if self.is_alone { 3 } else { 1 };
        if self.waited < pause || self.steady.len() < STAGE {
            return;
        }
        let before = mean(&self.steady[self.steady.len() - STAGE..]);
        self.trial = Some(Trial { before, during: Vec::new(), after: Vec::new() });
        self.steady.clear();
    }

    /// Lets one thread serve alone from now on, or all. What is usual then is another thing, and the same load.
    fn switch(&mut self, is_alone: bool) {
        if self.is_alone != is_alone {
            (self.is_alone, self.usual, self.is_switching) = (is_alone, None, true);
            self.steady.clear();
        }
    }

    fn judge(&mut self) {
        let Some(Trial { before, during, after }) = self.trial.take() else { return };
        self.waited = 0;
        let (during, after) = (mean(&during), if after.len() > 1 { mean(&after) } else { before });
        if before.rate > 2.0 * after.rate || after.rate > 2.0 * before.rate {
            return;
        }
        let around = mean(&[before, before, after]);
        let (alone, all) = if self.is_alone { (around, during) } else { (during, around) };
        self.evidence.add(alone, all);
        let was_too_few = self.is_alone && all.rate > PLENTY * alone.rate;
        self.switch(self.evidence.verdict().unwrap_or(self.is_alone && !was_too_few));
        tracing::debug!(?alone, ?all, is_alone = self.is_alone, "tried other threads");
    }
}

/// What the last trials have shown, as logarithms of ratios.
#[derive(Debug, Default)]
struct Evidence {
    /// How much less CPU time a request takes on one thread, and how many more it answers.
    savings: VecDeque<f64>,
    gains: VecDeque<f64>,
    trials: u32,
}

impl Evidence {
    fn add(&mut self, alone: Load, all: Load) {
        self.trials += 1;
        for (values, value) in [(&mut self.savings, all.cost / alone.cost), (&mut self.gains, alone.rate / all.rate)] {
            if values.len() == RECENT {
                values.pop_front();
            }
            values.push_back(value.ln().clamp(-CLIP, CLIP));
        }
    }

    /// Whether one thread is to serve alone; `None` while that is unclear.
    fn verdict(&self) -> Option<bool> {
        if self.savings.len() < FEW {
            return None;
        }
        let (saving, saving_error) = median_and_error(&self.savings);
        let (gain, gain_error) = median_and_error(&self.gains);
        if saving + saving_error < SAVING || gain + gain_error < -LOSS {
            return Some(false);
        }
        // The rate is noisier than the cost by far. A loss that cannot be seen yet will be when it lasts.
        (saving - saving_error > SAVING).then_some(true)
    }

    /// Ticks until the next trial.
    fn pause(&self) -> u32 {
        (PAUSE * (self.trials + 1) * (self.trials / FEW as u32 + 1)).min(PAUSE_MAX)
    }
}

/// The mean of ticks in a row, without the first.
fn mean(ticks: &[Load]) -> Load {
    let sum = |part: fn(&Load) -> f64| ticks[1..].iter().map(part).sum::<f64>() / (ticks.len() - 1) as f64;
    Load { rate: sum(|load| load.rate), cost: sum(|load| load.cost) }
}

/// A median, which a trial that somebody else's work spoiled does not move far, and its standard error, from the median
/// distance to it.
fn median_and_error(values: &VecDeque<f64>) -> (f64, f64) {
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        let half = values.len() / 2;
        if values.len() % 2 == 1 { values[half] } else { (values[half - 1] + values[half]) / 2.0 }
    };
    let middle = median(values.iter().copied().collect());
    let distance = median(values.iter().map(|value| (value - middle).abs()).collect());
    // For a normal distribution: its deviation is 1.48 times that distance, and a median is 1.25 times as unsure as a mean.
    (middle, 1.48 * 1.25 * distance / (values.len() as f64).sqrt())
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    /// A load that one thread answers so much better or worse than all.
    #[derive(Clone, Copy)]
    struct Case {
        rates: [f64; 2],
        costs: [f64; 2],
        noise: f64,
    }

    impl Case {
        fn load(self, threads: Threads, random: &mut fastrand::Rng) -> Load {
            let at = usize::from(threads == Threads::One);
            let mut noisy = |value: f64| value * (1.0 + self.noise * (random.f64() - 0.5));
            Load { rate: noisy(self.rates[at]), cost: noisy(self.costs[at]) }
        }
    }

    const BETTER_ALONE: Case = Case { rates: [85e3, 97e3], costs: [12e-6, 10.5e-6], noise: 0.1 };
    const BETTER_TOGETHER: Case = Case { rates: [2.1e6, 1.8e6], costs: [0.48e-6, 0.5e-6], noise: 0.1 };
    /// One thread would be kinder, but cannot answer all.
    const NEEDED: Case = Case { rates: [150e3, 100e3], costs: [12e-6, 10e-6], noise: 0.1 };

    /// Runs a governor on a load; gives how much of the time one thread served alone.
    fn settle(governor: &mut Governor, ticks: usize, case: Case) -> f64 {
        let mut random = fastrand::Rng::with_seed(7);
        let mut threads = if governor.is_alone { Threads::One } else { Threads::All };
        let mut alone = 0;
        for _ in 0..ticks {
            alone += usize::from(threads == Threads::One);
            threads = governor.tick(Some(case.load(threads, &mut random)));
        }
        alone as f64 / ticks as f64
    }

    #[test]
    fn threads_rest_when_one_answers_more_for_less() {
        let mut governor = Governor::default();
        settle(&mut governor, 200, BETTER_ALONE);
        assert!(governor.is_alone);
        // And stay at rest, but for the trials.
        assert!(settle(&mut governor, 2_000, BETTER_ALONE) > 0.95);
    }

    #[test]
    fn noise_hides_nothing_for_long() {
        let mut governor = Governor::default();
        settle(&mut governor, 2_000, Case { noise: 0.8, ..BETTER_ALONE });
        assert!(settle(&mut governor, 5_000, Case { noise: 0.8, ..BETTER_ALONE }) > 0.8);
    }

    #[test]
    fn threads_that_are_needed_work() {
        for case in [BETTER_TOGETHER, NEEDED] {
            assert!(settle(&mut Governor::default(), 5_000, case) < 0.05);
        }
    }

    #[test]
    fn clients_of_the_same_machine_are_served_by_one_thread_until_it_is_known_better() {
        let local = || Governor { are_local: true, ..Governor::default() };
        assert!(settle(&mut local(), 100, BETTER_ALONE) > 0.8);
        assert!(settle(&mut Governor::default(), 60, BETTER_ALONE) < 0.5);
        // Small requests of a pipeline are another matter.
        assert!(settle(&mut local(), 100, BETTER_TOGETHER) < 0.3);
        // One thread that is not enough by far is noticed at once, any other in a while.
        assert!(settle(&mut local(), 200, Case { rates: [300e3, 100e3], ..NEEDED }) < 0.4);
        assert!(settle(&mut local(), 5_000, NEEDED) < 0.05);
    }

    #[test]
    fn a_load_that_depends_on_nothing_is_served_by_all() {
        let case = Case { rates: [50e3; 2], costs: [10e-6; 2], noise: 0.2 };
        assert!(settle(&mut Governor::default(), 5_000, case) < 0.1);
    }

    #[test]
    fn another_load_wakes_all() {
        let mut governor = Governor::default();
        settle(&mut governor, 200, BETTER_ALONE);
        governor.trial = None;
        let load = Load { rate: 1.8e6, cost: 0.5e-6 };
        assert!((1..ODD).all(|_| governor.tick(Some(load)) == Threads::One));
        assert_eq!(governor.tick(Some(load)), Threads::All);
    }

    #[test]
    fn a_stall_is_no_other_load() {
        let mut governor = Governor::default();
        settle(&mut governor, 200, BETTER_ALONE);
        (1..ODD).for_each(|_| _ = governor.tick(Some(Load { rate: 9e3, cost: 30e-6 })));
        assert!(governor.is_alone);
        assert!(settle(&mut governor, 2_000, BETTER_ALONE) > 0.95);
    }

    #[test]
    fn a_load_with_gaps_is_learned() {
        let (mut governor, mut random) = (Governor::default(), fastrand::Rng::with_seed(7));
        for _ in 0..20 {
            let mut threads = governor.tick(Some(Load { rate: 20e3, cost: 12e-6 }));
            for _ in 0..20 {
                threads = governor.tick(Some(BETTER_ALONE.load(threads, &mut random)));
            }
            governor.tick(Some(Load { rate: 30e3, cost: 12e-6 }));
            (0..10).for_each(|_| _ = governor.tick(None));
        }
        assert!(governor.is_alone);
    }

    #[test]
    fn nothing_is_tried_while_nobody_would_notice() {
        let mut governor = Governor::default();
        assert!((0..1_000).all(|_| governor.tick(None) == Threads::All));
    }

    #[test]
    fn all_threads_work_again_once_the_controller_has_ended() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runs");
        let other = tokio::runtime::Builder::new_current_thread().build().expect("runs");
        let home = Arc::new(Home::new(runtime.handle().clone(), Some(other.handle().clone())));
        let server = Server::new(Arc::new(crate::config::Config::default()), None);
        let elastic = Elastic::start(Arc::clone(&home), &server);
        home.want(Threads::One);
        drop(elastic);
        assert_eq!(home.wanted(), Threads::All);
    }
}
