//! Runs one share of a plan and reports through a door: the same code in a pod (`main.rs`) and in `plimsoll run`.

mod execute;
mod materials;
mod watched;

pub use execute::{ExecuteError, execute};
pub use materials::{MaterialError, Reader, Shelf, materials};
pub use watched::{Seen, Watched};
