//! `cargo xtask test`: every test of Kiba by one command; `cargo xtask` lists the others.

mod instrumented;
mod pgo;

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// Interleavings with more than this many preemptions are left to the long run: nearly all bugs need two.
const PREEMPTIONS: &str = "2";
const PREEMPTIONS_LONG: &str = "3";

/// Schedules that are tried by chance in each of shuttle's modules.
const SCHEDULES: &str = "20000";
const SCHEDULES_LONG: &str = "1000000";

/// A bug that is planted in a model run, and the test that must find it.
struct Planted {
    model: &'static str,
    test: &'static str,
    bug: &'static str,
}

const fn planted(model: &'static str, test: &'static str, bug: &'static str) -> Planted {
    Planted { model, test, bug }
}

/// At least two in each of loom's models.
#[rustfmt::skip]
const LOOM_BUGS: &[Planted] = &[
    planted("locks", "two_writers_of_the_same_keys_in_opposite_order_do_not_deadlock", "unordered-locks"),
    planted("locks", "a_pipeline_that_goes_on_to_several_keys_does_not_deadlock", "pipeline-keeps-its-lock"),
    planted("watch", "transactions_that_watch_what_the_other_writes_do_not_both_run", "watched-keys-not-locked"),
    planted("watch", "of_two_compare_and_sets_on_one_key_no_update_is_lost", "watch-looked-at-before-locking"),
    planted("aside", "a_member_that_moves_from_one_key_to_the_other_is_seen_once", "copies-not-looked-at"),
    planted("aside", "what_is_stored_is_what_the_keys_are_then", "stored-without-looking"),
    planted("wait", "a_push_serves_a_waiter_or_finds_it_gone", "waiter-claimed-without-exchange"),
    planted("wait", "a_push_while_somebody_gets_into_line_is_not_missed", "waiter-registered-late"),
    planted("wait", "a_wish_for_the_end_comes_true_when_there_was_nothing", "wish-forgotten"),
    planted("hot", "a_client_reads_its_own_write", "hot-copy-outlives-a-write"),
    planted("hot", "a_client_reads_its_own_write", "hot-copy-published-without-the-lock"),
    planted("hot", "a_pipeline_reads_its_own_writes", "hot-copy-published-by-a-writer"),
    planted("outbox", "two_publishers_wake_one_that_waits", "outbox-looked-at-before-waiting"),
    planted("outbox", "two_publishers_wake_one_that_waits", "outbox-news-forgotten"),
    planted("outbox", "nothing_stays_behind_after_the_end", "outbox-stays-open"),
    planted("fanout", "two_subscribers_get_two_messages_in_one_order", "published-without-the-channel"),
    planted("fanout", "a_subscription_that_is_made_while_the_last_one_ends_holds", "channel-removed-in-two-steps"),
    planted("fanout", "a_client_that_keeps_copies_is_told_of_what_comes_after_it_has_read", "reader-noted-before-the-lock"),
    planted("fanout", "a_client_that_keeps_copies_is_told_of_what_comes_after_it_has_read", "copy-read-by-one-who-tracks"),
    planted("expiry", "a_deadline_that_is_moved_back_in_time_holds", "record-taken-for-the-deadline"),
    planted("expiry", "a_deadline_that_comes_while_the_sweeper_goes_to_sleep_wakes_it", "agenda-looked-at-before-sleeping"),
    planted("channel", "requests_of_two_clients_are_answered_though_the_owner_moves", "owner-leaves-with-a-message"),
    planted("channel", "a_walk_goes_on_where_the_owner_goes", "owner-leaves-its-walks"),
    planted("reaper", "everything_is_freed_once_and_no_more_waits_than_may", "garbage-counted-after-the-look"),
    planted("reaper", "everything_is_freed_once_and_no_more_waits_than_may", "garbage-forgotten-when-many-wait"),
    planted("gate", "once_it_is_closed_and_empty_it_stays_so", "gate-entered-after-its-end"),
    planted("gate", "once_it_is_closed_and_empty_it_stays_so", "gate-left-without-exchange"),
    planted("gate", "everybody_who_waits_hears_of_the_end_and_what_was_read_is_answered", "gate-looked-at-before-waiting"),
    planted("pause", "whoever_waits_goes_on_when_it_is_called_off", "pause-looked-at-before-waiting"),
    planted("pause", "of_two_pauses_the_longer_and_the_wider_hold", "pause-begun-without-its-lock"),
    planted("memory", "what_threads_that_share_a_place_have_added_is_not_lost", "stripe-given-twice"),
    planted("memory", "what_threads_that_share_a_place_have_added_is_not_lost", "shared-stripe-added-to-without-exchange"),
];

/// At least one in each of shuttle's.
#[rustfmt::skip]
const SHUTTLE_BUGS: &[Planted] = &[
    planted("shuttle", "locks::a_value_that_is_renamed_to_and_fro_is_under_one_name", "unordered-locks"),
    planted("shuttle", "locks::values_that_are_set_together_are_read_together", "pipeline-keeps-its-lock"),
    planted("shuttle", "locks::a_database_that_comes_into_use_is_flushed_with_the_others", "databases-counted-once"),
    planted("shuttle", "watch::of_those_who_watch_what_the_next_one_writes_not_all_run", "watched-keys-not-locked"),
    planted("shuttle", "watch::transfers_neither_make_money_nor_lose_it", "watch-looked-at-before-locking"),
    planted("shuttle", "aside::members_that_move_are_seen_once", "copies-not-looked-at"),
    planted("shuttle", "wait::each_element_is_served_once_whoever_leaves_meanwhile", "waiter-claimed-without-exchange"),
    planted("shuttle", "wait::what_is_moved_on_for_those_who_wait_arrives", "waiter-registered-late"),
    planted("shuttle", "hot::no_reader_goes_back_in_time", "hot-copy-outlives-a-write"),
    planted("shuttle", "fanout::all_subscribers_get_all_messages_in_one_order", "published-without-the-channel"),
    planted("shuttle", "fanout::a_channel_lives_as_long_as_somebody_listens", "channel-removed-in-two-steps"),
    planted("shuttle", "fanout::all_subscribers_get_all_messages_in_one_order", "outbox-looked-at-before-waiting"),
    planted("shuttle", "expiry::a_key_whose_deadline_was_moved_stays_until_then", "record-taken-for-the-deadline"),
    planted("shuttle", "expiry::the_sweeper_never_sleeps_past_a_deadline", "agenda-looked-at-before-sleeping"),
    planted("shuttle", "channel::all_clients_are_answered_once", "owner-leaves-with-a-message"),
    planted("shuttle", "channel::all_clients_are_answered_once", "owner-leaves-its-walks"),
    planted("shuttle", "small::what_eight_threads_hand_over_is_freed_once", "garbage-counted-after-the-look"),
    planted("shuttle", "small::a_closed_and_empty_gate_stays_so", "gate-left-without-exchange"),
    planted("shuttle", "small::all_who_wait_in_a_pause_go_on", "pause-looked-at-before-waiting"),
    planted("shuttle", "small::what_sixteen_threads_have_counted_is_counted", "stripe-given-twice"),
];

const USAGE: &str = "cargo xtask COMMAND

  test              every test: units, wire, properties, documentation, panics, histories, models
  faults            panics at every fault point, and what they may cost
  histories [long]  what many clients are told at once, and whether an order explains it
  loom [long]       loom's and shuttle's models alone, and whether they find their planted bugs
  fuzz [TARGET] [SECONDS]
                    random input, 60 s for each target unless told otherwise
  asan, tsan        the stress tests under AddressSanitizer, ThreadSanitizer
  pgo               builds target/pgo/kiba, optimised by what the benches make it do
  lint              formatting, clippy with warnings denied, documentation
  conf              writes kiba.conf anew from the table of options
  docs              writes docs/commands.md anew from the table of commands";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["test"] => test(),
        ["faults"] => faults(),
        ["histories"] => histories(),
        ["histories", "long"] => histories_long(),
        ["loom"] => loom(PREEMPTIONS).and_then(|()| shuttle(SCHEDULES)),
        ["loom", "long"] => loom(PREEMPTIONS_LONG).and_then(|()| shuttle(SCHEDULES_LONG)),
        ["fuzz", ref options @ ..] => fuzz(options),
        ["asan"] => instrumented::sanitize("address"),
        ["tsan"] => instrumented::sanitize("thread"),
        ["pgo"] => pgo::pgo(),
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
    faults()?;
    histories()?;
    loom(PREEMPTIONS)?;
    shuttle(SCHEDULES)
}

/// Throws panics, in a build that can. Of the whole workspace, so that it shares the other build's dependencies.
fn faults() -> Result<(), String> {
    let build = ["test", "--workspace", "--exclude", "loom-tests", "--features", "kiba/failpoints"];
    run(cargo().args(build).args(["--test", "faults"]))
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
    check("loom", &[], &[("LOOM_MAX_PREEMPTIONS", preemptions)], LOOM_BUGS)
}

fn shuttle(schedules: &str) -> Result<(), String> {
    // Another seed each time; a failure is tried again with its own.
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let seed = env::var("KIBA_SEED").unwrap_or_else(|_| time.as_nanos().to_string());
    println!("shuttle: {schedules} schedules a module, KIBA_SEED={seed}");
    check("shuttle", &["--test", "shuttle"], &[("KIBA_SCHEDULES", schedules), ("KIBA_SEED", &seed)], SHUTTLE_BUGS)
}

/// Runs all models of a checker, and sees that they find their planted bugs.
fn check(checker: &str, targets: &[&str], settings: &[(&str, &str)], bugs: &[Planted]) -> Result<(), String> {
    let model = |tests: &[&str]| {
        let mut command = cargo();
        command
            .args(["test", "--package", "loom-tests", "--target-dir"])
            .arg(root().join("target").join(checker))
            .args(tests);
        let flags = env::var("RUSTFLAGS").unwrap_or_default();
        command
            .env("RUSTFLAGS", format!("{flags} --cfg kiba_model --cfg kiba_{checker}"))
            .envs(settings.iter().copied());
        // The checkers' threads have small stacks: a panic on top of unoptimised frames overflows them, and then hangs.
        command.env("CARGO_PROFILE_DEV_OPT_LEVEL", "1").env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
        command
    };
    run(&mut model(targets))?;
    for Planted { model: name, test, bug } in bugs {
        // One test a process, without a backtrace: a deadlock panics in the middle of the scheduler, and another test
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
    let text = said(cargo().args(["run", "--quiet", "--bin", "kiba", "--", "--print-conf"]))?;
    std::fs::write(root().join("kiba.conf"), text).map_err(|error| format!("cannot write kiba.conf: {error}"))
}

fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

fn rustc() -> OsString {
    env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

/// What `rustc --print` says of one of its facts.
fn rustc_said(fact: &str) -> Result<String, String> {
    said(Command::new(rustc()).args(["--print", fact])).map(|text| text.trim().to_owned())
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

/// What a program prints.
fn said(command: &mut Command) -> Result<String, String> {
    let output =
        command.output().map_err(|error| format!("cannot run {}: {error}", command.get_program().display()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
