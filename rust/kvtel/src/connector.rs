// SPDX-License-Identifier: Apache-2.0
//! Tables of connectors as JSON, and vLLM's configuration of one.
use crate::error::checked;
use crate::{sys, Error, Status};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;

/// Registers the connectors' tables of a file for the life of the process.
///
/// # Errors
/// What is wrong in the file, or with reading it.
pub fn load_connector(path: impl AsRef<Path>) -> Result<(), Error> {
    let path = CString::new(path.as_ref().as_os_str().as_bytes());
    let path = path.map_err(|_| Error::with(Status::Argument, "the path has a NUL"))?;
    // SAFETY: the path is NUL-terminated and lives through the call.
    checked(|error| unsafe { sys::kvtel_connector_load(path.as_ptr(), true, error) })
}

/// The same from the file's text.
///
/// # Errors
/// What is wrong in the text.
pub fn parse_connector(json: &str) -> Result<(), Error> {
    // SAFETY: the text is read during the call.
    checked(|error| unsafe { sys::kvtel_connector_parse(json.as_ptr().cast(), json.len(), true, error) })
}

/// vLLM's `--kv-transfer-config`.
pub(crate) struct Config(NonNull<sys::kvtel_transfer_config>);

impl Config {
    pub(crate) fn parse(json: &str) -> Result<Self, Error> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: the text is read during the call, `raw` is an owned object when it succeeds.
        checked(|error| unsafe {
            sys::kvtel_transfer_config_parse(sys::KVTEL_JSON, json.as_ptr().cast(), json.len(), &mut raw, error)
        })?;
        NonNull::new(raw).map(Self).ok_or(Error::new(Status::NoMemory))
    }

    pub(crate) fn raw(&self) -> *mut sys::kvtel_transfer_config {
        self.0.as_ptr()
    }

    /// The connector's table; where none has its name or its table has no stats, an open one that learns from payloads.
    pub(crate) fn open_connector(&self) -> Result<NonNull<sys::kvtel_connector>, Error> {
        // SAFETY: the configuration lives, and its name as long.
        let table = unsafe { sys::kvtel_connector_open(sys::kvtel_transfer_config_connector_name(self.raw())) };
        let reason = "the connector's name is empty or too long, or 128 connectors without a table are there already";
        NonNull::new(table.cast_mut()).ok_or_else(|| Error::with(Status::Limit, reason))
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        // SAFETY: it is the owner.
        unsafe { sys::kvtel_transfer_config_destroy(self.raw()) }
    }
}
