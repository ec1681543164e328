// SPDX-License-Identifier: Apache-2.0
use crate::{sys, text, Error, Exemplar, OpenTransfer, Status, Store, Transfer};
use std::ffi::{c_char, CString};
use std::ptr::{null, NonNull};
use std::sync::{Arc, Mutex, PoisonError};

/// A class of failure that a connector can count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// The transfer itself.
    Transfer,
    /// With the peer, before a transfer.
    Handshake,
    /// Of the peer, after a transfer.
    Notification,
    /// The receiving side gave up.
    Receive,
    /// Blocks were freed before anyone fetched them.
    Expired,
    /// A notification came after expiry.
    LateNotification,
    /// There was no room to put blocks.
    Allocation,
    /// Saving failed.
    Save,
    /// Loading failed.
    Load,
}

impl Failure {
    pub(crate) fn code(self) -> sys::kvtel_failure {
        match self {
            Self::Transfer => sys::KVTEL_FAILED_TRANSFER,
            Self::Handshake => sys::KVTEL_FAILED_HANDSHAKE,
            Self::Notification => sys::KVTEL_FAILED_NOTIFICATION,
            Self::Receive => sys::KVTEL_FAILED_RECEIVE,
            Self::Expired => sys::KVTEL_FAILED_EXPIRED,
            Self::LateNotification => sys::KVTEL_FAILED_LATE,
            Self::Allocation => sys::KVTEL_FAILED_ALLOCATION,
            Self::Save => sys::KVTEL_FAILED_SAVE,
            Self::Load => sys::KVTEL_FAILED_LOAD,
        }
    }
}

struct Inner {
    raw: NonNull<sys::kvtel_recorder>,
    /// Held while a handle is made: recorder.h lets one thread at a time do so.
    making: Mutex<()>,
    /// Closed after the recorder is destroyed.
    store: Store,
}

// SAFETY: recorder.h: any thread records; handles are made under the lock.
unsafe impl Send for Inner {}
// SAFETY: likewise.
unsafe impl Sync for Inner {}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: it is the last owner; the handles own a share.
        unsafe { sys::kvtel_recorder_destroy(self.raw.as_ptr()) }
    }
}

/// A connector's families in a store, for one engine.
///
/// A clone is another owner of the same recorder. The numbers that were recorded stay in the store.
#[derive(Clone)]
pub struct Recorder(Arc<Inner>);

impl Recorder {
    /// A recorder with default options: see [`RecorderOptions::make`].
    ///
    /// # Errors
    /// As there.
    pub fn new(store: &Store, connector: &str) -> Result<Self, Error> {
        Self::options().make(store, connector)
    }

    /// Options of a recorder.
    pub fn options() -> RecorderOptions {
        RecorderOptions::default()
    }

    /// The connector's first kind of transfer.
    ///
    /// # Errors
    /// [`Status::Unknown`]: the connector has none, or its operations must be named.
    pub fn first_operation(&self) -> Result<Operation, Error> {
        self.find_operation(null(), null(), "this connector has no first kind of transfer")
    }

    /// A kind of transfer by its name: of a flow ("load", "store"), or of an operation of a store.
    ///
    /// # Errors
    /// [`Status::Unknown`]: the connector has none of this name.
    pub fn operation(&self, name: &str) -> Result<Operation, Error> {
        self.operation_with_status(name, "ok")
    }

    /// An operation of a store with another status than "ok".
    ///
    /// # Errors
    /// As [`operation`](Self::operation).
    pub fn operation_with_status(&self, name: &str, status: &str) -> Result<Operation, Error> {
        let c_name = text::for_c("the operation's name", name)?;
        let status = text::for_c("the status", status)?;
        self.find_operation(c_name.as_ptr(), status.as_ptr(), name)
    }

    fn find_operation(&self, name: *const c_char, status: *const c_char, shown: &str) -> Result<Operation, Error> {
        let _making = self.0.making.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the recorder lives, the texts live through the call, and no other thread makes a handle.
        let raw = unsafe { sys::kvtel_recorder_operation(self.0.raw.as_ptr(), name, status) };
        let raw = NonNull::new(raw.cast_mut()).ok_or_else(|| Error::with(Status::Unknown, shown))?;
        Ok(Operation { raw, recorder: self.clone() })
    }

    /// A field by its key, or a typed metric by its name with the values of its labels.
    ///
    /// # Errors
    /// [`Status::Unknown`]: the connector has none of this name, or it has another number of labels.
    pub fn instrument(&self, key: &str, labels: &[&str]) -> Result<Instrument, Error> {
        let c_key = text::for_c("the key", key)?;
        let labels: Vec<CString> =
            labels.iter().map(|label| text::for_c("a label", label)).collect::<Result<_, _>>()?;
        let labels: Vec<*const c_char> = labels.iter().map(|label| label.as_ptr()).collect();
        let _making = self.0.making.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: as in find_operation().
        let raw = unsafe {
            sys::kvtel_recorder_instrument(self.0.raw.as_ptr(), c_key.as_ptr(), labels.as_ptr(), labels.len())
        };
        let raw = NonNull::new(raw.cast_mut()).ok_or_else(|| Error::with(Status::Unknown, key))?;
        Ok(Instrument { raw, _recorder: self.clone() })
    }

    /// Records one failure. Returns whether it was recorded; `false`: the connector does not count this class.
    pub fn fail(&self, failure: Failure) -> bool {
        // SAFETY: the recorder lives; any thread.
        unsafe { sys::kvtel_record_failure(self.0.raw.as_ptr(), failure.code()) }
    }

    /// The store that it records into.
    pub fn store(&self) -> &Store {
        &self.0.store
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("Recorder").field("store", &self.0.store).finish_non_exhaustive()
    }
}

/// Options of a recorder. What is not set has the default of C's `struct kvtel_recorder_options`.
#[derive(Clone, Debug, Default)]
pub struct RecorderOptions {
    engine: Option<String>,
    windows: bool,
    open_transfers: u32,
    exemplars: bool,
    #[cfg(feature = "payloads")]
    config: Option<String>,
}

impl RecorderOptions {
    /// Value of the engine label; the store's engine as a number if it is not set.
    #[must_use]
    pub fn engine(mut self, engine: &str) -> Self {
        self.engine = Some(engine.to_owned());
        self
    }

    /// Makes the families of the time to the first byte and of the time from there to the end, too.
    #[must_use]
    pub fn windows(mut self) -> Self {
        self.windows = true;
        self
    }

    /// How many transfers that a thread began can be open at once, each of them visible to readers: see
    /// [`Operation::begin`]. 65,536 at most.
    #[must_use]
    pub fn open_transfers(mut self, count: u32) -> Self {
        self.open_transfers = count;
        self
    }

    /// Gives the histograms of transfer times places for exemplars: see [`Operation::record_with`].
    #[must_use]
    pub fn exemplars(mut self) -> Self {
        self.exemplars = true;
        self
    }

    /// vLLM's `--kv-transfer-config`, which chooses among the connector's metrics.
    #[cfg(feature = "payloads")]
    #[must_use]
    pub fn kv_transfer_config(mut self, json: &str) -> Self {
        self.config = Some(json.to_owned());
        self
    }

    /// Makes the connector's families and series.
    ///
    /// # Errors
    /// [`Status::Unknown`]: no table has the name, or the connector has no stats of its own; what the configuration is
    /// refused for; [`Status::Argument`]: a text has a NUL.
    pub fn make(&self, store: &Store, connector: &str) -> Result<Recorder, Error> {
        let name = text::for_c("the connector's name", connector)?;
        let engine = self.engine.as_deref().map(|engine| text::for_c("the engine", engine)).transpose()?;
        #[cfg(feature = "payloads")]
        let config = self.config.as_deref().map(crate::connector::Config::parse).transpose()?;
        let options = sys::kvtel_recorder_options {
            size: size_of::<sys::kvtel_recorder_options>(),
            engine: text::address(&engine),
            #[cfg(feature = "payloads")]
            config: config.as_ref().map_or(null(), |config| config.raw().cast_const()),
            #[cfg(not(feature = "payloads"))]
            config: null(),
            windows: self.windows,
            open_transfers: self.open_transfers,
            exemplars: self.exemplars,
        };
        // SAFETY: the name is NUL-terminated; a table is static, and NULL is refused by the next call.
        let table = unsafe { sys::kvtel_connector_find(name.as_ptr()) };
        // SAFETY: the store lives; the options and their texts live through the call.
        let raw = unsafe { sys::kvtel_recorder_create(store.raw(), table, &options) };
        let raw = NonNull::new(raw)
            .ok_or_else(|| Error::with(Status::Unknown, format!("nothing can be recorded for {connector}")))?;
        Ok(Recorder(Arc::new(Inner { raw, making: Mutex::new(()), store: store.clone() })))
    }
}

/// A kind of transfer: the series into which its values go. Any thread records; a clone is another owner of the
/// recorder, which costs what an `Arc` costs.
#[derive(Clone, Debug)]
pub struct Operation {
    raw: NonNull<sys::kvtel_operation>,
    pub(crate) recorder: Recorder,
}

// SAFETY: recorder.h: any thread records through a handle, which lives as long as its recorder.
unsafe impl Send for Operation {}
// SAFETY: likewise.
unsafe impl Sync for Operation {}

impl Operation {
    /// Records a finished transfer or call of a store; all its values become visible at once. Returns whether it was
    /// recorded; what was not is counted in [`StoreInfo`](crate::StoreInfo).
    #[inline]
    pub fn record(&self, transfer: &Transfer) -> bool {
        // SAFETY: the handle lives; the transfer is read during the call.
        unsafe { sys::kvtel_record_operation(self.raw.as_ptr(), &transfer.0) }
    }

    /// Records finished transfers at once, in less time than one by one. Returns how many were recorded.
    #[inline]
    pub fn record_transfers(&self, transfers: &[Transfer]) -> usize {
        // SAFETY: a Transfer is C's struct; the slice is read during the call.
        unsafe { sys::kvtel_record_transfers(self.raw.as_ptr(), transfers.as_ptr().cast(), transfers.len()) }
    }

    /// As [`record`](Self::record), and leaves the transfer as an exemplar at the bucket of its time, where the
    /// recorder has places for [exemplars](RecorderOptions::exemplars).
    #[inline]
    pub fn record_with(&self, transfer: &Transfer, exemplar: &Exemplar) -> bool {
        // SAFETY: as in record().
        unsafe { sys::kvtel_record_exemplar(self.raw.as_ptr(), &transfer.0, &exemplar.0) }
    }

    /// Begins a transfer of `bytes` (0: not known) with `peer` ("": not known). Where the recorder has
    /// [`open_transfers`](RecorderOptions::open_transfers), other processes see it until it ends, and it is counted as
    /// lost when this process is killed meanwhile.
    pub fn begin(&self, bytes: u64, peer: &str) -> OpenTransfer {
        OpenTransfer::begin(self, bytes, peer)
    }

    pub(crate) fn raw(&self) -> *const sys::kvtel_operation {
        self.raw.as_ptr()
    }
}

/// A level, a count or a sample of a connector with its label values. Any thread records.
#[derive(Clone, Debug)]
pub struct Instrument {
    raw: NonNull<sys::kvtel_instrument>,
    _recorder: Recorder,
}

// SAFETY: as for Operation.
unsafe impl Send for Instrument {}
// SAFETY: likewise.
unsafe impl Sync for Instrument {}

impl Instrument {
    /// Sets a level (any finite value), adds to a count (0 or more) or takes a sample (0 or more). Returns whether it
    /// was recorded.
    #[inline]
    pub fn record(&self, value: f64) -> bool {
        // SAFETY: the handle lives.
        unsafe { sys::kvtel_record_value(self.raw.as_ptr(), value) }
    }
}
