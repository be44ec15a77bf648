//! Schedules by chance: many of them, from a seed that is printed and can be given again.

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};

/// Schedules of each module, over all of its tests, unless `KIBA_SCHEDULES` says otherwise.
const SCHEDULES: usize = 20_000;

/// Changes of priority in a schedule of the second kind: bugs that take more are seldom.
const DEPTH: usize = 3;

/// Room for a thread that runs an engine.
const STACK: usize = 1 << 18;

/// Runs a test's share of its module's schedules: half of them choose any thread at each step, the others keep to
/// priorities that change a few times, which reaches what needs somebody to be late.
///
/// * `tests`: how many the module has.
///
/// `KIBA_SEED` is the seed; otherwise each run has another.
pub fn explore(tests: usize, test: impl Fn() + Send + Sync + 'static) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seed = number("KIBA_SEED").unwrap_or_else(|| kiba::store::KeyHasher::seeded().hash(b"a seed"));
    let schedules = number("KIBA_SCHEDULES").map_or(SCHEDULES, |count| count as usize).div_ceil(tests);
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    println!("{name}: {schedules} schedules, KIBA_SEED={seed}");
    let test = std::sync::Arc::new(test);
    let run = |scheduler: Box<dyn Scheduler + Send>| {
        let mut config = Config::new();
        config.stack_size = STACK;
        config.max_steps = MaxSteps::FailAfter(1_000_000);
        config.silence_warnings = true;
        let test = std::sync::Arc::clone(&test);
        Runner::new(scheduler, config).run(move || test());
    };
    run(Box::new(RandomScheduler::new_from_seed(seed, schedules.div_ceil(2))));
    run(Box::new(PctScheduler::new_from_seed(seed, DEPTH, schedules / 2)));
}
