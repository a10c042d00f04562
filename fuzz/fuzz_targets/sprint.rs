//! Whatever stands in `sprint.toml`, it is a configuration or an error that says where; and a threshold that is
//! written into it can be read again. So can the words of whoever proposes a sprint, and they change nothing else: of an
//! input with NULs, what stands between these is a title, a question, and what it is about.

#![no_main]

use diptych_core::config::{Overrides, SprintConfig, edit, template};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let words: Vec<&str> = text.split('\0').collect();
    if let [title, question, about] = words[..] {
        return proposed([title, question, about]);
    }
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

fn proposed([title, question, about]: [&str; 3]) {
    let parse = |text: &str| SprintConfig::parse("sprint.toml", text, &Overrides::none());
    let plain = template::sprint_toml("birds", "Birds", &["prompts.txt".to_owned()]);
    let mut wanted = parse(&plain).expect("the template is a configuration");
    let text =
        edit::with_words(&plain, [title, question, about], &wanted.models).expect("any words can be written");
    let Ok(config) = parse(&text) else { return };
    wanted.sprint.title = title.to_owned();
    wanted.sprint.question = question.to_owned();
    if !about.is_empty() {
        wanted.annotate.about = about.to_owned();
    }
    assert_eq!(config, wanted, "nothing else is changed");
}
