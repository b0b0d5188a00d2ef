//! Any bytes as a script: checking them ends, in a program or in errors whose places are in the text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postroom::sieve::{Engine, Options, Script};

fuzz_target!(|data: &[u8]| {
    let engine = Engine::new(Options {
        cached_scripts: 1,
        ..Options::default()
    });
    let checked = engine.check(&Script::new("fuzzed", data));
    let lines = data.split(|byte| *byte == b'\n').count();
    for error in checked.errors.iter().chain(&checked.warnings) {
        let line = error.line.map_or(1, |line| line as usize);
        assert!((1..=lines).contains(&line), "{error}");
        assert!(!error.illustrated().is_empty());
    }
    assert!(checked.errors.is_empty() || checked.warnings.is_empty());
});
