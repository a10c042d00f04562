//! The program from outside: the built binary in empty folders, as a user runs it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod backup;
mod bad_input;
mod crash;
mod engines;
mod full_disk;
mod kit;
mod look;
mod organize;
mod postgres;
mod read_only;
mod results;
mod review;
mod run;
mod screening;
mod serve;
mod server;
mod serving;
mod sign_in;
mod web_source;
