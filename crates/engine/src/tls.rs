//! The one TLS provider of the process.

use std::sync::Once;

/// Installs the provider (`ring`), once. Every client that is built here calls it; a program that makes
/// TLS clients of its own calls it first.
pub fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error says that somebody installed a provider before: theirs serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
