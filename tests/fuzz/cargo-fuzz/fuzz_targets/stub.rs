#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| polybuild_fuzz::properties::stub(data));
