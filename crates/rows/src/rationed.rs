//! Readers of records look for a record's end however far it is. This one gives no more than is left to be given.

use std::cell::Cell;
use std::io::Read;

use crate::LONGEST_RECORD;

/// What is left to be given before the next record begins.
pub(crate) struct Ration(Cell<usize>);

impl Ration {
    pub(crate) fn new() -> Self {
        Self(Cell::new(LONGEST_RECORD))
    }

    /// A new record begins.
    pub(crate) fn renew(&self) {
        self.0.set(LONGEST_RECORD);
    }

    /// Whether a record took everything.
    pub(crate) fn is_used_up(&self) -> bool {
        self.0.get() == 0
    }
}

/// A reader with a ration.
pub(crate) struct Rationed<'a, R> {
    pub(crate) inner: R,
    pub(crate) ration: &'a Ration,
}

impl<R: Read> Read for Rationed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.ration.0.get();
        let most = buffer.len().min(left);
        if most == 0 && !buffer.is_empty() {
            return Err(std::io::Error::other("the record is too long"));
        }
        let read = self.inner.read(&mut buffer[..most])?;
        self.ration.0.set(left - read);
        Ok(read)
    }
}
