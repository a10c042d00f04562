//! Engines that need no server.

pub(crate) mod folder;
pub(crate) mod rehearsal;
