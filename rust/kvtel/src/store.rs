// SPDX-License-Identifier: Apache-2.0
use crate::text::{self, Warn};
use crate::{sys, Error, Status};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;

struct Inner {
    raw: NonNull<sys::kvtel_store>,
    /// Lives as long as the store, which calls it.
    _warn: Option<Box<Warn>>,
}

// SAFETY: store.h: any thread. The last owner closes it, when no recorder is left and no thread records.
unsafe impl Send for Inner {}
// SAFETY: likewise.
unsafe impl Sync for Inner {}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: it is the last owner; recorders and their handles own a share.
        unsafe { sys::kvtel_store_close(self.raw.as_ptr()) }
    }
}

/// The metrics of one process, in a file that `kvtel serve` reads, or in the heap.
///
/// A clone is another owner of the same store, which is closed with the last of them: recorders and their handles are
/// owners, too.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

impl Store {
    /// Options of a store, which [`StoreOptions::open`] or [`StoreOptions::in_heap`] makes.
    pub fn options() -> StoreOptions {
        StoreOptions::default()
    }

    /// The file's path; `None` for a store in the heap. [`StoreOptions::open`] makes one there, too, where no file can
    /// be made.
    pub fn path(&self) -> Option<&Path> {
        // SAFETY: the store lives; the path is borrowed from it.
        let path = unsafe { sys::kvtel_store_path(self.raw()) };
        if path.is_null() {
            return None;
        }
        // SAFETY: NUL-terminated, and valid as long as the store.
        let bytes = unsafe { std::ffi::CStr::from_ptr(path) }.to_bytes();
        Some(Path::new(std::ffi::OsStr::from_bytes(bytes)))
    }

    /// The numbers that the store keeps about itself.
    pub fn info(&self) -> StoreInfo {
        // SAFETY: all zeroes are a value of this struct of numbers.
        let mut info: sys::kvtel_store_info = unsafe { std::mem::zeroed() };
        // SAFETY: the store lives.
        unsafe { sys::kvtel_store_describe(self.raw(), &mut info) };
        StoreInfo {
            families: info.families,
            series: info.series,
            lanes: info.lanes,
            series_dropped: info.series_dropped,
            records_dropped: info.records_dropped,
            values_refused: info.values_refused,
            transfers_untracked: info.transfers_untracked,
            tokens_refused: info.tokens_refused,
        }
    }

    /// The store for the functions of C, valid as long as this object.
    pub fn raw(&self) -> *mut sys::kvtel_store {
        self.0.raw.as_ptr()
    }

    /// The number of a peer of transfers. The first 64 names get numbers of their own, all others that of "other"; 0:
    /// ask again for the next transfer.
    pub(crate) fn peer(&self, name: &str) -> u32 {
        let Ok(name) = CString::new(name) else { return 0 };
        // SAFETY: the store lives; the name is NUL-terminated.
        unsafe { sys::kvtel_store_peer(self.raw(), name.as_ptr()) }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("Store").field("path", &self.path()).field("info", &self.info()).finish()
    }
}

/// What a store counts about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreInfo {
    /// Families made.
    pub families: u64,
    /// Series made, over all families.
    pub series: u64,
    /// Most lanes (threads) that were open at once.
    pub lanes: u64,
    /// How often there was no room for a label set or a family.
    pub series_dropped: u64,
    /// Records that found no lane, no series, or came from a child of a fork.
    pub records_dropped: u64,
    /// Values (of a transfer: all of it) that no measurement can have.
    pub values_refused: u64,
    /// Begun transfers that found no place among the open ones.
    pub transfers_untracked: u64,
    /// Ends of transfers that were not open, or were a parent's before a fork.
    pub tokens_refused: u64,
}

/// Options of a store. What is not set has the default of C's `struct kvtel_store_options`.
#[derive(Default)]
pub struct StoreOptions {
    model_name: String,
    connector: String,
    engine: u32,
    rank: u32,
    max_series: u32,
    max_lanes: u32,
    dir: Option<Vec<u8>>,
    mode: u32,
    lane_bytes: u64,
    warn: Option<Box<Warn>>,
}

impl StoreOptions {
    /// Label of every series that a recorder makes, at most 511 bytes: cut, with a warning.
    #[must_use]
    pub fn model_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.model_name);
        self
    }

    /// Name of the writer, shown to people, at most 127 bytes: likewise.
    #[must_use]
    pub fn connector(mut self, name: &str) -> Self {
        name.clone_into(&mut self.connector);
        self
    }

    /// Default engine of a recorder; 0 if it is not set.
    #[must_use]
    pub fn engine(mut self, engine: u32) -> Self {
        self.engine = engine;
        self
    }

    /// Rank of the writer inside its engine; 0 if it is not set.
    #[must_use]
    pub fn rank(mut self, rank: u32) -> Self {
        self.rank = rank;
        self
    }

    /// How many series one family may have; 10,000 if it is not set.
    #[must_use]
    pub fn max_series(mut self, count: u32) -> Self {
        self.max_series = count;
        self
    }

    /// How many threads may record at once; 256 if it is not set, 4,096 at most.
    #[must_use]
    pub fn max_lanes(mut self, count: u32) -> Self {
        self.max_lanes = count;
        self
    }

    /// Directory of the file. Default: `KVTEL_STORE_DIR`, else a directory of the user in shared memory.
    #[must_use]
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = Some(dir.as_ref().as_os_str().as_bytes().to_vec());
        self
    }

    /// Permission bits of the file, 0644 at most. Default: `KVTEL_STORE_MODE`, else 0600.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Address space of one lane, and with it how much of everything there can be.
    #[must_use]
    pub fn lane_bytes(mut self, bytes: u64) -> Self {
        self.lane_bytes = bytes;
        self
    }

    /// Called once for each reason why something cannot be recorded, with a sentence; from any thread. A panic of `warn`
    /// ends there.
    #[must_use]
    pub fn on_warning(mut self, warn: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.warn = Some(Box::new(Box::new(warn)));
        self
    }

    /// A store in a file, where `kvtel serve` finds it. Where no file can be made it is in the heap, and
    /// [`Store::path`] is `None`.
    ///
    /// # Errors
    /// [`Status::NoMemory`]; [`Status::Argument`]: a text has a NUL.
    pub fn open(self) -> Result<Store, Error> {
        self.make(sys::kvtel_store_open)
    }

    /// A store in the heap, which this process alone reads.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn in_heap(self) -> Result<Store, Error> {
        self.make(sys::kvtel_store_create)
    }

    fn make(
        self,
        create: unsafe extern "C" fn(*const sys::kvtel_store_options) -> *mut sys::kvtel_store,
    ) -> Result<Store, Error> {
        let model_name = text::for_c("the model's name", &self.model_name)?;
        let connector = text::for_c("the connector's name", &self.connector)?;
        let dir = self.dir.map(CString::new).transpose();
        let dir = dir.map_err(|_| Error::with(Status::Argument, "the directory has a NUL"))?;
        let warn_context = self.warn.as_deref().map_or(std::ptr::null(), std::ptr::from_ref);
        let options = sys::kvtel_store_options {
            size: size_of::<sys::kvtel_store_options>(),
            model_name: model_name.as_ptr(),
            connector: connector.as_ptr(),
            engine: self.engine,
            rank: self.rank,
            max_series: self.max_series,
            max_lanes: self.max_lanes,
            dir: text::address(&dir),
            mode: self.mode,
            lane_bytes: self.lane_bytes,
            warn: self.warn.is_some().then_some(text::warn),
            warn_context: warn_context.cast_mut().cast(),
        };
        // SAFETY: the options and their texts live through the call, the closure as long as the store.
        let raw = NonNull::new(unsafe { create(&options) }).ok_or(Error::new(Status::NoMemory))?;
        Ok(Store(Arc::new(Inner { raw, _warn: self.warn })))
    }
}
