//! Builds that watch themselves: fuzzing (libFuzzer with AddressSanitizer), and the stress tests under AddressSanitizer and
//! ThreadSanitizer. They need what stable Rust hides behind `RUSTC_BOOTSTRAP=1`, on Linux.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::{cargo, root, run, rustc, rustc_said};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The fuzz targets, the slowest to learn first.
const FUZZ_TARGETS: [&str; 6] = ["session", "restore", "lexer", "config", "glob", "number"];

/// Counters for every edge and every comparison, which libFuzzer steers by.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Bytes of an input at most, megabytes of one allocation and of the process, and seconds of one input: an input that
/// needs more has found something.
const LIMITS: [&str; 4] = ["-max_len=4096", "-malloc_limit_mb=64", "-rss_limit_mb=2048", "-timeout=20"];

/// Feeds the targets for so many seconds each, some of them at the same time.
///
/// What they learn is kept in `target/fuzz/corpus`, what they find in `target/fuzz/found`.
pub fn fuzz(only: Option<&str>, seconds: u32) -> Result<(), String> {
    if let Some(name) = only.filter(|name| !FUZZ_TARGETS.contains(name)) {
        return Err(format!("no such target: {name}; there are {}", FUZZ_TARGETS.join(", ")));
    }
    if !is_able("address") {
        return Ok(());
    }
    let target_dir = root().join("target/fuzz");
    let mut build = cargo();
    build.current_dir(root().join("fuzz")).args(["build", "--target", TARGET, "--target-dir"]).arg(&target_dir);
    build.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", format!("{COVERAGE} -Zsanitizer=address"));
    run(&mut build)?;
    let mut waiting: VecDeque<&str> =
        FUZZ_TARGETS.into_iter().filter(|name| only.is_none_or(|it| it == *name)).collect();
    // One more than there are cores: some wait for their server's threads.
    let most = std::thread::available_parallelism().map_or(1, usize::from) + 1;
    let mut running: VecDeque<(&str, Child)> = VecDeque::new();
    let mut failed = Vec::new();
    while !waiting.is_empty() || !running.is_empty() {
        while running.len() < most
            && let Some(name) = waiting.pop_front()
        {
            running.push_back((name, fuzz_one(name, seconds, &target_dir)?));
        }
        // They all take the same time.
        let (name, child) = running.pop_front().expect("one was started at least");
        let output = child.wait_with_output().map_err(|error| format!("cannot wait for {name}: {error}"))?;
        let text = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            println!("fuzz {name}: {}", text.lines().rfind(|line| line.starts_with("Done ")).unwrap_or("done"));
        } else {
            let lines: Vec<&str> = text.lines().collect();
            println!("fuzz {name}: failed\n{}", lines[lines.len().saturating_sub(80)..].join("\n"));
            failed.push(name);
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("found something: {}; see target/fuzz/found", failed.join(", ")))
    }
}

fn fuzz_one(name: &str, seconds: u32, target_dir: &std::path::Path) -> Result<Child, String> {
    let directory = |kind: &str| -> Result<PathBuf, String> {
        let path = target_dir.join(kind).join(name);
        std::fs::create_dir_all(&path).map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        Ok(path)
    };
    let mut command = Command::new(target_dir.join(TARGET).join("debug").join(name));
    command.arg(directory("corpus")?).arg(root().join("fuzz/corpus").join(name)).args(LIMITS);
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-artifact_prefix={}/", directory("found")?.display()));
    let words = root().join(format!("fuzz/{name}.dict"));
    if words.exists() {
        command.arg(format!("-dict={}", words.display()));
    }
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    child.map_err(|error| format!("cannot run {name}: {error}"))
}

/// Runs the tests of the store, the engines and the servers under a sanitizer, `address` or `thread`; with the former, what
/// is leaked is an error as well.
pub fn sanitize(sanitizer: &str) -> Result<(), String> {
    if !is_able(sanitizer) || sanitizer == "thread" && !has_sources_of_std() {
        return Ok(());
    }
    let since = Instant::now();
    let flags = format!("-Zsanitizer={sanitizer} --cfg kiba_sanitizer");
    let test = |arguments: &[&str]| {
        let mut command = cargo();
        command.args(["test", "--no-default-features", "--target", TARGET, "--target-dir"]);
        command.arg(root().join("target").join(sanitizer));
        if sanitizer == "thread" {
            command.arg("-Zbuild-std");
        }
        command.args(arguments);
        command.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", &flags).env("CARGO_PROFILE_DEV_OPT_LEVEL", "1");
        // Servers end by themselves, so that they tell what they leak, as the tests' own processes do.
        command.env("KIBA_SANITIZER", sanitizer);
        command.env("ASAN_OPTIONS", "detect_leaks=1:detect_stack_use_after_return=1");
        if sanitizer == "thread" {
            command.env("TSAN_OPTIONS", "halt_on_error=1:second_deadlock_stack=1");
        }
        command.env("KIBA_HAMMER_SECONDS", "2");
        run(&mut command)
    };
    test(&["--lib", "--", "store::", "engine::", "memory::", "sync::"])?;
    // The system's allocator does not count, so what `maxmemory` does is not to be seen here.
    test(&[
        "--test",
        "engines",
        "--test",
        "hammer",
        "--test",
        "wire",
        "--",
        "--skip",
        "eviction::",
        "--skip",
        "maxmemory",
    ])?;
    println!("{sanitizer} sanitizer: nothing found in {} s", since.elapsed().as_secs());
    Ok(())
}

/// Whether the standard library can be built along; says so if it cannot.
///
/// The one that is installed orders memory in ways that ThreadSanitizer does not see (fences, and atomics in code that is
/// not instrumented): the library's unit tests alone gave 346 reports, in the middle of Arc, Once, Mutex and mpsc.
fn has_sources_of_std() -> bool {
    let sysroot = rustc_said("sysroot").unwrap_or_default();
    let has = PathBuf::from(sysroot).join("lib/rustlib/src/rust/library").exists();
    if !has {
        println!("skipped: ThreadSanitizer needs the sources of the standard library: rustup component add rust-src");
    }
    has
}

/// Whether the toolchain can build with a sanitizer here; says so if it cannot.
fn is_able(sanitizer: &str) -> bool {
    let mut probe = Command::new(rustc());
    probe.args(["--target", TARGET, "--crate-type", "bin", "--crate-name", "probe", "-"]);
    let path = root().join(format!("target/can-{sanitizer}"));
    probe.arg(format!("-Zsanitizer={sanitizer}")).arg("-o").arg(&path);
    if sanitizer == "thread" {
        // The standard library of the probe is not built along.
        probe.arg("-Cunsafe-allow-abi-mismatch=sanitizer");
    }
    probe.env("RUSTC_BOOTSTRAP", "1").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let outcome = probe.spawn().and_then(|mut child| {
        use std::io::Write as _;
        child.stdin.take().expect("piped").write_all(b"fn main() {}")?;
        child.wait_with_output()
    });
    let _ = std::fs::remove_file(path);
    let error = match outcome {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    println!("skipped: this toolchain cannot build with the {sanitizer} sanitizer\n{error}");
    false
}
