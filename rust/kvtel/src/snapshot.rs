// SPDX-License-Identifier: Apache-2.0
use crate::error::check;
use crate::{sys, text, Error, Status, Store};
use std::ffi::{c_char, CString};
use std::ptr::NonNull;

/// A format that Prometheus reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Prometheus' text format 0.0.4.
    Text,
    /// OpenMetrics 1.0, with exemplars.
    OpenMetrics,
    /// Prometheus' protobuf format, with native histograms.
    Protobuf,
}

impl Format {
    /// The `Content-Type` of an answer in this format.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    fn code(self) -> sys::kvtel_exposition_format {
        match self {
            Self::Text => sys::KVTEL_FORMAT_TEXT,
            Self::OpenMetrics => sys::KVTEL_FORMAT_OPENMETRICS,
            Self::Protobuf => sys::KVTEL_FORMAT_PROTOBUF,
        }
    }
}

/// The numbers of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Reading {
    /// Counter: the sum; gauge: the newest reading; histogram: 0.
    pub value: f64,
    /// Histogram: the sum of all values.
    pub sum: f64,
    /// Histogram: how many values.
    pub count: u64,
}

impl Store {
    /// Reads one series: the sum of what all threads recorded so far. `name` is the family's, a counter's without
    /// `_total`; `labels` are the values in the order of the family's labels. It reads the whole store: take a
    /// [`Snapshot`] to read many.
    ///
    /// # Errors
    /// [`Status::Unknown`]: there is no such family or series; [`Status::NoMemory`], [`Status::Limit`].
    pub fn read(&self, name: &str, labels: &[&str]) -> Result<Reading, Error> {
        let name = text::for_c("the name", name)?;
        let labels: Vec<CString> =
            labels.iter().map(|label| text::for_c("a label", label)).collect::<Result<_, _>>()?;
        let labels: Vec<*const c_char> = labels.iter().map(|label| label.as_ptr()).collect();
        // SAFETY: all zeroes are a value of this struct of numbers.
        let mut reading: sys::kvtel_reading = unsafe { std::mem::zeroed() };
        // SAFETY: the store lives; the texts live through the call.
        check(unsafe {
            sys::kvtel_store_read(self.raw(), name.as_ptr(), labels.as_ptr(), labels.len(), &mut reading)
        })?;
        Ok(Reading { value: reading.value, sum: reading.sum, count: reading.count })
    }
}

/// The metrics of one or many stores of this process at a moment. One that is used again keeps its memory.
pub struct Snapshot {
    raw: NonNull<sys::kvtel_snapshot>,
    page: sys::kvtel_buffer,
}

// SAFETY: snapshot.h: single owner while it collects, then any thread; methods that change it take `&mut`.
unsafe impl Send for Snapshot {}
// SAFETY: likewise.
unsafe impl Sync for Snapshot {}

impl Snapshot {
    /// An empty snapshot.
    ///
    /// # Errors
    /// [`Status::NoMemory`].
    pub fn new() -> Result<Self, Error> {
        // SAFETY: it has no arguments.
        let raw = NonNull::new(unsafe { sys::kvtel_snapshot_create() }).ok_or(Error::new(Status::NoMemory))?;
        Ok(Self { raw, page: sys::kvtel_buffer { bytes: std::ptr::null_mut(), size: 0, capacity: 0 } })
    }

    /// A snapshot of a store.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn of(store: &Store) -> Result<Self, Error> {
        let mut snapshot = Self::new()?;
        snapshot.add(store)?;
        Ok(snapshot)
    }

    /// Adds a store: counters and histograms of equal label sets add up, gauges take the newest. No writer waits.
    ///
    /// # Errors
    /// [`Status::NoMemory`], [`Status::Limit`]; [`Status::Mismatch`]: a family of another definition was left out, the
    /// rest is added.
    pub fn add(&mut self, store: &Store) -> Result<(), Error> {
        // SAFETY: both live; `&mut` is the single owner.
        check(unsafe { sys::kvtel_snapshot_add(self.raw.as_ptr(), store.raw()) })
    }

    /// Empties it.
    pub fn clear(&mut self) {
        // SAFETY: it lives; `&mut` is the single owner.
        unsafe { sys::kvtel_snapshot_reset(self.raw.as_ptr()) }
    }

    /// Appends all of it to `page`.
    ///
    /// # Errors
    /// [`Status::NoMemory`], and `page` is as before.
    pub fn encode(&mut self, format: Format, page: &mut Vec<u8>) -> Result<(), Error> {
        self.page.size = 0;
        // SAFETY: both live; the buffer is this object's own.
        check(unsafe { sys::kvtel_exposition(self.raw.as_ptr(), format.code(), &mut self.page) })?;
        if self.page.size > 0 {
            // SAFETY: the buffer has `size` bytes.
            page.extend_from_slice(unsafe { std::slice::from_raw_parts(self.page.bytes.cast::<u8>(), self.page.size) });
        }
        Ok(())
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // SAFETY: it is the owner of both.
        unsafe {
            sys::kvtel_buffer_free(&mut self.page);
            sys::kvtel_snapshot_destroy(self.raw.as_ptr());
        }
    }
}
