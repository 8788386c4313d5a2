//! Buffers for what arrives in pieces. They are lent while a message or a line is cut and go back when it is whole: ten thousand
//! idle sessions hold none, and one whose messages never fit a read allocates none either. Used by `ws/decoder.rs` and
//! `sse/parser.rs`.

use std::cell::RefCell;

/// Buffers kept for the next borrower.
const KEPT: usize = 64;
/// Larger ones are freed when they come back, bytes.
const LARGEST: usize = 64 * 1024;

/// The spare buffers of one core.
#[derive(Debug, Default)]
pub(crate) struct Spares {
    list: RefCell<Vec<Vec<u8>>>,
}

impl Spares {
    /// Appends to a buffer; one that holds nothing is exchanged for a spare one first.
    pub(crate) fn append(&self, buffer: &mut Vec<u8>, bytes: &[u8]) {
        if buffer.capacity() == 0
            && !bytes.is_empty()
            && let Some(spare) = self.list.borrow_mut().pop()
        {
            *buffer = spare;
        }
        buffer.extend_from_slice(bytes);
    }

    /// Takes the contents' memory back; the buffer is empty then and holds nothing.
    pub(crate) fn reclaim(&self, buffer: &mut Vec<u8>) {
        let mut spare = std::mem::take(buffer);
        let mut list = self.list.borrow_mut();
        if (1..=LARGEST).contains(&spare.capacity()) && list.len() < KEPT {
            spare.clear();
            list.push(spare);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_returned_buffer_is_lent_again_and_a_huge_one_is_not() {
        let spares = Spares::default();
        let mut buffer = Vec::new();
        spares.append(&mut buffer, &[1; 1000]);
        let memory = buffer.as_ptr();
        spares.reclaim(&mut buffer);
        assert_eq!((buffer.capacity(), spares.list.borrow().len()), (0, 1));
        spares.append(&mut buffer, &[2; 3]);
        assert_eq!((buffer.as_slice(), buffer.as_ptr()), ([2; 3].as_slice(), memory));
        spares.append(&mut buffer, &[2; LARGEST]);
        spares.reclaim(&mut buffer);
        assert!(buffer.is_empty() && spares.list.borrow().is_empty());
        spares.append(&mut buffer, &[]);
        assert_eq!(buffer.capacity(), 0);
    }
}
