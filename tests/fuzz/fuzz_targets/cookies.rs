#![no_main]
//! See `fuzz::cookies`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::cookies::check(data);
});
