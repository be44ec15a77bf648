//! A server that is laid out by what it really does: built with counters, driven by the benches, and built again by what the
//! counters say (profile-guided optimisation).

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{cargo, root, run, rustc_said, said};

/// What the server is driven with: the commands that are used most, one by one and in pipelines, and what is pushed and
/// waited for. What is not among it is laid out as without a profile, but for being held to be rare.
#[rustfmt::skip]
const TRAINING: [&[&str]; 2] = [
    &["--bench", "wire", "--", "--ops", "all", "--keys", "100000", "--pipelines", "1,16", "--rounds", "1", "--seconds", "0.5",
      "--syscalls", "off"],
    &["--bench", "push", "--", "--rounds", "1", "--seconds", "0.5"],
];

/// Builds `target/pgo/kiba`.
pub fn pgo() -> Result<(), String> {
    let target = rustc_said("host-tuple")?;
    let merger = profdata(&target)?;
    let directory = root().join("target/pgo");
    let profiles = directory.join("profiles");
    if profiles.exists() {
        fs::remove_dir_all(&profiles).map_err(|error| format!("cannot remove {}: {error}", profiles.display()))?;
    }
    let counting = build(&target, &directory.join("counting"), &format!("-Cprofile-generate={}", profiles.display()))?;
    for bench in TRAINING {
        run(cargo()
            .arg("bench")
            .args(bench)
            .args(["--servers", "sharded,channel", "--kiba"])
            .arg(&counting)
            .env("LLVM_PROFILE_FILE", profiles.join("%p.profraw")))?;
    }
    let profile = directory.join("kiba.profdata");
    run(Command::new(merger).arg("merge").arg("-o").arg(&profile).arg(&profiles))?;
    let guided = build(&target, &directory.join("guided"), &format!("-Cprofile-use={}", profile.display()))?;
    let kiba = directory.join("kiba");
    fs::copy(&guided, &kiba).map_err(|error| format!("cannot write {}: {error}", kiba.display()))?;
    println!("{}", kiba.display());
    Ok(())
}

/// Builds the server with `flags`, which build scripts and macros are spared; returns where it is.
fn build(target: &str, directory: &Path, flags: &str) -> Result<PathBuf, String> {
    run(cargo()
        .args(["build", "--release", "--bin", "kiba", "--target", target, "--target-dir"])
        .arg(directory)
        .env("RUSTFLAGS", flags))?;
    Ok(directory.join(target).join("release/kiba"))
}

/// `llvm-profdata`: what `LLVM_PROFDATA` names, the toolchain's own, or the system's.
fn profdata(target: &str) -> Result<PathBuf, String> {
    if let Some(named) = env::var_os("LLVM_PROFDATA") {
        return Ok(named.into());
    }
    let own = Path::new(&rustc_said("sysroot")?).join("lib/rustlib").join(target).join("bin/llvm-profdata");
    let candidates = [own, "llvm-profdata".into()];
    let found = candidates.into_iter().find(|it| said(Command::new(it).args(["merge", "--help"])).is_ok());
    found.ok_or("there is no llvm-profdata: rustup component add llvm-tools, or name one in LLVM_PROFDATA".into())
}
