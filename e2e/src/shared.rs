//! Work that several tests look at: done once per process, by the first test that asks; the others wait for it.

use std::sync::OnceLock;

use anyhow::{Result, anyhow};

/// Something that is made once.
#[derive(Debug)]
pub struct Shared<T> {
    made: OnceLock<Result<T, String>>,
    make: fn() -> Result<T>,
}

impl<T> Shared<T> {
    /// Will be made by `make`.
    pub const fn new(make: fn() -> Result<T>) -> Self {
        Self { made: OnceLock::new(), make }
    }

    /// Makes it, or waits until another test has.
    ///
    /// # Errors
    /// The maker's, for every test.
    pub fn get(&self) -> Result<&T> {
        let made = self.made.get_or_init(|| (self.make)().map_err(|error| format!("{error:#}")));
        made.as_ref().map_err(|error| anyhow!("{error}"))
    }
}
