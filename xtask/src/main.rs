//! `cargo xtask test`: every test of Kiba by one command; `cargo xtask` lists the others.

mod instrumented;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// Interleavings with more than this many preemptions are left to the long run: nearly all bugs need two.
const PREEMPTIONS: &str = "2";
const PREEMPTIONS_LONG: &str = "3";

/// A bug that is planted in a model run, and the test that must find it.
struct Planted {
    model: &'static str,
    test: &'static str,
    bug: &'static str,
}

const PLANTED: &[Planted] = &[
    Planted {
        model: "locks",
        test: "two_writers_of_the_same_keys_in_opposite_order_do_not_deadlock",
        bug: "unordered-locks",
    },
    Planted {
        model: "watch",
        test: "transactions_that_watch_what_the_other_writes_do_not_both_run",
        bug: "watched-keys-not-locked",
    },
    Planted {
        model: "aside",
        test: "a_member_that_moves_from_one_key_to_the_other_is_seen_once",
        bug: "copies-not-looked-at",
    },
    Planted { model: "aside", test: "what_is_stored_is_what_the_keys_are_then", bug: "stored-without-looking" },
    Planted { model: "wait", test: "a_push_serves_a_waiter_or_finds_it_gone", bug: "waiter-claimed-without-exchange" },
    Planted {
        model: "wait",
        test: "a_push_while_somebody_gets_into_line_is_not_missed",
        bug: "waiter-registered-late",
    },
    Planted { model: "wait", test: "a_wish_for_the_end_comes_true_when_there_was_nothing", bug: "wish-forgotten" },
    Planted { model: "hot", test: "a_client_reads_its_own_write", bug: "hot-copy-outlives-a-write" },
    Planted { model: "hot", test: "a_client_reads_its_own_write", bug: "hot-copy-published-without-the-lock" },
    Planted { model: "hot", test: "a_pipeline_reads_its_own_writes", bug: "hot-copy-published-by-a-writer" },
    Planted { model: "outbox", test: "two_publishers_wake_one_that_waits", bug: "outbox-looked-at-before-waiting" },
    Planted { model: "outbox", test: "two_publishers_wake_one_that_waits", bug: "outbox-news-forgotten" },
    Planted { model: "outbox", test: "nothing_stays_behind_after_the_end", bug: "outbox-stays-open" },
];

const USAGE: &str = "cargo xtask COMMAND

  test              every test: units, wire, properties, documentation, histories, models
  histories [long]  what many clients are told at once, and whether an order explains it
  loom [long]       the models alone, and whether they find their planted bugs
  fuzz [TARGET] [SECONDS]
                    random input, 60 s for each target unless told otherwise
  asan, tsan        the stress tests under AddressSanitizer, ThreadSanitizer
  lint              formatting, clippy with warnings denied, documentation
  conf              writes kiba.conf anew from the table of options
  docs              writes docs/commands.md anew from the table of commands";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["test"] => test(),
        ["histories"] => histories(),
        ["histories", "long"] => histories_long(),
        ["loom"] => loom(PREEMPTIONS),
        ["loom", "long"] => loom(PREEMPTIONS_LONG),
        ["fuzz", ref options @ ..] => fuzz(options),
        ["asan"] => instrumented::sanitize("address"),
        ["tsan"] => instrumented::sanitize("thread"),
        ["lint"] => lint(),
        ["conf"] => conf(),
        ["docs"] => run(cargo().args(["test", "--test", "docs"]).env("KIBA_WRITE_DOCS", "1")),
        _ => Err(USAGE.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

/// Everything but the models, which need a build of their own.
const TESTS: [&str; 5] = ["test", "--workspace", "--all-targets", "--exclude", "loom-tests"];

/// Operations of the recorded histories, on each engine.
const HISTORIES: &str = "1000000";

/// Seconds of histories on each engine before a release.
const HISTORIES_LONG: &str = "1800";

fn test() -> Result<(), String> {
    run(cargo().args(TESTS).arg("--no-fail-fast"))?;
    run(cargo().args(["test", "--doc"]))?;
    histories()?;
    loom(PREEMPTIONS)
}

/// Records and checks histories of both engines.
fn histories() -> Result<(), String> {
    // The tests' build has both programs already. To build these two alone would build most of it again: fewer features.
    run(cargo().args(TESTS).args(["--no-run", "--quiet"]))?;
    let program = env::current_exe().map_err(|error| error.to_string())?.with_file_name("histories");
    run(Command::new(program).args(["--operations", HISTORIES]).current_dir(root()))
}

/// For long, and with a build that is fast enough to get into each other's way more often.
fn histories_long() -> Result<(), String> {
    let build = ["--profile", "quick", "--package", "kiba", "--package", "histories", "--bins"];
    run(cargo().arg("build").args(build))?;
    let program = ["--profile", "quick", "--package", "histories", "--", "--seconds", HISTORIES_LONG];
    run(cargo().arg("run").args(program))
}

/// With the arguments `[TARGET] [SECONDS]`.
fn fuzz(options: &[&str]) -> Result<(), String> {
    const SECONDS: u32 = 60;
    let seconds = options.last().and_then(|option| option.parse().ok());
    match (options, seconds) {
        ([] | [_], None) => instrumented::fuzz(options.first().copied(), SECONDS),
        ([_], Some(seconds)) => instrumented::fuzz(None, seconds),
        ([target, _], Some(seconds)) => instrumented::fuzz(Some(target), seconds),
        _ => Err(USAGE.into()),
    }
}

fn loom(preemptions: &str) -> Result<(), String> {
    let model = |tests: &[&str]| {
        let mut command = cargo();
        command.args(["test", "--package", "loom-tests", "--target-dir"]).arg(root().join("target/loom")).args(tests);
        let flags = env::var("RUSTFLAGS").unwrap_or_default();
        command.env("RUSTFLAGS", format!("{flags} --cfg kiba_loom")).env("LOOM_MAX_PREEMPTIONS", preemptions);
        // Loom's threads have small stacks: a panic on top of unoptimised frames overflows them, and then hangs.
        command.env("CARGO_PROFILE_DEV_OPT_LEVEL", "1");
        command
    };
    run(&mut model(&[]))?;
    for Planted { model: name, test, bug } in PLANTED {
        // One test a process, without a backtrace: a deadlock panics in the middle of loom's scheduler, and another test
        // that panics beside it, or the search for symbols, can then wait for ever.
        let output = model(&["--test", name, "--", "--exact", test, "--test-threads=1"])
            .env("KIBA_BUG", bug)
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .output();
        let output = output.map_err(|error| format!("cannot run cargo: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        // Found means that this one test ran and failed; a build that broke proves nothing.
        let has_run = text.contains("running 1 test") && text.contains("panicked at");
        if output.status.success() || !has_run {
            return Err(format!("the model {name} did not find its planted bug {bug}:\n{text}"));
        }
        println!("model {name}: the planted bug {bug} was found");
    }
    Ok(())
}

fn lint() -> Result<(), String> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]))?;
    run(cargo()
        .args(["doc", "--workspace", "--no-deps", "--document-private-items"])
        .env("RUSTDOCFLAGS", "--deny warnings"))
}

fn conf() -> Result<(), String> {
    let output = cargo().args(["run", "--quiet", "--bin", "kiba", "--", "--print-conf"]).output();
    let output = output.map_err(|error| format!("cannot run cargo: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    std::fs::write(root().join("kiba.conf"), output.stdout).map_err(|error| format!("cannot write kiba.conf: {error}"))
}

fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_path_buf()
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words: Vec<_> = std::iter::once(program).chain(command.get_args()).map(|word| word.to_string_lossy()).collect();
    let line = words.join(" ");
    println!("{line}");
    let status = command.status().map_err(|error| format!("cannot run {line}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("failed: {line}")) }
}
