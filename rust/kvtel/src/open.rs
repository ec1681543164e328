// SPDX-License-Identifier: Apache-2.0
use crate::{sys, Exemplar, Failure, Operation, Transfer};
use std::ptr::null;

/// A transfer that is under way, from [`Operation::begin`]. Any thread ends it, by [`end`](Self::end) or
/// [`fail`](Self::fail). One that is dropped, by a `return` or a panic, has failed as [`Failure::Transfer`].
#[must_use = "a transfer that is dropped at once has failed"]
pub struct OpenTransfer {
    token: sys::kvtel_transfer_token,
    operation: Operation,
    is_over: bool,
}

// SAFETY: recorder.h: any thread of the process may end it. The token's pointer is the handle, which `operation` keeps.
unsafe impl Send for OpenTransfer {}
// SAFETY: nothing is done through a shared reference.
unsafe impl Sync for OpenTransfer {}

impl OpenTransfer {
    pub(crate) fn begin(operation: &Operation, bytes: u64, peer: &str) -> Self {
        let peer = if peer.is_empty() { 0 } else { operation.recorder.store().peer(peer) };
        let start = sys::kvtel_transfer_start { bytes, began_ns: 0, peer, reserved: 0, reserved_2: 0 };
        // SAFETY: the handle lives, and goes on to live with the token.
        let token = unsafe { sys::kvtel_transfer_begin(operation.raw(), &start) };
        Self { token, operation: operation.clone(), is_over: false }
    }

    /// It is complete: records the time since the begin and the bytes that the begin told. Returns whether it was
    /// recorded.
    pub fn end(mut self) -> bool {
        self.is_over = true;
        // SAFETY: the token is of this process' operation, which lives.
        unsafe { sys::kvtel_transfer_end(&mut self.token, null()) }
    }

    /// It is complete, with these numbers; a duration or bytes that are not set are as for [`end`](Self::end).
    pub fn end_with(mut self, transfer: &Transfer) -> bool {
        self.is_over = true;
        // SAFETY: likewise.
        unsafe { sys::kvtel_transfer_end(&mut self.token, &transfer.0) }
    }

    /// As [`end_with`](Self::end_with), and leaves the transfer as an exemplar, as
    /// [`Operation::record_with`] does.
    pub fn end_with_exemplar(mut self, transfer: &Transfer, exemplar: &Exemplar) -> bool {
        self.is_over = true;
        // SAFETY: likewise.
        unsafe { sys::kvtel_transfer_end_exemplar(&mut self.token, &transfer.0, &exemplar.0) }
    }

    /// It failed. Returns whether that was counted.
    pub fn fail(mut self, failure: Failure) -> bool {
        self.fail_once(failure)
    }

    fn fail_once(&mut self, failure: Failure) -> bool {
        self.is_over = true;
        // SAFETY: likewise.
        unsafe { sys::kvtel_transfer_fail(&mut self.token, failure.code()) }
    }

    /// Which operation it is of.
    pub fn operation(&self) -> &Operation {
        &self.operation
    }
}

impl Drop for OpenTransfer {
    fn drop(&mut self) {
        if !self.is_over {
            self.fail_once(Failure::Transfer);
        }
    }
}
