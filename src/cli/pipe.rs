//! `--pipe`: mass insertion. Standard input goes to the server as it is; replies are only counted.

use std::io::{self, IsTerminal, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressStyle};

use crate::client::{Connection, Target};
use crate::output::say;
use crate::resp::{self, Reply};

/// How much is read from standard input at once.
const CHUNK_BYTES: usize = 64 << 10;

/// How often the wait for a reply looks at the clock and the sender.
const POLL: Duration = Duration::from_millis(100);

/// What the sending thread tells the receiving one.
#[derive(Default)]
struct Sent {
    bytes: AtomicU64,
    /// Everything was handed to the socket, the closing ECHO included. Release/acquire: the last write happens before.
    done: AtomicBool,
}

/// Sends standard input and waits until the server has answered all of it.
///
/// * `timeout`: how long to wait for another reply once everything was sent; zero: for ever.
///
/// # Errors
/// The line for standard error, when there is no connection.
pub fn run(target: &Target, timeout: Duration) -> Result<ExitCode, String> {
    let mut connection = Connection::log_in(target)?;
    let mut writer = connection.writer().map_err(|error| resp::reason(&error))?;
    let sent = Arc::new(Sent::default());
    let magic = magic();
    let sender = {
        let (sent, magic) = (Arc::clone(&sent), magic.clone());
        // Not joined: when the server is gone it may hang in a read of standard input, and the process ends anyway.
        std::thread::spawn(move || {
            let result = send(&mut *writer, &magic, &sent);
            sent.done.store(true, Ordering::Release);
            result
        })
    };
    let bar = bar();
    let (mut errors, mut replies) = (0_u64, 0_u64);
    let mut last = Instant::now();
    let mut announced = false;
    loop {
        let done = sent.done.load(Ordering::Acquire);
        if done && !announced {
            announced = true;
            last = Instant::now();
            bar.suspend(|| say("All data transferred. Waiting for the last reply..."));
        }
        bar.set_position(sent.bytes.load(Ordering::Relaxed));
        bar.set_message(format!("{replies} replies, {errors} errors"));
        match connection.wait(POLL) {
            Ok(true) => {}
            Ok(false) if done && !timeout.is_zero() && last.elapsed() >= timeout => {
                bar.finish_and_clear();
                eprintln!("No replies for {} seconds: exiting.", timeout.as_secs());
                errors += 1;
                break;
            }
            Ok(false) => continue,
            Err(error) => return Err(format!("Error reading from the server: {}", resp::reason(&error))),
        }
        let reply = connection.receive().map_err(|fault| {
            bar.finish_and_clear();
            format!("Error reading from the server: {fault}")
        })?;
        last = Instant::now();
        match reply {
            Reply::Push(_) => continue,
            Reply::Bulk(text) if text == magic => {
                bar.finish_and_clear();
                if !announced {
                    say("All data transferred. Waiting for the last reply...");
                }
                say("Last reply received from server.");
                break;
            }
            Reply::Error(text) => {
                bar.suspend(|| eprintln!("{}", String::from_utf8_lossy(&text)));
                errors += 1;
            }
            _ => {}
        }
        replies += 1;
    }
    if sender.is_finished()
        && let Ok(Err(error)) = sender.join()
    {
        eprintln!("Error writing to the server: {}", resp::reason(&error));
        errors += 1;
    }
    say(format_args!("errors: {errors}, replies: {replies}"));
    Ok(if errors > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Copies standard input, then asks for an echo that marks the end.
fn send(writer: &mut dyn Write, magic: &[u8], sent: &Sent) -> io::Result<()> {
    let mut input = io::stdin().lock();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = input.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        writer.write_all(&chunk[..count])?;
        sent.bytes.fetch_add(count as u64, Ordering::Relaxed);
    }
    // The line end closes an inline command that lacks its own; an empty line is nothing to the server.
    let mut last = b"\r\n".to_vec();
    resp::encode(&[b"ECHO", magic], &mut last);
    writer.write_all(&last)
}

/// Twenty characters that no other reply of the same session can be expected to equal.
fn magic() -> Vec<u8> {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    format!("{:020}", time ^ (u64::from(std::process::id()) << 40)).into_bytes()
}

/// A bar where standard error is a terminal and standard output would not be torn by it.
fn bar() -> ProgressBar {
    if !io::stderr().is_terminal() || !io::stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    let length = std::fs::metadata("/dev/stdin").ok().filter(std::fs::Metadata::is_file).map(|file| file.len());
    let (bar, template) = match length {
        Some(length) => (ProgressBar::new(length), "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {msg} eta {eta}"),
        None => (ProgressBar::new_spinner(), "{spinner} {bytes} {bytes_per_sec} {msg}"),
    };
    bar.with_style(ProgressStyle::with_template(template).expect("a fixed template"))
}
