//! Any file of options: no panic; it is taken, or its mistakes are told. And any value, for any option, with CONFIG SET.
#![no_main]

use kiba::config::{Caller, Config};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    // Other files are not to be read; an escape may spell the word as well.
    if text.to_lowercase().contains("include") || text.contains("\\x") {
        return;
    }
    match Config::from_text(&text) {
        Ok(config) => {
            // What is shown is taken again.
            let shown = config.get(|_| true);
            let _ = config.set(&shown, Caller::Local);
        }
        Err(problems) => assert!(!problems.is_empty()),
    }
    if let Some((name, value)) = text.split_once(' ') {
        let _ = Config::default().set(&[(name, value)], Caller::Remote);
    }
});
