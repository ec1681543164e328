// SPDX-License-Identifier: Apache-2.0
use crate::connector::Config;
use crate::error::{check, checked};
use crate::text::{self, Warn};
use crate::{sys, Error, Format, Snapshot, Status, Store};
use std::ffi::{c_char, c_void, CStr, CString};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr::{null_mut, NonNull};
use std::time::Instant;

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LogStyle {
    /// vLLM's line, to the letter, one over all engines.
    #[default]
    Vllm,
    /// kvtel's: one line for each connector and engine, with failures, quantiles and rates.
    Kvtel,
}

/// An object of C that is freed when its owner goes.
macro_rules! owned {
    ($name:ident, $raw:ident, $destroy:ident) => {
        struct $name(NonNull<sys::$raw>);

        impl $name {
            fn of(raw: *mut sys::$raw) -> Result<Self, Error> {
                NonNull::new(raw).map(Self).ok_or(Error::new(Status::NoMemory))
            }
            fn raw(&self) -> *mut sys::$raw {
                self.0.as_ptr()
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: it is the owner.
                unsafe { sys::$destroy(self.raw()) }
            }
        }
    };
}

owned!(Stats, kvtel_stats, kvtel_stats_destroy);
owned!(Prom, kvtel_prom, kvtel_prom_destroy);
owned!(Logging, kvtel_logging, kvtel_logging_destroy);
owned!(Diagnostics, kvtel_diagnostics, kvtel_diagnostics_destroy);

/// The metrics and log lines of a configured connector, from the payloads that its engines send: what vLLM's classes
/// `KVConnectorPromMetrics`, `KVConnectorStats` and `KVConnectorLogging` do.
///
/// It works for each connector that kvtel has a table of, for those of connector files
/// ([`load_connector`](crate::load_connector)), and for payloads that describe themselves.
///
/// One thread at a time uses it; to serve scrapes from another thread without waiting, encode its
/// [`store`](Self::store) there.
pub struct ConnectorMetrics {
    // Freed in this order: what borrows before what is borrowed.
    payload: Stats,
    worker: Option<Stats>,
    prom: Prom,
    logging: Logging,
    diagnostics: Diagnostics,
    config: Config,
    snapshot: Snapshot,
    store: Store,
    _warn: Option<Box<Warn>>,
    logged: Instant,
}

// SAFETY: the objects of C have a single owner each, any thread at a time; methods that use them take `&mut self`, and
// the closure is Send and Sync.
unsafe impl Send for ConnectorMetrics {}
// SAFETY: a shared reference gives the store and counts that nothing changes meanwhile.
unsafe impl Sync for ConnectorMetrics {}

impl ConnectorMetrics {
    /// Metrics of the connector of a `--kv-transfer-config`, at zero for each engine, in a store in the heap.
    ///
    /// # Errors
    /// As [`ConnectorMetricsOptions::make`].
    pub fn new(kv_transfer_config_json: &str, model_name: &str, engines: &[u32]) -> Result<Self, Error> {
        Self::options().make(kv_transfer_config_json, model_name, engines)
    }

    /// Options of it.
    pub fn options() -> ConnectorMetricsOptions {
        ConnectorMetricsOptions::default()
    }

    /// Records the payload of an engine: the MessagePack of vLLM's `KVConnectorStats.data`, as the engine's
    /// `SchedulerStats.kv_connector_stats` carries it. What of it cannot be used is counted ([`refused`](Self::refused))
    /// and the rest is applied.
    ///
    /// # Errors
    /// Nothing of the payload was recorded: it is malformed; [`Status::Unknown`]: no table has the connector's name, and
    /// the payload does not describe itself; [`Status::Engine`]: the engine was not declared; [`Status::NoMemory`].
    pub fn observe(&mut self, engine: u32, msgpack: &[u8]) -> Result<(), Error> {
        decode(&self.payload, msgpack)?;
        self.record(engine, 1)
    }

    /// Records the payloads that the workers of an engine sent for one step, aggregated in their order.
    ///
    /// # Errors
    /// As [`observe`](Self::observe), for whichever is refused; none of them is recorded then.
    pub fn observe_workers(&mut self, engine: u32, workers: &[&[u8]]) -> Result<(), Error> {
        self.join(workers)?;
        self.record(engine, u32::try_from(workers.len()).unwrap_or(u32::MAX))
    }

    /// Aggregates payloads of workers into one, as vLLM's `KVConnectorStats.aggregate()` does, and gives its
    /// MessagePack. Nothing is recorded.
    ///
    /// # Errors
    /// A payload is malformed; [`Status::Unknown`] as for [`observe`](Self::observe); [`Status::NoMemory`].
    pub fn aggregate(&mut self, workers: &[&[u8]]) -> Result<Vec<u8>, Error> {
        self.join(workers)?;
        let (mut bytes, mut size) = (null_mut(), 0);
        // SAFETY: the stats live; `bytes` is an owned block when it succeeds.
        check(unsafe { sys::kvtel_stats_encode(self.payload.raw(), sys::KVTEL_MSGPACK, &mut bytes, &mut size) })?;
        let mut buffer = sys::kvtel_buffer { bytes, size, capacity: size };
        // SAFETY: the block has `size` bytes, and is of malloc(), which the buffer's free() frees.
        let copy = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), size) }.to_vec();
        // SAFETY: likewise.
        unsafe { sys::kvtel_buffer_free(&mut buffer) };
        Ok(copy)
    }

    /// Ends the interval since the last call and gives its line; `None` when there is nothing to log. Lines of several
    /// engines ([`LogStyle::Kvtel`]) stand one below the other.
    ///
    /// # Errors
    /// [`Status::NoMemory`], and the interval goes on.
    pub fn log_line(&mut self) -> Result<Option<String>, Error> {
        let mut lines = String::new();
        let now = Instant::now();
        let seconds = now.duration_since(self.logged).as_secs_f64();
        let context: *mut String = &mut lines;
        // SAFETY: the logging lives; `lines` outlives the call, which gives it to add_line() alone.
        check(unsafe { sys::kvtel_logging_log(self.logging.raw(), seconds, Some(add_line), context.cast()) })?;
        self.logged = now;
        Ok((!lines.is_empty()).then_some(lines))
    }

    /// Appends the metrics as they are now.
    ///
    /// # Errors
    /// [`Status::NoMemory`] or [`Status::Limit`] (sums out of range), and `page` is as before.
    pub fn encode(&mut self, format: Format, page: &mut Vec<u8>) -> Result<(), Error> {
        self.snapshot.clear();
        match self.snapshot.add(&self.store) {
            Err(error) if error.status() != Status::Mismatch => Err(error),
            _ => self.snapshot.encode(format, page),
        }
    }

    /// The store that the metrics are in: any thread may take a [`Snapshot`] of it meanwhile.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What could not be used, by reason: the value of the label `reason` of `kvtel_refused_total`, and how often.
    /// Reasons that did not occur are left out.
    pub fn refused(&self) -> Vec<(&'static str, u64)> {
        let mut counts = Vec::new();
        for reason in 0..sys::KVTEL_REFUSAL_COUNT {
            // SAFETY: the diagnostics live, and only methods with `&mut self` change them; labels are static.
            let count = unsafe { sys::kvtel_diagnostics_count(self.diagnostics.raw(), reason) };
            if count > 0 {
                // SAFETY: likewise.
                counts.push((unsafe { text::borrowed(sys::kvtel_refusal_label(reason)) }, count));
            }
        }
        counts
    }

    /// Makes `payload` the aggregate of all.
    fn join(&mut self, workers: &[&[u8]]) -> Result<(), Error> {
        // SAFETY: the stats live.
        unsafe { sys::kvtel_stats_reset(self.payload.raw()) };
        let Some((first, others)) = workers.split_first() else { return Ok(()) };
        decode(&self.payload, first)?;
        for other in others {
            let worker = match self.worker.take() {
                Some(worker) => worker,
                None => make_stats(&self.config, &self.diagnostics)?,
            };
            decode(&worker, other)?;
            // SAFETY: both live and are two objects.
            check(unsafe { sys::kvtel_stats_aggregate(self.payload.raw(), worker.raw()) })?;
            self.worker = Some(worker);
        }
        Ok(())
    }

    fn record(&mut self, engine: u32, ranks: u32) -> Result<(), Error> {
        // SAFETY: all live.
        check(unsafe { sys::kvtel_prom_observe(self.prom.raw(), self.payload.raw(), engine) })?;
        let observation = sys::kvtel_observation { engine, ranks, timestamp: 0.0, reserved: [0; 4] };
        // The metrics are recorded: an error would make the caller come again, and count twice. Without memory only the
        // next log line lacks the payload.
        // SAFETY: likewise.
        let _ = unsafe { sys::kvtel_logging_observe(self.logging.raw(), self.payload.raw(), &observation) };
        Ok(())
    }
}

impl std::fmt::Debug for ConnectorMetrics {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("ConnectorMetrics").field("store", &self.store).field("refused", &self.refused()).finish()
    }
}

fn make_stats(config: &Config, diagnostics: &Diagnostics) -> Result<Stats, Error> {
    let table = config.open_connector()?;
    // SAFETY: a table lives as long as the process, the diagnostics longer than the stats.
    Stats::of(unsafe { sys::kvtel_stats_create(table.as_ptr(), diagnostics.raw()) })
}

fn decode(stats: &Stats, msgpack: &[u8]) -> Result<(), Error> {
    let (bytes, size) = (msgpack.as_ptr().cast(), msgpack.len());
    // SAFETY: the stats live; the bytes are read during the call.
    checked(|error| unsafe { sys::kvtel_stats_decode(stats.raw(), sys::KVTEL_MSGPACK, bytes, size, error) })
}

/// What C calls with a line.
unsafe extern "C" fn add_line(context: *mut c_void, line: *const c_char) {
    // SAFETY: log_line() gives the address of its text; the line is NUL-terminated.
    let (lines, line) = unsafe { (&mut *context.cast::<String>(), CStr::from_ptr(line)) };
    if !lines.is_empty() {
        lines.push('\n');
    }
    lines.push_str(&line.to_string_lossy());
}

/// What C calls with a warning about payloads.
unsafe extern "C" fn warn(
    context: *mut c_void,
    _reason: sys::kvtel_refusal,
    _subject: *const c_char,
    message: *const c_char,
) {
    // SAFETY: make() gives the address of a closure that outlives the diagnostics; the message is NUL-terminated.
    let (warn, message) = unsafe { (&*context.cast::<Warn>(), CStr::from_ptr(message)) };
    let _ = catch_unwind(AssertUnwindSafe(|| warn(&message.to_string_lossy())));
}

/// Options of [`ConnectorMetrics`].
#[derive(Default)]
pub struct ConnectorMetricsOptions {
    store: Option<Store>,
    style: LogStyle,
    cache_metrics: bool,
    warn: Option<Box<Warn>>,
}

impl ConnectorMetricsOptions {
    /// The store that the metrics go into: one in a file is shown by `kvtel serve`, too. Default: one in the heap.
    #[must_use]
    pub fn store(mut self, store: &Store) -> Self {
        self.store = Some(store.clone());
        self
    }

    /// How log lines are written.
    #[must_use]
    pub fn log_style(mut self, style: LogStyle) -> Self {
        self.style = style;
        self
    }

    /// vLLM's `--kv-cache-metrics`, with which some connectors export more.
    #[must_use]
    pub fn cache_metrics(mut self, on: bool) -> Self {
        self.cache_metrics = on;
        self
    }

    /// Called once for each field or metric that cannot be used, with a sentence. A panic of `warn` ends there.
    #[must_use]
    pub fn on_warning(mut self, warn: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.warn = Some(Box::new(Box::new(warn)));
        self
    }

    /// Makes the families of the connector that the configuration names, at zero for each engine.
    ///
    /// # Errors
    /// What is wrong in the configuration; [`Status::Argument`]: a name has a NUL; [`Status::Limit`],
    /// [`Status::NoMemory`].
    pub fn make(self, config_json: &str, model_name: &str, engines: &[u32]) -> Result<ConnectorMetrics, Error> {
        let config = Config::parse(config_json)?;
        // SAFETY: it lives, and is not shared yet.
        unsafe { sys::kvtel_transfer_config_set_cache_metrics(config.raw(), self.cache_metrics) };
        let store = match self.store {
            Some(store) => store,
            None => Store::options().model_name(model_name).in_heap()?,
        };
        let context = self.warn.as_deref().map_or(std::ptr::null(), std::ptr::from_ref);
        let call = self.warn.is_some().then_some(warn as unsafe extern "C" fn(_, _, _, _));
        // SAFETY: the closure outlives the diagnostics.
        let diagnostics = unsafe { sys::kvtel_diagnostics_create(call, context.cast_mut().cast()) };
        let diagnostics = Diagnostics::of(diagnostics)?;
        let payload = make_stats(&config, &diagnostics)?;
        let prom = make_prom(&config, &store, &diagnostics, model_name, engines)?;
        let style = match self.style {
            LogStyle::Vllm => sys::KVTEL_LOG_VLLM,
            LogStyle::Kvtel => sys::KVTEL_LOG_DEFAULT,
        };
        // SAFETY: configuration and diagnostics outlive the logging.
        let logging = unsafe { sys::kvtel_logging_create(config.raw(), style, diagnostics.raw()) };
        Ok(ConnectorMetrics {
            payload,
            worker: None,
            prom,
            logging: Logging::of(logging)?,
            diagnostics,
            config,
            snapshot: Snapshot::new()?,
            store,
            _warn: self.warn,
            logged: Instant::now(),
        })
    }
}

fn make_prom(
    config: &Config,
    store: &Store,
    diagnostics: &Diagnostics,
    model_name: &str,
    engines: &[u32],
) -> Result<Prom, Error> {
    const LABELS: [&CStr; 2] = [c"model_name", c"engine"];
    let labels = LABELS.map(CStr::as_ptr);
    let model_name = text::for_c("the model's name", model_name)?;
    let numbers: Vec<CString> =
        engines.iter().map(|engine| text::for_c("an engine", &engine.to_string())).collect::<Result<_, _>>()?;
    let values: Vec<[*const c_char; 2]> = numbers.iter().map(|number| [model_name.as_ptr(), number.as_ptr()]).collect();
    let engines: Vec<sys::kvtel_engine_labels> = engines
        .iter()
        .zip(&values)
        .map(|(engine, values)| sys::kvtel_engine_labels {
            engine: *engine,
            values: values.as_ptr(),
            reserved: [std::ptr::null(); 2],
        })
        .collect();
    // SAFETY: all zeroes are a value of this struct: no functions.
    let mut types: sys::kvtel_metric_types = unsafe { std::mem::zeroed() };
    // SAFETY: the store lives.
    check(unsafe { sys::kvtel_store_metric_types(store.raw(), &mut types) })?;
    let options = sys::kvtel_prom_options {
        config: config.raw(),
        types,
        labelnames: labels.as_ptr(),
        label_count: labels.len(),
        engines: engines.as_ptr(),
        engine_count: engines.len(),
        diagnostics: diagnostics.raw(),
        reserved: [std::ptr::null(); 4],
    };
    let mut prom = null_mut();
    // SAFETY: options and texts live through the call; configuration, store and diagnostics outlive the metrics.
    check(unsafe { sys::kvtel_prom_create(&options, &mut prom) })?;
    Prom::of(prom)
}
