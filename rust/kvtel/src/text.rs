// SPDX-License-Identifier: Apache-2.0
//! Text across the border to C.
use crate::{Error, Status};
use std::ffi::{c_char, c_void, CStr, CString};
use std::panic::{catch_unwind, AssertUnwindSafe};

/// A copy for C.
pub(crate) fn for_c(what: &str, text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error::with(Status::Argument, format!("{what} has a NUL")))
}

/// The address of a text that may be missing.
pub(crate) fn address(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(std::ptr::null(), |text| text.as_ptr())
}

/// A text of C. What is not UTF-8 is shown as empty.
///
/// # Safety
/// `text` is NULL or NUL-terminated and valid for `'a`.
pub(crate) unsafe fn borrowed<'a>(text: *const c_char) -> &'a str {
    if text.is_null() {
        return "";
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap_or_default()
}

/// A copy of a text of C, with U+FFFD for what is not UTF-8.
///
/// # Safety
/// `text` is NUL-terminated.
#[cfg(feature = "payloads")]
pub(crate) unsafe fn copied(text: *const c_char) -> String {
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// A closure that takes warnings. C gets its address, which does not move.
pub(crate) type Warn = Box<dyn Fn(&str) + Send + Sync>;

/// What C calls with a store's warning.
///
/// # Safety
/// `context` is the address of a `Warn` that lives, `message` is NUL-terminated.
pub(crate) unsafe extern "C" fn warn(context: *mut c_void, message: *const c_char) {
    // SAFETY: the caller's promise.
    let (warn, message) = unsafe { (&*context.cast::<Warn>(), CStr::from_ptr(message)) };
    let _ = catch_unwind(AssertUnwindSafe(|| warn(&message.to_string_lossy())));
}
