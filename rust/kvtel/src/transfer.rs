// SPDX-License-Identifier: Apache-2.0
use crate::sys;
use std::fmt;
use std::time::Duration;

/// CLOCK_MONOTONIC in nanoseconds, for the points in time of a [`Transfer`].
pub fn now_ns() -> u64 {
    // SAFETY: it has no arguments.
    unsafe { sys::kvtel_now_ns() }
}

/// A duration for C. One that no transfer has (2^62 ns and more) is a number that is refused and counted.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).ok().filter(|ns| *ns < 1 << 62).unwrap_or(u64::MAX)
}

/// One finished transfer. What is not set was not measured, and no value is recorded for it.
///
/// Numbers of 2^62 and above are refused and counted when the transfer is recorded.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Transfer(pub(crate) sys::kvtel_transfer);

impl Transfer {
    const UNMEASURED: u64 = 1 << 63;

    /// A transfer of which nothing was measured.
    pub const fn new() -> Self {
        Self(sys::kvtel_transfer {
            duration_ns: Self::UNMEASURED,
            post_ns: 0,
            bytes: Self::UNMEASURED,
            descriptors: 0,
            failed: 0,
            submitted_ns: 0,
            posted_ns: 0,
            first_byte_ns: 0,
            done_ns: 0,
            reserved: 0,
        })
    }

    /// How long it took from start to completion.
    #[must_use]
    pub fn duration(mut self, duration: Duration) -> Self {
        self.0.duration_ns = nanoseconds(duration);
        self
    }

    /// How long it took to post the request.
    #[must_use]
    pub fn post(mut self, duration: Duration) -> Self {
        self.0.post_ns = nanoseconds(duration);
        self
    }

    /// Bytes moved.
    #[must_use]
    pub const fn bytes(mut self, bytes: u64) -> Self {
        self.0.bytes = bytes;
        self
    }

    /// Contiguous pieces of memory, or keys of a store; 0: not measured.
    #[must_use]
    pub const fn descriptors(mut self, count: u64) -> Self {
        self.0.descriptors = count;
        self
    }

    /// Keys of a store that failed.
    #[must_use]
    pub const fn failed(mut self, count: u64) -> Self {
        self.0.failed = count;
        self
    }

    /// When it was submitted: [`now_ns()`], or nanoseconds of one other clock for all points of the transfer. With
    /// [`done_at`](Self::done_at) the points stand in for durations that are not set.
    #[must_use]
    pub const fn submitted_at(mut self, ns: u64) -> Self {
        self.0.submitted_ns = ns;
        self
    }

    /// When the request was handed over.
    #[must_use]
    pub const fn posted_at(mut self, ns: u64) -> Self {
        self.0.posted_ns = ns;
        self
    }

    /// When the first byte arrived.
    #[must_use]
    pub const fn first_byte_at(mut self, ns: u64) -> Self {
        self.0.first_byte_ns = ns;
        self
    }

    /// When the transfer was complete.
    #[must_use]
    pub const fn done_at(mut self, ns: u64) -> Self {
        self.0.done_ns = ns;
        self
    }
}

impl Default for Transfer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Transfer {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let measured = |number: u64| (number != Self::UNMEASURED).then_some(number);
        to.debug_struct("Transfer")
            .field("duration_ns", &measured(self.0.duration_ns))
            .field("post_ns", &self.0.post_ns)
            .field("bytes", &measured(self.0.bytes))
            .field("descriptors", &self.0.descriptors)
            .field("failed", &self.0.failed)
            .field("submitted_ns", &self.0.submitted_ns)
            .field("posted_ns", &self.0.posted_ns)
            .field("first_byte_ns", &self.0.first_byte_ns)
            .field("done_ns", &self.0.done_ns)
            .finish()
    }
}
