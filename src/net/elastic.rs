//! Whether all threads should serve connections, or one alone.
//!
//! On cores that are shared with others (the clients themselves, on a small machine), threads that answer one small
//! request at a time spend much of it on waking each other: one alone answers more. Whether that is so cannot be known
//! from one figure, so it is tried: now and then all connections run on one thread for some hundredths of a second, and
//! what was answered meanwhile is compared with what was answered before and after. The others rest for longer only
//! when that is clearly more, and work again as soon as that is no less.

use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::server::Server;
use crate::server::home::{Home, Threads};
use crate::sync::Arc;

/// How often the rate is looked at while the server is busy, and while it is not.
const TICK: Duration = Duration::from_millis(20);
const TICK_IDLE: Duration = Duration::from_millis(50);

/// Requests a second below which nothing is tried: nobody would notice.
const BUSY: f64 = 5_000.0;

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
            let mut governor = Governor::new(1);
            let (mut before, mut at, mut tick) = (0, Instant::now(), TICK_IDLE);
            while told.sleep(tick)
                && let Some(server) = server.upgrade()
            {
                let (now, elapsed) = (server.stats.commands(), at.elapsed());
                let rate = now.saturating_sub(before) as f64 / elapsed.as_secs_f64();
                (before, at) = (now, Instant::now());
                let is_worthwhile = rate >= BUSY && server.clients.len() <= MANY;
                tick = if is_worthwhile { TICK } else { TICK_IDLE };
                let resting = governor.tick(if is_worthwhile { rate } else { 0.0 });
                controlled.want(if resting > 0 { Threads::One } else { Threads::All });
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

/// Ticks of each stage of a trial: the first of each is not counted.
const STAGE: usize = 3;
/// More must be answered by this share for a thread to rest, so that noise alone seldom decides.
const GAIN: f64 = 0.03;
/// Trials that agree before a thread rests: this much gain beyond [`GAIN`], of which one trial gives at most `CLIP`.
const CONVINCED: f64 = 0.06;
const CLIP: f64 = 0.05;
/// Ticks between trials: few at first, then ever more while they change nothing: 0.1 to 10 s.
const PAUSE: u32 = 5;
const PAUSE_MAX: u32 = 500;

/// Decides from the rates of the ticks how many threads rest.
#[derive(Debug)]
struct Governor {
    most: usize,
    level: usize,
    trial: Option<Trial>,
    /// The rates of the last ticks at the present level.
    steady: Vec<f64>,
    /// The last rate that counted, also from before the server was idle: a load like it is taken for the same.
    usual: Option<f64>,
    /// The last tick was unlike those before: a load began or ended in the middle of it, or it is another load.
    is_odd: bool,
    /// How convincing the trials at this level were so far.
    score: f64,
    wait: u32,
    pause: u32,
    /// Whether the next trial is one with more threads at work.
    tries_more: bool,
}

/// What is tried: before, during and after.
#[derive(Debug)]
struct Trial {
    level: usize,
    before: f64,
    during: Vec<f64>,
    after: Vec<f64>,
}

impl Governor {
    /// * `most`: threads that may rest.
    fn new(most: usize) -> Self {
        Self {
            most,
            level: 0,
            trial: None,
            steady: Vec::new(),
            usual: None,
            is_odd: false,
            score: 0.0,
            wait: PAUSE,
            pause: PAUSE,
            tries_more: false,
        }
    }

    /// How many threads rest now, trials included.
    fn resting(&self) -> usize {
        self.trial.as_ref().filter(|trial| trial.during.len() < STAGE).map_or(self.level, |trial| trial.level)
    }

    /// Takes the rate since the last tick; gives how many threads are to rest until the next.
    fn tick(&mut self, rate: f64) -> usize {
        match &mut self.trial {
            // The load has ended: what was learned stays, for the next that is like it.
            _ if rate < BUSY => self.give_up(),
            None => self.wait_for_trial(rate),
            Some(trial) if trial.during.len() < STAGE => trial.during.push(rate),
            Some(trial) => {
                trial.after.push(rate);
                if trial.after.len() == STAGE {
                    self.judge();
                }
            }
        }
        self.resting()
    }

    fn give_up(&mut self) {
        self.trial = None;
        self.steady.clear();
        self.is_odd = false;
        self.wait = self.wait.min(PAUSE);
    }

    fn wait_for_trial(&mut self, rate: f64) {
        let is_unlike = self.usual.is_some_and(|usual| rate > 2.0 * usual || usual > 2.0 * rate);
        let was_odd = std::mem::replace(&mut self.is_odd, is_unlike);
        if is_unlike && !was_odd {
            return;
        }
        if is_unlike {
            // Another load: what was learned is worth nothing.
            *self = Self::new(self.most);
        }
        self.usual = Some(rate);
        self.steady.push(rate);
        self.wait = self.wait.saturating_sub(1);
        if self.wait > 0 || self.steady.len() < STAGE {
            return;
        }
        let level =
            if self.level == self.most || self.tries_more && self.level > 0 { self.level - 1 } else { self.level + 1 };
        self.trial = Some(Trial {
            level,
            before: mean(&self.steady[self.steady.len() - STAGE..]),
            during: Vec::new(),
            after: Vec::new(),
        });
        self.steady.clear();
    }

    fn judge(&mut self) {
        let Some(Trial { level, before, during, after }) = self.trial.take() else { return };
        let after = mean(&after);
        self.tries_more = !self.tries_more;
        if before > 1.5 * after || after > 1.5 * before {
            self.wait = PAUSE;
            return;
        }
        let gain = mean(&during) / ((before + after) / 2.0) - 1.0;
        let is_change = if level > self.level {
            self.score = (self.score + (gain - GAIN).clamp(-CLIP, CLIP)).max(0.0);
            self.score >= CONVINCED
        } else {
            // More threads at work are better for whoever comes next, so they need not answer more.
            gain > -GAIN
        };
        if is_change {
            (self.level, self.score, self.pause) = (level, 0.0, PAUSE);
        } else if self.score == 0.0 {
            self.pause = (2 * self.pause).min(PAUSE_MAX);
        }
        self.wait = self.pause;
    }
}

fn mean(rates: &[f64]) -> f64 {
    let rates = &rates[1..];
    rates.iter().sum::<f64>() / rates.len() as f64
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    /// Runs a governor on a load whose rate depends on how many threads rest, with noise of `noise` around it.
    fn settle(governor: &mut Governor, ticks: usize, noise: f64, rate: impl Fn(usize) -> f64) -> f64 {
        let mut random = fastrand::Rng::with_seed(7);
        let mut resting = governor.resting();
        let mut sum = 0;
        for _ in 0..ticks {
            sum += resting;
            resting = governor.tick(rate(resting) * (1.0 + noise * (random.f64() - 0.5)));
        }
        sum as f64 / ticks as f64
    }

    #[test]
    fn a_thread_rests_when_the_others_answer_more_without_it() {
        let mut governor = Governor::new(1);
        settle(&mut governor, 60, 0.02, |resting| [85_000.0, 97_000.0][resting]);
        assert_eq!(governor.level, 1);
        // And stays at rest, but for the trials.
        assert!(settle(&mut governor, 2_000, 0.02, |resting| [85_000.0, 97_000.0][resting]) > 0.95);
    }

    #[test]
    fn threads_that_are_needed_work() {
        let mut governor = Governor::new(1);
        assert!(settle(&mut governor, 5_000, 0.1, |resting| [2_100_000.0, 1_800_000.0][resting]) < 0.02);
    }

    #[test]
    fn a_load_that_depends_on_nothing_is_served_by_all() {
        let mut governor = Governor::new(3);
        assert!(settle(&mut governor, 5_000, 0.04, |_| 50_000.0) < 0.1);
    }

    #[test]
    fn another_load_wakes_all() {
        let mut governor = Governor::new(1);
        settle(&mut governor, 100, 0.0, |resting| [85_000.0, 97_000.0][resting]);
        assert_eq!(governor.level, 1);
        governor.trial = None;
        governor.tick(97_000.0);
        governor.tick(1_800_000.0);
        governor.tick(1_800_000.0);
        assert_eq!(governor.resting(), 0);
    }

    #[test]
    fn a_load_with_gaps_is_learned() {
        let mut governor = Governor::new(1);
        let burst = |governor: &mut Governor| {
            let mut resting = governor.tick(20_000.0);
            for _ in 0..12 {
                resting = governor.tick([85_000.0, 97_000.0][resting]);
            }
            governor.tick(30_000.0);
            for _ in 0..10 {
                governor.tick(0.0);
            }
        };
        for _ in 0..10 {
            burst(&mut governor);
        }
        assert_eq!(governor.level, 1);
    }

    #[test]
    fn several_rest_one_by_one() {
        let mut governor = Governor::new(7);
        settle(&mut governor, 2_000, 0.01, |resting| 100_000.0 * 1.2_f64.powi(resting.min(3) as i32));
        assert_eq!(governor.level, 3);
    }

    #[test]
    fn nothing_is_tried_while_nobody_would_notice() {
        let mut governor = Governor::new(1);
        assert!((0..1_000).all(|_| governor.tick(4_000.0) == 0));
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
