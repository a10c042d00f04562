//! Whatever stands in `sprint.toml`, it is a configuration or an error that says where; and a threshold that is
//! written into it can be read again.

#![no_main]

use diptych_core::config::{Overrides, SprintConfig, edit};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let none = Overrides::none();
    match SprintConfig::parse("sprint.toml", text, &none) {
        Ok(_) => {
            if let Ok(changed) = edit::with_threshold(text, "open-nsfw", 0.25) {
                SprintConfig::parse("sprint.toml", &changed, &none).expect("it is still a configuration");
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
