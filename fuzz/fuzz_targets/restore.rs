//! Any payload with a right checksum: no panic, and what it makes is written and read back.
#![no_main]

use crc::{CRC_64_REDIS, Crc};
use kiba::store::Limits;
use kiba::store::rdb::{Making, dump, restore};
use libfuzzer_sys::fuzz_target;

const CRC: Crc<u64> = Crc::<u64>::new(&CRC_64_REDIS);

/// Before any deadline of a field that fits the format, so that none is due.
const NOW: u64 = 0;

fuzz_target!(|data: &[u8]| {
    let limits = Limits::default();
    let making = Making { key: b"key", clock: 0, limits: &limits, string_max: 1 << 20 };
    // Once as it is, which the checksum refuses nearly always.
    let _ = restore(data, &making);
    let mut payload = data.to_vec();
    payload.extend_from_slice(&12_u16.to_le_bytes());
    payload.extend_from_slice(&CRC.checksum(&payload).to_le_bytes());
    if let Ok(entry) = restore(&payload, &making) {
        let again = |payload: &[u8]| {
            let entry = restore(payload, &making).expect("what is dumped is restored");
            dump(&entry, NOW)
        };
        // A score of zero may lose its sign once, since a small set keeps none.
        let second = again(&dump(&entry, NOW));
        assert!(again(&second) == second, "what is dumped is restored as something else");
    }
});
