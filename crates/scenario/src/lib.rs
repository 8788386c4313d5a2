//! What a virtual user does: scenarios and steps as plain data, and their compiled form. Pure: no clock, no IO, no async.
//!
//! `plimsoll-api` lowers manifests to [`Scenario`]s (templates still text, checked by [`compile`]); the plan carries them to the
//! worker; the engine calls [`compile`] and [`Program::bind`] once and renders requests from the [`Bound`] scenarios.

mod bind;
mod compile;
mod encode;
mod error;
mod expr;
mod model;
mod parts;
mod request;
mod rng;
mod sequence;
mod slot;
mod template;
#[cfg(test)]
mod tests;

pub use bind::{Bound, CompiledAction, CompiledScenario, CompiledStep, CompiledTask, Origin, Tasks};
pub use compile::{Program, compile};
pub use error::{BindError, CompileError, RenderError, did_you_mean};
pub use model::{
    Action, Body, Field, HttpStep, Scenario, StatusRange, Step, Task, Var, VarSource, Vars, Wait,
};
pub use parts::Parts;
pub use request::{CompiledHttp, Expect};
pub use rng::{Rng, Stream};
pub use sequence::Sequence;
