// SPDX-License-Identifier: Apache-2.0
use crate::{sys, text};
use std::fmt;

macro_rules! statuses {
    ($($name:ident = $code:ident: $meaning:literal),* $(,)?) => {
        /// Why a call failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Status {
            $(#[doc = $meaning] $name,)*
            /// A status that this version of the crate does not know.
            Other(i32),
        }

        impl Status {
            #[cfg(feature = "payloads")]
            fn of(code: sys::kvtel_status) -> Self {
                match code {
                    $(sys::$code => Self::$name,)*
                    other => Self::Other(other),
                }
            }

            fn code(self) -> sys::kvtel_status {
                match self {
                    $(Self::$name => sys::$code,)*
                    Self::Other(code) => code,
                }
            }
        }
    };
}

statuses! {
    NoMemory = KVTEL_E_NOMEM: "Out of memory.",
    Argument = KVTEL_E_ARGUMENT: "An argument is out of range.",
    Syntax = KVTEL_E_SYNTAX: "The input is malformed.",
    Truncated = KVTEL_E_TRUNCATED: "The input ends in the middle of an object.",
    Trailing = KVTEL_E_TRAILING: "There are bytes after the end of the object.",
    Depth = KVTEL_E_DEPTH: "The input is nested too deeply.",
    Type = KVTEL_E_TYPE: "A value is of the wrong type.",
    Unknown = KVTEL_E_UNKNOWN: "A name is not known, or a payload does not describe itself.",
    NoStats = KVTEL_E_NO_STATS: "The connector has no stats.",
    Engine = KVTEL_E_ENGINE: "The engine was not declared.",
    Limit = KVTEL_E_LIMIT: "A limit was reached.",
    Summarised = KVTEL_E_SUMMARISED: "Samples were summarised, and the list is gone.",
    Mismatch = KVTEL_E_MISMATCH: "Two objects are of different connectors or definitions.",
    Io = KVTEL_E_IO: "Input or output failed.",
    Format = KVTEL_E_FORMAT: "The file is not of this version.",
    Busy = KVTEL_E_BUSY: "It is in use by another process.",
}

impl fmt::Display for Status {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: static text for each number, NUL-terminated.
        to.write_str(unsafe { text::borrowed(sys::kvtel_status_text(self.code())) })
    }
}

/// Where and why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    status: Status,
    message: String,
    offset: usize,
    passing: bool,
}

impl Error {
    pub(crate) fn new(status: Status) -> Self {
        Self { status, message: String::new(), offset: 0, passing: status == Status::NoMemory }
    }

    pub(crate) fn with(status: Status, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::new(status) }
    }

    /// What kind of failure it is.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Where in the input it is, in bytes from its start.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Whether the machine lacked something (memory, file descriptors) and the input is not at fault: try again.
    pub fn is_passing(&self) -> bool {
        self.passing
    }
}

impl fmt::Display for Error {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() {
            self.status.fmt(to)
        } else if self.offset > 0 {
            write!(to, "{} at byte {}", self.message, self.offset)
        } else {
            to.write_str(&self.message)
        }
    }
}

impl std::error::Error for Error {}

/// What a call of C returned, as a result.
#[cfg(feature = "payloads")]
pub(crate) fn check(code: sys::kvtel_status) -> Result<(), Error> {
    if code == sys::KVTEL_OK {
        Ok(())
    } else {
        Err(Error::new(Status::of(code)))
    }
}

/// Runs a call that fills an error when it fails.
#[cfg(feature = "payloads")]
pub(crate) fn checked(call: impl FnOnce(*mut sys::kvtel_error) -> sys::kvtel_status) -> Result<(), Error> {
    // SAFETY: all zeroes are a value of this struct of numbers.
    let mut error: sys::kvtel_error = unsafe { std::mem::zeroed() };
    let code = call(&mut error);
    if code == sys::KVTEL_OK {
        return Ok(());
    }
    let mut failed = Error::new(Status::of(code));
    if error.status == code {
        // SAFETY: a call that fails fills the message, NUL-terminated; before it is all NUL.
        failed.message = unsafe { text::copied(error.message.as_ptr()) };
        failed.offset = error.offset;
        // SAFETY: the struct is whole.
        failed.passing = unsafe { sys::kvtel_error_is_passing(&error) };
    }
    Err(failed)
}
