// SPDX-License-Identifier: Apache-2.0
use crate::{sys, Error, Status};
use std::ffi::c_char;
use std::fmt;

/// Bytes of all labels of an exemplar, with a NUL behind each text.
const ROOM: usize = sys::KVTEL_EXEMPLAR_TEXT as usize;

/// A text with a NUL behind it, without an allocation. One that is longer than an exemplar can hold is refused.
struct Short([u8; ROOM + 1]);

impl Short {
    fn of(text: &str) -> Result<Self, Error> {
        let mut copy = [0; ROOM + 1];
        if text.len() > ROOM || text.as_bytes().contains(&0) {
            return Err(Error::new(Status::Argument));
        }
        copy[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self(copy))
    }

    fn address(&self) -> *const c_char {
        self.0.as_ptr().cast()
    }
}

/// The labels by which a transfer is found again: a trace, a request, a peer. They are no labels of a series, so they
/// may have any number of values. One exemplar may be used for many records.
#[derive(Clone, Copy)]
pub struct Exemplar(pub(crate) sys::kvtel_exemplar);

impl Exemplar {
    /// An exemplar without labels.
    pub const fn new() -> Self {
        Self(sys::kvtel_exemplar { time_ns: 0, size: 0, text: [0; ROOM], reserved: [0; 3] })
    }

    /// Adds a label. Names and values of all labels have 128 characters at most.
    ///
    /// # Errors
    /// [`Status::Argument`], and nothing is added: `name` is not a label's name or is there already, or there is no room.
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let (name, value) = (Short::of(name)?, Short::of(value)?);
        // SAFETY: the texts are NUL-terminated and live through the call.
        taken(unsafe { sys::kvtel_exemplar_add(&mut self.0, name.address(), value.address()) })
    }

    /// Adds the labels `trace_id` and `span_id` from a W3C `traceparent`, both or none.
    ///
    /// # Errors
    /// [`Status::Argument`]: the text is malformed, or as for [`add`](Self::add).
    pub fn add_traceparent(&mut self, traceparent: &str) -> Result<(), Error> {
        let traceparent = Short::of(traceparent)?;
        // SAFETY: the text is NUL-terminated and lives through the call.
        taken(unsafe { sys::kvtel_exemplar_add_traceparent(&mut self.0, traceparent.address()) })
    }

    /// When the transfer was, in nanoseconds since 1970. Without it the call that records reads the clock.
    #[must_use]
    pub const fn at(mut self, unix_ns: u64) -> Self {
        self.0.time_ns = unix_ns;
        self
    }
}

fn taken(is_taken: bool) -> Result<(), Error> {
    if is_taken {
        Ok(())
    } else {
        Err(Error::new(Status::Argument))
    }
}

impl Default for Exemplar {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Exemplar {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = (self.0.size as usize).min(ROOM);
        let text: Vec<u8> = self.0.text[..size].iter().map(|c| c.to_ne_bytes()[0]).collect();
        let texts: Vec<_> = text.split(|c| *c == 0).map(String::from_utf8_lossy).collect();
        to.debug_struct("Exemplar").field("time_ns", &self.0.time_ns).field("labels", &texts).finish()
    }
}
