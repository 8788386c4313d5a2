//! What a virtual user does: scenarios and steps as plain data, and their compiled form. Pure: no clock, no IO, no async.
//!
//! `plimsoll-api` lowers manifests to [`Scenario`]s (templates still text, checked by [`compile`]); the plan carries them to the
//! worker; the engine calls [`compile`] once and renders requests from the [`Program`].

mod model;

pub use model::{
    Action, Body, Field, HttpStep, Scenario, Step, StatusRange, Task, Var, VarSource, Vars, Wait,
};
