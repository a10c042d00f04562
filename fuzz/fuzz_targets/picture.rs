//! Whatever the bytes are, looking at them ends well; what can be inspected can be shown and screened, and
//! what cannot is not screened either.

#![no_main]

use diptych_picture::{Encoding, Limits, for_display, frames, inspect};
use libfuzzer_sys::fuzz_target;

/// Small enough that a picture which slips through costs little.
const LIMITS: Limits = Limits { bytes: 1 << 20, side: 256, pixels: 1 << 16, frames: 16 };

/// Sources whose panics `diptych_picture` catches; any other panic ends the fuzzing.
const DECODERS: [&str; 5] = ["zune-", "/png-", "/gif-", "/image-webp-", "/image-0."];

fn forgive_decoders() {
    let end = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map_or("", |place| place.file());
        if !DECODERS.iter().any(|decoder| place.contains(decoder)) {
            end(panic);
        }
    }));
}

fuzz_target!(init: forgive_decoders(), |bytes: &[u8]| {
    let known = inspect(bytes, &LIMITS);
    let mut seen = 0;
    let screened = frames(bytes, &LIMITS, |_| {
        seen += 1;
        true
    });
    match known {
        Ok(info) => {
            screened.expect("what can be inspected can be screened");
            assert_eq!(seen, info.frames, "every frame is screened");
            for_display(bytes, &[(16, 16)], Encoding::WebP, &LIMITS).expect("what can be inspected can be shown");
        }
        Err(_) => assert!(screened.is_err(), "what cannot be inspected is not screened"),
    }
});
