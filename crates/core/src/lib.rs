//! The words of Diptych as types: ids, answers, decisions, stages, the taxonomy and the configuration.
//!
//! This crate does no input or output and knows no clock: everything here can be tested as a pure
//! function. It stands on the lowest floor, so every other crate may use it.

pub mod answer;
pub mod config;
pub mod decision;
pub mod id;
pub mod name;
pub mod role;
pub mod seed;
pub mod stage;
pub mod state;
pub mod taxonomy;
pub mod variant;

pub use answer::{Answer, Choice, Side};
pub use decision::{Decision, Screened, ScreeningPolicy};
pub use id::{AssignmentId, ImageHash, PairId, PersonId, PromptIndex, SprintId, UnitKey};
pub use name::{Name, NameError, visible};
pub use role::Role;
pub use stage::Stage;
pub use state::{AssignmentState, CheckKind, CleanState, ResponseState, Split, SprintState};
pub use variant::Evolution;
