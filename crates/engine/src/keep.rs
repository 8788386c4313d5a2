//! What is kept of a response's body: all of it where a step needs it, its beginning where it explains a failure, else nothing.
//! Filled by `h1/` and `h2.rs`, asked for by `request.rs`.

use plimsoll_measure::ErrorClass;
use plimsoll_scenario::Expect;

use crate::fault::{EXCERPT, Fault};

/// The longest body that is kept, bytes. Bodies that nobody needs may have any length.
const LIMIT: usize = 16 * 1024 * 1024;

/// How much of one response is kept, and where.
#[derive(Debug)]
pub(crate) struct Keep<'k> {
    /// Emptied before every exchange.
    pub(crate) body: &'k mut Vec<u8>,
    /// All of it is wanted.
    pub(crate) all: bool,
    /// The beginning is wanted if the status is not among these.
    pub(crate) unless: Option<&'k Expect>,
}

impl Keep<'_> {
    /// Takes the next piece of the body of a response with this status.
    #[inline]
    pub(crate) fn take(&mut self, status: u16, piece: &[u8]) -> Result<(), Fault> {
        if self.all {
            return self.take_all(piece);
        }
        match self.unless {
            Some(expected) if !expected.contains(status) => self.take_beginning(piece),
            _ => {}
        }
        Ok(())
    }

    fn take_all(&mut self, piece: &[u8]) -> Result<(), Fault> {
        if self.body.len() + piece.len() > LIMIT {
            let cause =
                "the body is longer than 16 MiB, the most that a check, capture or expression can see";
            return Err(Fault::new(ErrorClass::Body, cause));
        }
        self.body.extend_from_slice(piece);
        Ok(())
    }

    /// One byte more than is shown tells that there is more.
    fn take_beginning(&mut self, piece: &[u8]) {
        let room = (EXCERPT + 1).saturating_sub(self.body.len());
        self.body.extend_from_slice(&piece[..piece.len().min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_wanted() {
        let expected = Expect::new(&[(200, 399)]);
        let kept = |all, unless, status| {
            let mut body = Vec::new();
            let mut keep = Keep { body: &mut body, all, unless };
            for _ in 0..30 {
                keep.take(status, b"0123456789").unwrap();
            }
            body.len()
        };
        assert_eq!(kept(false, None, 500), 0);
        assert_eq!(kept(false, Some(&expected), 200), 0);
        assert_eq!(kept(false, Some(&expected), 500), 201);
        assert_eq!(kept(true, Some(&expected), 200), 300);
    }

    #[test]
    fn a_body_that_is_too_long_to_be_kept_fails_with_the_reason() {
        let mut body = vec![0; LIMIT];
        let mut keep = Keep { body: &mut body, all: true, unless: None };
        let fault = keep.take(200, b"x").unwrap_err();
        assert_eq!(fault.class, ErrorClass::Body);
        assert!(fault.cause.contains("16 MiB"), "{}", fault.cause);
    }
}
