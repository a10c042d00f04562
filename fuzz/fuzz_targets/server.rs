//! Whatever stands in `diptych.toml`, and whatever a person calls themselves: a configuration or an error that says
//! where; a name that can be told from others, or an error.

#![no_main]

use diptych_core::Name;
use diptych_core::config::{Overrides, ServerConfig};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match ServerConfig::parse("diptych.toml", text, &Overrides::none()) {
        Ok(mut config) => config.in_space(|_| Some(text.to_owned())),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(name) = Name::parse(text) {
        assert!(!name.shown().trim().is_empty() && !name.handle().is_empty());
        let again = Name::parse(name.shown()).expect("what is shown is a name");
        assert_eq!(again.handle(), name.handle(), "and the same one");
        Name::parse(name.numbered(7).shown()).expect("so is the next one of that name");
    }
});
