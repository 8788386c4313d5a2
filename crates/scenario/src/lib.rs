//! What a virtual user does: scenarios and steps as plain data, and their compiled form. Pure: no clock, no IO, no async.
//!
//! `plimsoll-api` lowers manifests to a [`Script`] (templates and expressions still text, checked by [`compile`]); the plan carries
//! it to the worker; the engine calls [`compile`] and [`Program::bind`] once, renders requests from the [`Bound`] scenarios and
//! hands each response to [`After::apply`], which changes the user's [`Memory`].

mod after;
mod build;
mod compiled;
mod encode;
mod error;
mod expr;
mod memory;
mod model;
mod origin;
mod parts;
mod request;
mod rng;
mod sequence;
mod slot;
mod table;
mod template;
#[cfg(test)]
mod tests;

pub use after::{After, CompiledAssigns, CompiledChecks, CompiledCondition, Note, Notes};
pub use build::{DataTexts, Program, compile};
pub use compiled::{
    Bound, CompiledAction, CompiledPoll, CompiledReading, CompiledScenario, CompiledSocketAction,
    CompiledSse, CompiledStep, CompiledStepAction, CompiledTask, CompiledText, CompiledWebSocket, Hooks,
    Needs, Tasks, Timeline,
};
pub use error::{BindError, CompileError, RenderError, did_you_mean};
pub use expr::{Env, Key, Map, Message, Response, TypeName, Value};
pub use memory::{Memory, Rows, RunNames, Shared, Slots};
pub use model::{
    Action, Assign, Body, Call, Check, Condition, Data, DataFormat, Field, HttpStep, Limit, Measure,
    MeasureKind, OnFailure, Pick, PollStep, Reading, Repeat, Retry, Scenario, Script, SseStep, StatusRange,
    Step, StepAction, StreamMetrics, Task, Var, VarSource, Vars, Wait, WebSocketAction, WebSocketStep,
};
pub use origin::Origin;
pub use parts::Parts;
pub use request::{CompiledHttp, Expect};
pub use rng::{Rng, Stream};
pub use sequence::Sequence;
pub use table::Table;
