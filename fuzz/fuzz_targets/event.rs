#![no_main]

use libfuzzer_sys::fuzz_target;
use purefold_hostile::Target;

fuzz_target!(|bytes: &[u8]| Target::Event.read(bytes));
