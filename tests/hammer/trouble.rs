//! Those who disturb the others.

use std::time::Duration;

use crate::link::{Answer, Life};
use crate::pools::pause;
use crate::record::Log;
use crate::stage::{Phase, Stage};
use crate::support::Value;

/// Kills whomever it meets.
pub fn kill(stage: &Stage, random: &mut fastrand::Rng, who: usize) -> Log {
    let log = Log { who, ..Log::default() };
    let mut life = Life::immortal(stage, random);
    while stage.phase() < Phase::End {
        if let Some(id) = stage.victim(random) {
            life.call(&["CLIENT", "KILL", "ID", &id.to_string()]);
        }
        pause(random, 20_000);
    }
    log
}

/// Ends waits.
pub fn unblock(stage: &Stage, random: &mut fastrand::Rng, who: usize) -> Log {
    let mut log = Log { who, ..Log::default() };
    let mut life = Life::immortal(stage, random);
    while stage.phase() < Phase::End {
        if let Some(id) = stage.victim(random) {
            let is_error = random.bool();
            let how = if is_error { "ERROR" } else { "TIMEOUT" };
            if let Answer::Reply(Value::Int(1)) = life.call(&["CLIENT", "UNBLOCK", &id.to_string(), how]) {
                log.unblocks += u64::from(is_error);
            }
        }
        pause(random, 4000);
    }
    log
}

/// Lets everybody wait for a moment.
pub fn hold_up(stage: &Stage, random: &mut fastrand::Rng, who: usize) -> Log {
    let log = Log { who, ..Log::default() };
    let mut life = Life::immortal(stage, random);
    while stage.phase() < Phase::End {
        let mode = if random.bool() { "ALL" } else { "WRITE" };
        life.call(&["CLIENT", "PAUSE", &random.u32(1..40).to_string(), mode]);
        if random.u8(..4) == 0 {
            life.call(&["CLIENT", "UNPAUSE"]);
        }
        std::thread::sleep(Duration::from_millis(random.u64(100..600)));
    }
    log
}
