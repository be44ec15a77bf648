//! `--latency`, `--latency-history`, `--latency-dist` and `--intrinsic-latency`.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::client::{Connection, Target};
use crate::format::Form;
use crate::output::{self, say};

/// Pause between two samples; redis-cli's.
const SAMPLE_EVERY: Duration = Duration::from_millis(10);

/// What becomes of the samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Plain,
    /// A line per interval.
    History,
}

/// Smallest, largest and sum of round trips.
#[derive(Clone, Copy, Debug, Default)]
struct Samples {
    min: Duration,
    max: Duration,
    sum: Duration,
    /// The sum of whole milliseconds, which is what redis-cli averages.
    sum_ms: u128,
    count: u32,
}

impl Samples {
    fn add(&mut self, took: Duration) {
        self.min = if self.count == 0 { took } else { self.min.min(took) };
        self.max = self.max.max(took);
        self.sum += took;
        self.sum_ms += took.as_millis();
        self.count += 1;
    }

    fn average_ms(&self) -> f64 {
        self.sum_ms as f64 / f64::from(self.count.max(1))
    }
}

/// Samples the round trip of PING. On a terminal the figures move, with microseconds; elsewhere there is one line
/// with whole milliseconds, as redis-cli has it.
///
/// # Errors
/// The line for standard error.
pub fn run(target: &Target, mode: Mode, interval: Duration, form: Form) -> Result<(), String> {
    let terminal = io::stdout().is_terminal() && matches!(form, Form::Terminal);
    let fallback = if mode == Mode::History { 15 } else { 1 };
    let interval = if interval.is_zero() { Duration::from_secs(fallback) } else { interval };
    let mut connection = Connection::log_in(target)?;
    let mut samples = Samples::default();
    let mut began = Instant::now();
    let mut out = io::stdout();
    loop {
        samples.add(ping(&mut connection)?);
        let text = |samples: &Samples| {
            let ms = |time: Duration| time.as_secs_f64() * 1e3;
            let average = ms(samples.sum) / f64::from(samples.count);
            let (min, max, count) = (ms(samples.min), ms(samples.max), samples.count);
            format!("\x1b[0G\x1b[2Kmin: {min:.3} ms, max: {max:.3} ms, avg: {average:.3} ms ({count} samples)")
        };
        let written = if terminal { write!(out, "{}", text(&samples)).and_then(|()| out.flush()) } else { Ok(()) };
        written.map_err(output::failed)?;
        let elapsed = began.elapsed();
        if (mode == Mode::History || !terminal) && elapsed >= interval {
            let line = match (terminal, form) {
                (true, _) => format!(" -- {:.2} seconds range", elapsed.as_secs_f64()),
                (false, Form::Csv) => plain(&samples, ","),
                (false, _) => plain(&samples, " "),
            };
            writeln!(out, "{line}").and_then(|()| out.flush()).map_err(output::failed)?;
            if mode == Mode::Plain {
                return Ok(());
            }
            samples = Samples::default();
            began = Instant::now();
        }
        std::thread::sleep(SAMPLE_EVERY);
    }
}

fn plain(samples: &Samples, between: &str) -> String {
    let (min, max) = (samples.min.as_millis(), samples.max.as_millis());
    format!("{min}{between}{max}{between}{:.2}{between}{}", samples.average_ms(), samples.count)
}

fn ping(connection: &mut Connection) -> Result<Duration, String> {
    let began = Instant::now();
    connection.call(&["PING"]).map_err(|fault| format!("Error: {fault}"))?;
    Ok(began.elapsed())
}

/// Upper borders of the spectrum's columns in microseconds, and their letters.
const COLUMNS: [(u64, char); 28] = [
    (10, '.'),
    (125, '-'),
    (250, '*'),
    (500, '#'),
    (1_000, '1'),
    (2_000, '2'),
    (3_000, '3'),
    (4_000, '4'),
    (5_000, '5'),
    (6_000, '6'),
    (7_000, '7'),
    (8_000, '8'),
    (9_000, '9'),
    (10_000, 'A'),
    (20_000, 'B'),
    (30_000, 'C'),
    (40_000, 'D'),
    (50_000, 'E'),
    (100_000, 'F'),
    (200_000, 'G'),
    (300_000, 'H'),
    (400_000, 'I'),
    (500_000, 'J'),
    (1_000_000, 'K'),
    (2_000_000, 'L'),
    (4_000_000, 'M'),
    (8_000_000, 'N'),
    (u64::MAX, '?'),
];

/// From black over grey to yellow and red, as 256-colour codes.
const SHADES: [u8; 12] = [16, 233, 235, 238, 241, 244, 247, 143, 184, 214, 202, 196];

/// `--latency-dist`: one line of colours an interval; the brighter, the more samples in that column.
///
/// # Errors
/// The line for standard error.
pub fn spectrum(target: &Target, interval: Duration) -> Result<(), String> {
    let interval = if interval.is_zero() { Duration::from_secs(1) } else { interval };
    let mut connection = Connection::log_in(target)?;
    let mut out = io::stdout();
    let legend: String = SHADES.iter().map(|shade| format!("\x1b[48;5;{shade}m ")).collect();
    let text = format!(
        "---------------------------------------------\n. - * #          .01 .125 .25 .5 milliseconds\n1,2,3,...,9      \
         from 1 to 9     milliseconds\nA,B,C,D,E        10,20,30,40,50  milliseconds\nF,G,H,I,J        \
         .1,.2,.3,.4,.5       seconds\nK,L,M,N,?        1,2,4,8,more         seconds\nFrom 0 to 100%: {legend}\x1b[0m\n\
         ---------------------------------------------\n"
    );
    write!(out, "{text}").map_err(output::failed)?;
    loop {
        let mut counts = [0_u32; COLUMNS.len()];
        let began = Instant::now();
        while began.elapsed() < interval {
            let took = ping(&mut connection)?.as_micros() as u64;
            let column = COLUMNS.iter().position(|(border, _)| took <= *border).unwrap_or(COLUMNS.len() - 1);
            counts[column] += 1;
            std::thread::sleep(SAMPLE_EVERY);
        }
        let total: u32 = counts.iter().sum();
        let cell = |(count, (_, letter)): (&u32, &(u64, char))| {
            let step = SHADES.len() as u32 - 1;
            // Rounded up, so that a single sample is not black.
            let shade = SHADES[((count * step).div_ceil(total.max(1))).min(step) as usize];
            format!("\x1b[38;5;0m\x1b[48;5;{shade}m{letter}")
        };
        let line: String = counts.iter().zip(&COLUMNS).map(cell).collect();
        writeln!(out, "{line}\x1b[0m").map_err(output::failed)?;
    }
}

/// `--intrinsic-latency`: how long this machine leaves a busy process waiting, without any server.
pub fn intrinsic(seconds: u64) {
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut worst, mut runs, mut total) = (Duration::ZERO, 0_u64, Duration::ZERO);
    let mut before = Instant::now();
    loop {
        let spun = spin();
        let now = Instant::now();
        let took = now - before;
        before = now;
        std::hint::black_box(spun);
        runs += 1;
        total += took;
        if took > worst {
            worst = took;
            say(format_args!("Max latency so far: {} microseconds.", worst.as_micros()));
        }
        if now >= end {
            break;
        }
    }
    let average = total.as_secs_f64() * 1e6 / runs as f64;
    say(format_args!(
        "\n{runs} total runs (avg latency: {average:.4} microseconds / {:.2} nanoseconds per run).",
        average * 1e3
    ));
    say(format_args!("Worst run took {:.0}x longer than the average latency.", worst.as_secs_f64() * 1e6 / average));
}

/// A few dozen nanoseconds of work that the compiler must not remove.
fn spin() -> u64 {
    (0..32_u64).fold(0, |sum, n| std::hint::black_box(sum ^ n.wrapping_mul(0x9e37_79b9)))
}
