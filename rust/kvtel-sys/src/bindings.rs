// SPDX-License-Identifier: Apache-2.0
// Made of include/kvtel/kvtel.h by bindgen 0.72.1 (docs/rust.md has the call); tests/declarations.rs compares it with the headers.
pub const KVTEL_METRIC_LABELS: u32 = 8;
pub const KVTEL_METRIC_FIELDS: u32 = 4;
pub const KVTEL_SAMPLE_LIMIT: u32 = 1000000;
pub const KVTEL_OK: kvtel_status = 0;
pub const KVTEL_E_NOMEM: kvtel_status = -1;
pub const KVTEL_E_ARGUMENT: kvtel_status = -2;
pub const KVTEL_E_SYNTAX: kvtel_status = -3;
pub const KVTEL_E_TRUNCATED: kvtel_status = -4;
pub const KVTEL_E_TRAILING: kvtel_status = -5;
pub const KVTEL_E_DEPTH: kvtel_status = -6;
pub const KVTEL_E_TYPE: kvtel_status = -7;
pub const KVTEL_E_UNKNOWN: kvtel_status = -8;
pub const KVTEL_E_NO_STATS: kvtel_status = -9;
pub const KVTEL_E_ENGINE: kvtel_status = -10;
pub const KVTEL_E_LIMIT: kvtel_status = -11;
pub const KVTEL_E_SUMMARISED: kvtel_status = -12;
pub const KVTEL_E_MISMATCH: kvtel_status = -13;
pub const KVTEL_E_IO: kvtel_status = -14;
pub const KVTEL_E_FORMAT: kvtel_status = -15;
pub const KVTEL_E_BUSY: kvtel_status = -16;
#[doc = " How a call ended. 0 is success, everything else is negative: one of KVTEL_STATUS_LIST."]
pub type kvtel_status = ::core::ffi::c_int;
unsafe extern "C" {
    #[doc = " The status as a short English phrase. Static text; never NULL. Any thread."]
    pub fn kvtel_status_text(status: kvtel_status) -> *const ::core::ffi::c_char;
}
pub const KVTEL_TEXT_LIMIT: _bindgen_ty_1 = 1024;
#[doc = " Bytes of the longest text that is taken from outside: a model's name, a connector's, a source's, a label's value.\n What is longer is refused, with the reason."]
pub type _bindgen_ty_1 = ::core::ffi::c_uint;
#[doc = " Where and why reading failed. The caller owns it; a failing call fills all of it, a call that succeeds leaves it\n alone."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_error {
    #[doc = "< the same as the failing call returned"]
    pub status: kvtel_status,
    #[doc = "< bytes from the start of the input"]
    pub offset: usize,
    #[doc = "< from 1; 0 where the input has no lines (MessagePack)"]
    pub line: u32,
    #[doc = "< from 1, in bytes; 0 where there are no lines"]
    pub column: u32,
    #[doc = "< what is wrong, without the place; NUL-terminated"]
    pub message: [::core::ffi::c_char; 192usize],
    #[doc = "< errno of the system call that failed; 0: it was none"]
    pub system_error: ::core::ffi::c_int,
    #[doc = "< 0"]
    pub reserved: [u64; 3usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_error"][::core::mem::size_of::<kvtel_error>() - 248usize];
    ["Alignment of kvtel_error"][::core::mem::align_of::<kvtel_error>() - 8usize];
    ["Offset of field: kvtel_error::status"][::core::mem::offset_of!(kvtel_error, status) - 0usize];
    ["Offset of field: kvtel_error::offset"][::core::mem::offset_of!(kvtel_error, offset) - 8usize];
    ["Offset of field: kvtel_error::line"][::core::mem::offset_of!(kvtel_error, line) - 16usize];
    ["Offset of field: kvtel_error::column"]
        [::core::mem::offset_of!(kvtel_error, column) - 20usize];
    ["Offset of field: kvtel_error::message"]
        [::core::mem::offset_of!(kvtel_error, message) - 24usize];
    ["Offset of field: kvtel_error::system_error"]
        [::core::mem::offset_of!(kvtel_error, system_error) - 216usize];
    ["Offset of field: kvtel_error::reserved"]
        [::core::mem::offset_of!(kvtel_error, reserved) - 224usize];
};
unsafe extern "C" {
    #[doc = " Whether the call failed for a reason that may pass and that is not a fault of the input: a shortage of the machine\n (memory, file descriptors), a read that failed, a signal. Then keep what is known of the input, and try again. False\n for NULL and for KVTEL_OK. Any thread."]
    pub fn kvtel_error_is_passing(error: *const kvtel_error) -> bool;
}
#[doc = "< MessagePack; a label tuple is an array in key position"]
pub const KVTEL_MSGPACK: kvtel_format = 0;
#[doc = "< JSON; a label tuple in key position is the JSON text of its array"]
pub const KVTEL_JSON: kvtel_format = 1;
#[doc = " Bytes on the wire."]
pub type kvtel_format = ::core::ffi::c_uint;
unsafe extern "C" {
    #[doc = " Version of the library that runs, \"MAJOR.MINOR.PATCH\". Static text. Any thread."]
    pub fn kvtel_version() -> *const ::core::ffi::c_char;
}
#[doc = " A growing buffer that keeps its memory between two uses. Start from {0}. Single owner."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_buffer {
    #[doc = "< not NUL-terminated"]
    pub bytes: *mut ::core::ffi::c_char,
    #[doc = "< bytes in use"]
    pub size: usize,
    #[doc = "< bytes of memory behind `bytes`"]
    pub capacity: usize,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_buffer"][::core::mem::size_of::<kvtel_buffer>() - 24usize];
    ["Alignment of kvtel_buffer"][::core::mem::align_of::<kvtel_buffer>() - 8usize];
    ["Offset of field: kvtel_buffer::bytes"][::core::mem::offset_of!(kvtel_buffer, bytes) - 0usize];
    ["Offset of field: kvtel_buffer::size"][::core::mem::offset_of!(kvtel_buffer, size) - 8usize];
    ["Offset of field: kvtel_buffer::capacity"]
        [::core::mem::offset_of!(kvtel_buffer, capacity) - 16usize];
};
unsafe extern "C" {
    #[doc = " Frees the memory and makes it {0} again. NULL is fine."]
    pub fn kvtel_buffer_free(buffer: *mut kvtel_buffer);
}
#[doc = "< a number of things: blocks, keys, requests"]
pub const KVTEL_UNIT_COUNT: kvtel_unit = 0;
#[doc = "< a time in seconds"]
pub const KVTEL_UNIT_SECONDS: kvtel_unit = 1;
#[doc = "< a size in bytes"]
pub const KVTEL_UNIT_BYTES: kvtel_unit = 2;
#[doc = "< a part of a whole, 0 to 1"]
pub const KVTEL_UNIT_RATIO: kvtel_unit = 3;
#[doc = " What a number measures. The unit chooses the range of a histogram's exponential buckets."]
pub type kvtel_unit = ::core::ffi::c_uint;
#[doc = "< a sum that only grows"]
pub const KVTEL_COUNTER: kvtel_metric_type = 0;
#[doc = "< a reading; the newest one counts"]
pub const KVTEL_GAUGE: kvtel_metric_type = 1;
#[doc = "< a distribution: count, sum and buckets"]
pub const KVTEL_HISTOGRAM: kvtel_metric_type = 2;
#[doc = " The types of Prometheus that kvtel exports."]
pub type kvtel_metric_type = ::core::ffi::c_uint;
#[doc = " Upper bounds of explicit buckets, ascending, without +Inf."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_buckets {
    #[doc = "< in the unit of the metric; borrowed"]
    pub bounds: *const f64,
    #[doc = "< how many bounds"]
    pub count: usize,
    #[doc = "< must be NULL"]
    pub reserved: [*const ::core::ffi::c_void; 2usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_buckets"][::core::mem::size_of::<kvtel_buckets>() - 32usize];
    ["Alignment of kvtel_buckets"][::core::mem::align_of::<kvtel_buckets>() - 8usize];
    ["Offset of field: kvtel_buckets::bounds"]
        [::core::mem::offset_of!(kvtel_buckets, bounds) - 0usize];
    ["Offset of field: kvtel_buckets::count"]
        [::core::mem::offset_of!(kvtel_buckets, count) - 8usize];
    ["Offset of field: kvtel_buckets::reserved"]
        [::core::mem::offset_of!(kvtel_buckets, reserved) - 16usize];
};
#[doc = " A family to be made: names are borrowed until the call returns."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_family_spec {
    #[doc = "< a counter's without _total"]
    pub name: *const ::core::ffi::c_char,
    #[doc = "< a family of another type has to have another name"]
    pub type_: kvtel_metric_type,
    #[doc = "< the text of `# HELP`, one sentence"]
    pub help: *const ::core::ffi::c_char,
    #[doc = "< model_name, engine, then the metric's own"]
    pub labelnames: *const *const ::core::ffi::c_char,
    #[doc = "< how many label names"]
    pub label_count: usize,
    #[doc = "< histograms only"]
    pub buckets: *const kvtel_buckets,
    #[doc = "< unit of the values"]
    pub unit: kvtel_unit,
    #[doc = "< must be NULL"]
    pub reserved: [*const ::core::ffi::c_void; 2usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_family_spec"][::core::mem::size_of::<kvtel_family_spec>() - 72usize];
    ["Alignment of kvtel_family_spec"][::core::mem::align_of::<kvtel_family_spec>() - 8usize];
    ["Offset of field: kvtel_family_spec::name"]
        [::core::mem::offset_of!(kvtel_family_spec, name) - 0usize];
    ["Offset of field: kvtel_family_spec::type_"]
        [::core::mem::offset_of!(kvtel_family_spec, type_) - 8usize];
    ["Offset of field: kvtel_family_spec::help"]
        [::core::mem::offset_of!(kvtel_family_spec, help) - 16usize];
    ["Offset of field: kvtel_family_spec::labelnames"]
        [::core::mem::offset_of!(kvtel_family_spec, labelnames) - 24usize];
    ["Offset of field: kvtel_family_spec::label_count"]
        [::core::mem::offset_of!(kvtel_family_spec, label_count) - 32usize];
    ["Offset of field: kvtel_family_spec::buckets"]
        [::core::mem::offset_of!(kvtel_family_spec, buckets) - 40usize];
    ["Offset of field: kvtel_family_spec::unit"]
        [::core::mem::offset_of!(kvtel_family_spec, unit) - 48usize];
    ["Offset of field: kvtel_family_spec::reserved"]
        [::core::mem::offset_of!(kvtel_family_spec, reserved) - 56usize];
};
#[doc = " Immutable after parsing: any thread may read it."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_transfer_config {
    _unused: [u8; 0],
}
unsafe extern "C" {
    #[doc = " Parses `{\"kv_connector\": ..., \"kv_connector_extra_config\": {...}, ...}`; keys that kvtel does not use are ignored.\n @param config out, owned: kvtel_transfer_config_destroy()\n @param error  may be NULL\n @return KVTEL_OK, KVTEL_E_SYNTAX, KVTEL_E_TYPE (no kv_connector string, a name with a NUL or longer than\n KVTEL_TEXT_LIMIT, children not a list), KVTEL_E_DEPTH, KVTEL_E_LIMIT (more than 1,000 children),\n KVTEL_E_NOMEM. Any thread."]
    pub fn kvtel_transfer_config_parse(
        format: kvtel_format,
        bytes: *const ::core::ffi::c_void,
        size: usize,
        config: *mut *mut kvtel_transfer_config,
        error: *mut kvtel_error,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " A configuration that consists of a connector's name alone. @return owned, or NULL without memory and for a name\n longer than KVTEL_TEXT_LIMIT bytes."]
    pub fn kvtel_transfer_config_of(
        connector_name: *const ::core::ffi::c_char,
    ) -> *mut kvtel_transfer_config;
}
unsafe extern "C" {
    #[doc = " NULL is fine. Children go with their parent."]
    pub fn kvtel_transfer_config_destroy(config: *mut kvtel_transfer_config);
}
unsafe extern "C" {
    #[doc = " `kv_connector`. Borrowed until destroy."]
    pub fn kvtel_transfer_config_connector_name(
        config: *const kvtel_transfer_config,
    ) -> *const ::core::ffi::c_char;
}
unsafe extern "C" {
    #[doc = " The table of `kv_connector`, or NULL when no table has the name."]
    pub fn kvtel_transfer_config_connector(
        config: *const kvtel_transfer_config,
    ) -> *const kvtel_connector;
}
unsafe extern "C" {
    #[doc = " `kv_connector_extra_config.KEY` as text or number. Borrowed until destroy; `fallback` when absent, of another type,\n or longer than KVTEL_TEXT_LIMIT bytes."]
    pub fn kvtel_transfer_config_text(
        config: *const kvtel_transfer_config,
        key: *const ::core::ffi::c_char,
        fallback: *const ::core::ffi::c_char,
    ) -> *const ::core::ffi::c_char;
}
unsafe extern "C" {
    #[doc = " Likewise for a number."]
    pub fn kvtel_transfer_config_number(
        config: *const kvtel_transfer_config,
        key: *const ::core::ffi::c_char,
        fallback: f64,
    ) -> f64;
}
unsafe extern "C" {
    #[doc = " The `type` of the i-th entry of `kv_connector_extra_config.secondary_tiers`, or NULL past the end. Borrowed until\n destroy."]
    pub fn kvtel_transfer_config_tier(
        config: *const kvtel_transfer_config,
        i: usize,
    ) -> *const ::core::ffi::c_char;
}
unsafe extern "C" {
    #[doc = " How many children a MultiConnector has (`kv_connector_extra_config.connectors`); 0 for any other connector."]
    pub fn kvtel_transfer_config_child_count(config: *const kvtel_transfer_config) -> usize;
}
unsafe extern "C" {
    #[doc = " The i-th child, or NULL past the end. Borrowed until destroy."]
    pub fn kvtel_transfer_config_child(
        config: *const kvtel_transfer_config,
        i: usize,
    ) -> *const kvtel_transfer_config;
}
unsafe extern "C" {
    #[doc = " vLLM's `--kv-cache-metrics`, which is no part of the JSON: some connectors export more with it. Default false.\n Children follow. Call before the configuration is shared."]
    pub fn kvtel_transfer_config_set_cache_metrics(config: *mut kvtel_transfer_config, on: bool);
}
unsafe extern "C" {
    #[doc = " What kvtel_transfer_config_set_cache_metrics() set."]
    pub fn kvtel_transfer_config_cache_metrics(config: *const kvtel_transfer_config) -> bool;
}
#[doc = "< the connector has no stats"]
pub const KVTEL_PAYLOAD_NONE: kvtel_payload_kind = 0;
#[doc = "< {field: [numbers]}, some fields a lone number"]
pub const KVTEL_PAYLOAD_COLUMNS: kvtel_payload_kind = 1;
#[doc = "< {operation: [{field: value}]}"]
pub const KVTEL_PAYLOAD_ROWS: kvtel_payload_kind = 2;
#[doc = "< {operation: {field: number}}"]
pub const KVTEL_PAYLOAD_COUNTS: kvtel_payload_kind = 3;
#[doc = "< {\"types\": {metric: type}, \"data\": {metric: {label values: number or [numbers]}}, \"info\":\n...}"]
pub const KVTEL_PAYLOAD_TYPED: kvtel_payload_kind = 4;
#[doc = "< {class name: payload}: a MultiConnector"]
pub const KVTEL_PAYLOAD_MULTI: kvtel_payload_kind = 5;
#[doc = " How a payload (vLLM's `KVConnectorStats.data`) is laid out."]
pub type kvtel_payload_kind = ::core::ffi::c_uint;
#[doc = "< list of measurements; joined"]
pub const KVTEL_FIELD_SAMPLES: kvtel_field_kind = 0;
#[doc = "< list of increments; joined"]
pub const KVTEL_FIELD_EVENTS: kvtel_field_kind = 1;
#[doc = "< list of readings, of which the last counts; aggregating appends the newer object's last"]
pub const KVTEL_FIELD_LEVEL: kvtel_field_kind = 2;
#[doc = "< a lone number; added"]
pub const KVTEL_FIELD_TOTAL: kvtel_field_kind = 3;
#[doc = "< text (of a row)"]
pub const KVTEL_FIELD_TEXT: kvtel_field_kind = 4;
#[doc = "< a lone number, which the newer object's replaces; KVTEL_PAYLOAD_COLUMNS only"]
pub const KVTEL_FIELD_READING: kvtel_field_kind = 5;
#[doc = " What a field holds and how two of them are aggregated."]
pub type kvtel_field_kind = ::core::ffi::c_uint;
#[doc = " One field of a payload."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_field {
    #[doc = "< its key in the payload"]
    pub key: *const ::core::ffi::c_char,
    #[doc = "< what it holds"]
    pub kind: kvtel_field_kind,
    #[doc = "< unit of its numbers"]
    pub unit: kvtel_unit,
    #[doc = " Fields with the same number above 0 describe the same transfers: their lists are equally long, and the values at\n one position are those of one transfer."]
    pub row: ::core::ffi::c_uint,
    #[doc = "< must be NULL"]
    pub reserved: [*const ::core::ffi::c_void; 2usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_field"][::core::mem::size_of::<kvtel_field>() - 40usize];
    ["Alignment of kvtel_field"][::core::mem::align_of::<kvtel_field>() - 8usize];
    ["Offset of field: kvtel_field::key"][::core::mem::offset_of!(kvtel_field, key) - 0usize];
    ["Offset of field: kvtel_field::kind"][::core::mem::offset_of!(kvtel_field, kind) - 8usize];
    ["Offset of field: kvtel_field::unit"][::core::mem::offset_of!(kvtel_field, unit) - 12usize];
    ["Offset of field: kvtel_field::row"][::core::mem::offset_of!(kvtel_field, row) - 16usize];
    ["Offset of field: kvtel_field::reserved"]
        [::core::mem::offset_of!(kvtel_field, reserved) - 24usize];
};
#[doc = "< histogram: each value; counter: their sum; gauge: the last"]
pub const KVTEL_INPUT_VALUES: kvtel_metric_input = 0;
#[doc = "< counter: how many rows"]
pub const KVTEL_INPUT_COUNT: kvtel_metric_input = 1;
#[doc = "< gauge set to 1, labels filled from the payload's \"info\""]
pub const KVTEL_INPUT_INFO: kvtel_metric_input = 2;
#[doc = " How a metric's value is derived from its fields."]
pub type kvtel_metric_input = ::core::ffi::c_uint;
#[doc = " When a configuration exports a metric: when each part that is given holds."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_condition {
    #[doc = "< a key of kv_connector_extra_config, for `is` or `at_least`; NULL: not asked"]
    pub setting: *const ::core::ffi::c_char,
    #[doc = "< the setting is this text"]
    pub is: *const ::core::ffi::c_char,
    #[doc = "< the setting is a number of at least this; 0: not asked"]
    pub at_least: f64,
    #[doc = "< a secondary tier of this type is configured; NULL: not asked"]
    pub tier: *const ::core::ffi::c_char,
    #[doc = "< vLLM runs with --kv-cache-metrics; false: not asked"]
    pub cache_metrics: bool,
    #[doc = "< the metric is exported when the condition does not hold"]
    pub negated: bool,
    #[doc = "< must be NULL"]
    pub reserved: [*const ::core::ffi::c_void; 4usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_condition"][::core::mem::size_of::<kvtel_condition>() - 72usize];
    ["Alignment of kvtel_condition"][::core::mem::align_of::<kvtel_condition>() - 8usize];
    ["Offset of field: kvtel_condition::setting"]
        [::core::mem::offset_of!(kvtel_condition, setting) - 0usize];
    ["Offset of field: kvtel_condition::is"][::core::mem::offset_of!(kvtel_condition, is) - 8usize];
    ["Offset of field: kvtel_condition::at_least"]
        [::core::mem::offset_of!(kvtel_condition, at_least) - 16usize];
    ["Offset of field: kvtel_condition::tier"]
        [::core::mem::offset_of!(kvtel_condition, tier) - 24usize];
    ["Offset of field: kvtel_condition::cache_metrics"]
        [::core::mem::offset_of!(kvtel_condition, cache_metrics) - 32usize];
    ["Offset of field: kvtel_condition::negated"]
        [::core::mem::offset_of!(kvtel_condition, negated) - 33usize];
    ["Offset of field: kvtel_condition::reserved"]
        [::core::mem::offset_of!(kvtel_condition, reserved) - 40usize];
};
#[doc = " One Prometheus family."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_metric {
    #[doc = " With prefix, e.g. \"vllm:nixl_xfer_time_seconds\"; a counter's name as vLLM gives it, with or without _total."]
    pub name: *const ::core::ffi::c_char,
    #[doc = "< what it is exported as"]
    pub type_: kvtel_metric_type,
    #[doc = "< unit, window (from which event to which), and whether rank transfers or requests are counted"]
    pub help: *const ::core::ffi::c_char,
    #[doc = " Keys of the fields whose values the metric takes, or for KVTEL_PAYLOAD_TYPED names of metrics in the payload.\n The metric takes all of them together or, with `values`, the series of values[i] takes fields[i]. Empty for a\n typed metric that takes the payload's metric of its own name."]
    pub fields: [*const ::core::ffi::c_char; 4usize],
    #[doc = "< what of the fields it takes"]
    pub input: kvtel_metric_input,
    #[doc = " Own labels, after model_name and engine. In KVTEL_PAYLOAD_ROWS and _COUNTS a label is filled from the row's text\n field of the same name, any other (operation, transfer_type) from the operation's name."]
    pub labels: [*const ::core::ffi::c_char; 8usize],
    #[doc = "< values of its only label; these series are made up front for every engine"]
    pub values: [*const ::core::ffi::c_char; 4usize],
    #[doc = "< histograms only"]
    pub buckets: *const kvtel_buckets,
    #[doc = "< chooses a histogram's exponential range"]
    pub unit: kvtel_unit,
    #[doc = "< whether the family is exported; NULL: always"]
    pub when:
        ::core::option::Option<unsafe extern "C" fn(config: *const kvtel_transfer_config) -> bool>,
    #[doc = "< the same without code; NULL: always"]
    pub condition: *const kvtel_condition,
    #[doc = "< must be NULL"]
    pub reserved: [*const ::core::ffi::c_void; 3usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_metric"][::core::mem::size_of::<kvtel_metric>() - 216usize];
    ["Alignment of kvtel_metric"][::core::mem::align_of::<kvtel_metric>() - 8usize];
    ["Offset of field: kvtel_metric::name"][::core::mem::offset_of!(kvtel_metric, name) - 0usize];
    ["Offset of field: kvtel_metric::type_"][::core::mem::offset_of!(kvtel_metric, type_) - 8usize];
    ["Offset of field: kvtel_metric::help"][::core::mem::offset_of!(kvtel_metric, help) - 16usize];
    ["Offset of field: kvtel_metric::fields"]
        [::core::mem::offset_of!(kvtel_metric, fields) - 24usize];
    ["Offset of field: kvtel_metric::input"]
        [::core::mem::offset_of!(kvtel_metric, input) - 56usize];
    ["Offset of field: kvtel_metric::labels"]
        [::core::mem::offset_of!(kvtel_metric, labels) - 64usize];
    ["Offset of field: kvtel_metric::values"]
        [::core::mem::offset_of!(kvtel_metric, values) - 128usize];
    ["Offset of field: kvtel_metric::buckets"]
        [::core::mem::offset_of!(kvtel_metric, buckets) - 160usize];
    ["Offset of field: kvtel_metric::unit"][::core::mem::offset_of!(kvtel_metric, unit) - 168usize];
    ["Offset of field: kvtel_metric::when"][::core::mem::offset_of!(kvtel_metric, when) - 176usize];
    ["Offset of field: kvtel_metric::condition"]
        [::core::mem::offset_of!(kvtel_metric, condition) - 184usize];
    ["Offset of field: kvtel_metric::reserved"]
        [::core::mem::offset_of!(kvtel_metric, reserved) - 192usize];
};
#[doc = "< how many values; integer"]
pub const KVTEL_REDUCE_COUNT: kvtel_reduction_kind = 0;
#[doc = "< their sum as Python's sum(): integer if all are"]
pub const KVTEL_REDUCE_TOTAL: kvtel_reduction_kind = 1;
#[doc = "< mean * scale, rounded"]
pub const KVTEL_REDUCE_MEAN: kvtel_reduction_kind = 2;
#[doc = "< 90th percentile * scale, rounded"]
pub const KVTEL_REDUCE_P90: kvtel_reduction_kind = 3;
#[doc = "< (sum(fields[0]) * scale) / sum(fields[1]), rounded"]
pub const KVTEL_REDUCE_RATE: kvtel_reduction_kind = 4;
#[doc = "< last value * scale, rounded; no line when there is none"]
pub const KVTEL_REDUCE_LAST: kvtel_reduction_kind = 5;
#[doc = "< KVTEL_PAYLOAD_ROWS: how many rows hold the text `match` in fields[0]"]
pub const KVTEL_REDUCE_MATCHES: kvtel_reduction_kind = 6;
#[doc = " How a value of vLLM's log line is computed. The values of all `fields` are taken together, in their order."]
pub type kvtel_reduction_kind = ::core::ffi::c_uint;
#[doc = "< pairwise sums; percentile by linear interpolation"]
pub const KVTEL_NUMPY: kvtel_arithmetic = 0;
#[doc = "< left to right sums, sum()/len()"]
pub const KVTEL_PLAIN: kvtel_arithmetic = 1;
#[doc = "< statistics.fmean (correctly rounded sum); percentile by nearest rank"]
pub const KVTEL_EXACT: kvtel_arithmetic = 2;
#[doc = " Which summation and which percentile vLLM's code for a connector uses. They determine the last digits of a mean."]
pub type kvtel_arithmetic = ::core::ffi::c_uint;
#[doc = " One value of vLLM's log line: its key, and how it is computed from which fields."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_reduction {
    #[doc = "< of the log line; in KVTEL_PAYLOAD_ROWS and _COUNTS the operation's name comes before it"]
    pub key: *const ::core::ffi::c_char,
    #[doc = "< how it is computed"]
    pub kind: kvtel_reduction_kind,
    #[doc = "< keys of the fields that it is computed from"]
    pub fields: [*const ::core::ffi::c_char; 4usize],
    #[doc = "< 0: 1"]
    pub scale: f64,
    #[doc = "< decimals"]
    pub digits: ::core::ffi::c_int,
    #[doc = "< computed even when the connector's `primary` field is empty (other lines are then integer 0)"]
    pub always: bool,
    #[doc = "< KVTEL_REDUCE_RATE: 0.0 when the divisor is 0, where others give inf or nan"]
    pub finite: bool,
    #[doc = "< KVTEL_REDUCE_MATCHES: the text to count; else NULL"]
    pub match_: *const ::core::ffi::c_char,
    #[doc = "< must be NULL"]
    pub reserved: [*const ::core::ffi::c_void; 2usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_reduction"][::core::mem::size_of::<kvtel_reduction>() - 88usize];
    ["Alignment of kvtel_reduction"][::core::mem::align_of::<kvtel_reduction>() - 8usize];
    ["Offset of field: kvtel_reduction::key"]
        [::core::mem::offset_of!(kvtel_reduction, key) - 0usize];
    ["Offset of field: kvtel_reduction::kind"]
        [::core::mem::offset_of!(kvtel_reduction, kind) - 8usize];
    ["Offset of field: kvtel_reduction::fields"]
        [::core::mem::offset_of!(kvtel_reduction, fields) - 16usize];
    ["Offset of field: kvtel_reduction::scale"]
        [::core::mem::offset_of!(kvtel_reduction, scale) - 48usize];
    ["Offset of field: kvtel_reduction::digits"]
        [::core::mem::offset_of!(kvtel_reduction, digits) - 56usize];
    ["Offset of field: kvtel_reduction::always"]
        [::core::mem::offset_of!(kvtel_reduction, always) - 60usize];
    ["Offset of field: kvtel_reduction::finite"]
        [::core::mem::offset_of!(kvtel_reduction, finite) - 61usize];
    ["Offset of field: kvtel_reduction::match_"]
        [::core::mem::offset_of!(kvtel_reduction, match_) - 64usize];
    ["Offset of field: kvtel_reduction::reserved"]
        [::core::mem::offset_of!(kvtel_reduction, reserved) - 72usize];
};
#[doc = " How vLLM's code for a connector prints its log line. A connector whose line nobody has to compare with vLLM's needs\n no rules."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_log_rules {
    #[doc = "< values of the line, in its order; NULL: none. KVTEL_PAYLOAD_TYPED has\nnone, because its line has one value for each series of the payload"]
    pub reduce: *const kvtel_reduction,
    #[doc = "< when this field is empty or 0, values without `always` are integer 0; NULL: no such field"]
    pub primary: *const ::core::ffi::c_char,
    #[doc = "< fields or typed metrics that no log line shows; NULL: none"]
    pub hidden: *const *const ::core::ffi::c_char,
    #[doc = "< how it sums and ranks"]
    pub arithmetic: kvtel_arithmetic,
    #[doc = "< an empty `primary` gives no line at all"]
    pub silent_when_empty: bool,
    #[doc = "< operations are printed sorted by name, not in the order seen"]
    pub sorted: bool,
    #[doc = "< must be NULL"]
    pub reserved: [*const ::core::ffi::c_void; 4usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_log_rules"][::core::mem::size_of::<kvtel_log_rules>() - 64usize];
    ["Alignment of kvtel_log_rules"][::core::mem::align_of::<kvtel_log_rules>() - 8usize];
    ["Offset of field: kvtel_log_rules::reduce"]
        [::core::mem::offset_of!(kvtel_log_rules, reduce) - 0usize];
    ["Offset of field: kvtel_log_rules::primary"]
        [::core::mem::offset_of!(kvtel_log_rules, primary) - 8usize];
    ["Offset of field: kvtel_log_rules::hidden"]
        [::core::mem::offset_of!(kvtel_log_rules, hidden) - 16usize];
    ["Offset of field: kvtel_log_rules::arithmetic"]
        [::core::mem::offset_of!(kvtel_log_rules, arithmetic) - 24usize];
    ["Offset of field: kvtel_log_rules::silent_when_empty"]
        [::core::mem::offset_of!(kvtel_log_rules, silent_when_empty) - 28usize];
    ["Offset of field: kvtel_log_rules::sorted"]
        [::core::mem::offset_of!(kvtel_log_rules, sorted) - 29usize];
    ["Offset of field: kvtel_log_rules::reserved"]
        [::core::mem::offset_of!(kvtel_log_rules, reserved) - 32usize];
};
pub const KVTEL_FAILED_TRANSFER: kvtel_failure = 0;
pub const KVTEL_FAILED_HANDSHAKE: kvtel_failure = 1;
pub const KVTEL_FAILED_NOTIFICATION: kvtel_failure = 2;
pub const KVTEL_FAILED_RECEIVE: kvtel_failure = 3;
pub const KVTEL_FAILED_EXPIRED: kvtel_failure = 4;
pub const KVTEL_FAILED_LATE: kvtel_failure = 5;
pub const KVTEL_FAILED_ALLOCATION: kvtel_failure = 6;
pub const KVTEL_FAILED_SAVE: kvtel_failure = 7;
pub const KVTEL_FAILED_LOAD: kvtel_failure = 8;
pub const KVTEL_FAILURE_COUNT: kvtel_failure = 9;
#[doc = " A class of failure: one of KVTEL_FAILURE_LIST."]
pub type kvtel_failure = ::core::ffi::c_uint;
unsafe extern "C" {
    #[doc = " The class as text, e.g. \"handshake\". Static; NULL outside the list. Any thread."]
    pub fn kvtel_failure_label(failure: kvtel_failure) -> *const ::core::ffi::c_char;
}
#[doc = " Which field counts a class of failure."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_failure_field {
    #[doc = "< the class"]
    pub failure: kvtel_failure,
    #[doc = "< key of a field: a total, or a list of increments"]
    pub field: *const ::core::ffi::c_char,
    #[doc = "< must be NULL"]
    pub reserved: [*const ::core::ffi::c_void; 2usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_failure_field"][::core::mem::size_of::<kvtel_failure_field>() - 32usize];
    ["Alignment of kvtel_failure_field"][::core::mem::align_of::<kvtel_failure_field>() - 8usize];
    ["Offset of field: kvtel_failure_field::failure"]
        [::core::mem::offset_of!(kvtel_failure_field, failure) - 0usize];
    ["Offset of field: kvtel_failure_field::field"]
        [::core::mem::offset_of!(kvtel_failure_field, field) - 8usize];
    ["Offset of field: kvtel_failure_field::reserved"]
        [::core::mem::offset_of!(kvtel_failure_field, reserved) - 16usize];
};
#[doc = " Which fields describe one kind of transfer. kvtel's own log line, its summary and native recording use them. A field\n may hold samples (quantiles can be computed) or a total (only the sum is there). NULL where the connector does not\n measure it."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_flow {
    #[doc = "< \"transfer\", \"load\", \"store\"; KVTEL_PAYLOAD_ROWS and _COUNTS: \"*\", each operation is a flow"]
    pub name: *const ::core::ffi::c_char,
    #[doc = "< seconds from start to completion"]
    pub time: *const ::core::ffi::c_char,
    #[doc = "< seconds to post the request"]
    pub post: *const ::core::ffi::c_char,
    #[doc = "< bytes moved by one transfer, or a total of bytes"]
    pub bytes: *const ::core::ffi::c_char,
    #[doc = "< samples of bytes of one transfer, where `bytes` is a total"]
    pub sizes: *const ::core::ffi::c_char,
    #[doc = "< contiguous pieces of memory, or keys of a store"]
    pub descriptors: *const ::core::ffi::c_char,
    #[doc = "< a total of transfers, where no field has samples"]
    pub count: *const ::core::ffi::c_char,
    #[doc = "< a total that grows with each transfer and each failure counted in `failed`"]
    pub started: *const ::core::ffi::c_char,
    #[doc = "< a total of failed transfers of this flow; KVTEL_PAYLOAD_ROWS: pieces (keys) that failed"]
    pub failed: *const ::core::ffi::c_char,
    #[doc = "< KVTEL_PAYLOAD_ROWS: text; a row with another text than \"ok\" is a failure of the class that\nthe text names"]
    pub status: *const ::core::ffi::c_char,
    #[doc = "< must be NULL"]
    pub reserved: [*const ::core::ffi::c_void; 4usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_flow"][::core::mem::size_of::<kvtel_flow>() - 112usize];
    ["Alignment of kvtel_flow"][::core::mem::align_of::<kvtel_flow>() - 8usize];
    ["Offset of field: kvtel_flow::name"][::core::mem::offset_of!(kvtel_flow, name) - 0usize];
    ["Offset of field: kvtel_flow::time"][::core::mem::offset_of!(kvtel_flow, time) - 8usize];
    ["Offset of field: kvtel_flow::post"][::core::mem::offset_of!(kvtel_flow, post) - 16usize];
    ["Offset of field: kvtel_flow::bytes"][::core::mem::offset_of!(kvtel_flow, bytes) - 24usize];
    ["Offset of field: kvtel_flow::sizes"][::core::mem::offset_of!(kvtel_flow, sizes) - 32usize];
    ["Offset of field: kvtel_flow::descriptors"]
        [::core::mem::offset_of!(kvtel_flow, descriptors) - 40usize];
    ["Offset of field: kvtel_flow::count"][::core::mem::offset_of!(kvtel_flow, count) - 48usize];
    ["Offset of field: kvtel_flow::started"]
        [::core::mem::offset_of!(kvtel_flow, started) - 56usize];
    ["Offset of field: kvtel_flow::failed"][::core::mem::offset_of!(kvtel_flow, failed) - 64usize];
    ["Offset of field: kvtel_flow::status"][::core::mem::offset_of!(kvtel_flow, status) - 72usize];
    ["Offset of field: kvtel_flow::reserved"]
        [::core::mem::offset_of!(kvtel_flow, reserved) - 80usize];
};
#[doc = " A configured name (vLLM's `kv_connector`) and the class behind it, which is a MultiConnector child's key."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_connector_name {
    #[doc = "< as configured"]
    pub name: *const ::core::ffi::c_char,
    #[doc = "< NULL: the same"]
    pub class_name: *const ::core::ffi::c_char,
    #[doc = "< must be NULL"]
    pub reserved: [*const ::core::ffi::c_void; 2usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_connector_name"][::core::mem::size_of::<kvtel_connector_name>() - 32usize];
    ["Alignment of kvtel_connector_name"][::core::mem::align_of::<kvtel_connector_name>() - 8usize];
    ["Offset of field: kvtel_connector_name::name"]
        [::core::mem::offset_of!(kvtel_connector_name, name) - 0usize];
    ["Offset of field: kvtel_connector_name::class_name"]
        [::core::mem::offset_of!(kvtel_connector_name, class_name) - 8usize];
    ["Offset of field: kvtel_connector_name::reserved"]
        [::core::mem::offset_of!(kvtel_connector_name, reserved) - 16usize];
};
#[doc = " Interval container of one connector. Opaque. Single owner: calls on one object are not concurrent."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_stats {
    _unused: [u8; 0],
}
#[doc = " A connector. A list ends with an entry whose first member is NULL (names, fields, metrics, flows, content) or whose\n `field` is NULL (failures). Immutable and static: what uses it keeps the pointer."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_connector {
    #[doc = "< at least one; the first is the name that log lines show"]
    pub names: *const kvtel_connector_name,
    #[doc = "< layout of the payload"]
    pub payload_kind: kvtel_payload_kind,
    #[doc = "< fields of the payload; KVTEL_PAYLOAD_TYPED: NULL"]
    pub fields: *const kvtel_field,
    #[doc = "< Prometheus families; NULL: none"]
    pub metrics: *const kvtel_metric,
    #[doc = "< kinds of transfer; NULL: none"]
    pub flows: *const kvtel_flow,
    #[doc = "< failures that are counted; NULL: none"]
    pub failures: *const kvtel_failure_field,
    #[doc = "< keys that make stats not empty when one of them is not; NULL: any key"]
    pub content: *const *const ::core::ffi::c_char,
    #[doc = "< KVTEL_PAYLOAD_TYPED: the payload carries \"info\""]
    pub has_info: bool,
    #[doc = "< how vLLM's code for it prints a log line; NULL: by no rules of its own"]
    pub log: *const kvtel_log_rules,
    #[doc = "< table of the payloads of older versions of vLLM, if they are of another kind"]
    pub older: *const kvtel_connector,
    #[doc = " NULL: kvtel_prom_metrics_create_generic(). For a connector that needs code; see prom.h."]
    pub build_prom_metrics: ::core::option::Option<
        unsafe extern "C" fn(
            connector: *const kvtel_connector,
            options: *const kvtel_prom_options,
            metrics: *mut *mut kvtel_prom_metrics,
        ) -> kvtel_status,
    >,
    #[doc = "< must be NULL"]
    pub reserved: [*const ::core::ffi::c_void; 8usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_connector"][::core::mem::size_of::<kvtel_connector>() - 152usize];
    ["Alignment of kvtel_connector"][::core::mem::align_of::<kvtel_connector>() - 8usize];
    ["Offset of field: kvtel_connector::names"]
        [::core::mem::offset_of!(kvtel_connector, names) - 0usize];
    ["Offset of field: kvtel_connector::payload_kind"]
        [::core::mem::offset_of!(kvtel_connector, payload_kind) - 8usize];
    ["Offset of field: kvtel_connector::fields"]
        [::core::mem::offset_of!(kvtel_connector, fields) - 16usize];
    ["Offset of field: kvtel_connector::metrics"]
        [::core::mem::offset_of!(kvtel_connector, metrics) - 24usize];
    ["Offset of field: kvtel_connector::flows"]
        [::core::mem::offset_of!(kvtel_connector, flows) - 32usize];
    ["Offset of field: kvtel_connector::failures"]
        [::core::mem::offset_of!(kvtel_connector, failures) - 40usize];
    ["Offset of field: kvtel_connector::content"]
        [::core::mem::offset_of!(kvtel_connector, content) - 48usize];
    ["Offset of field: kvtel_connector::has_info"]
        [::core::mem::offset_of!(kvtel_connector, has_info) - 56usize];
    ["Offset of field: kvtel_connector::log"]
        [::core::mem::offset_of!(kvtel_connector, log) - 64usize];
    ["Offset of field: kvtel_connector::older"]
        [::core::mem::offset_of!(kvtel_connector, older) - 72usize];
    ["Offset of field: kvtel_connector::build_prom_metrics"]
        [::core::mem::offset_of!(kvtel_connector, build_prom_metrics) - 80usize];
    ["Offset of field: kvtel_connector::reserved"]
        [::core::mem::offset_of!(kvtel_connector, reserved) - 88usize];
};
unsafe extern "C" {
    #[doc = " The table of a configured name or of a class name; NULL when no table has the name. Any thread."]
    pub fn kvtel_connector_find(name: *const ::core::ffi::c_char) -> *const kvtel_connector;
}
unsafe extern "C" {
    #[doc = " The table of a name, or, where no table has the name or its table has no stats, an open one: it has no list of\n metrics and learns them from payloads that describe themselves (KVTEL_PAYLOAD_TYPED, or any payload with a\n `_metrics_descriptor`). One and the same for each name, for the life of the process; at most 128.\n @return NULL: there are 128 already, the name is empty or longer than 1,024 bytes, or no memory. Any thread."]
    pub fn kvtel_connector_open(name: *const ::core::ffi::c_char) -> *const kvtel_connector;
}
unsafe extern "C" {
    #[doc = " The class behind a configured name, such as \"NixlPullConnector\" behind \"NixlConnector\"; `name` itself when no table\n has it. Any thread."]
    pub fn kvtel_connector_class(name: *const ::core::ffi::c_char) -> *const ::core::ffi::c_char;
}
unsafe extern "C" {
    #[doc = " The i-th table of all, registered ones last; NULL past the end. Any thread."]
    pub fn kvtel_connector_at(i: usize) -> *const kvtel_connector;
}
unsafe extern "C" {
    #[doc = " Adds a table of the caller's for the life of the process. At most 64. The whole table is checked: that Prometheus\n accepts the names, that each key is a field of the table, that bounds ascend, and what else is said of the members.\n @param error the reason of a refusal; may be NULL\n @return KVTEL_OK, KVTEL_E_ARGUMENT (the table is inconsistent, or a name is taken), KVTEL_E_LIMIT. Any thread."]
    pub fn kvtel_connector_register(
        connector: *const kvtel_connector,
        error: *mut kvtel_error,
    ) -> kvtel_status;
}
#[doc = " One finished transfer, as a native user records it. A number that was not measured is KVTEL_UNMEASURED: no value is\n recorded for it, so it does not change counts and means. In `post_ns`, `descriptors` and the points in time 0 means\n not measured, too. In the other members 0 is a value."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_transfer {
    #[doc = "< from start to completion"]
    pub duration_ns: u64,
    #[doc = "< to post the request; 0: not measured"]
    pub post_ns: u64,
    #[doc = "< bytes moved"]
    pub bytes: u64,
    #[doc = "< contiguous pieces, or keys of a store; 0: not measured"]
    pub descriptors: u64,
    #[doc = "< keys of a store that failed"]
    pub failed: u64,
    #[doc = " Points in time, in ns of one clock; 0: not known. Where `done_ns` is given, they stand in for durations that are\n 0 or KVTEL_UNMEASURED: duration_ns is then from submitted to done, post_ns from submitted to posted, and neither\n is measured when one of its points is not known. A point before `submitted_ns` is refused as a number past the\n limit is; `first_byte_ns` outside of the transfer is left out and counted. Only native recording (recorder.h)\n looks at them."]
    pub submitted_ns: u64,
    #[doc = "< the request was handed over; see `submitted_ns`"]
    pub posted_ns: u64,
    #[doc = "< the first byte arrived; see `submitted_ns`"]
    pub first_byte_ns: u64,
    #[doc = "< the transfer was complete; see `submitted_ns`"]
    pub done_ns: u64,
    #[doc = " Must be 0: later versions give it a meaning. With one word the struct has 80 bytes, which gcc clears by five\n stores; it clears 88 bytes by a loop that takes longer than recording does."]
    pub reserved: u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_transfer"][::core::mem::size_of::<kvtel_transfer>() - 80usize];
    ["Alignment of kvtel_transfer"][::core::mem::align_of::<kvtel_transfer>() - 8usize];
    ["Offset of field: kvtel_transfer::duration_ns"]
        [::core::mem::offset_of!(kvtel_transfer, duration_ns) - 0usize];
    ["Offset of field: kvtel_transfer::post_ns"]
        [::core::mem::offset_of!(kvtel_transfer, post_ns) - 8usize];
    ["Offset of field: kvtel_transfer::bytes"]
        [::core::mem::offset_of!(kvtel_transfer, bytes) - 16usize];
    ["Offset of field: kvtel_transfer::descriptors"]
        [::core::mem::offset_of!(kvtel_transfer, descriptors) - 24usize];
    ["Offset of field: kvtel_transfer::failed"]
        [::core::mem::offset_of!(kvtel_transfer, failed) - 32usize];
    ["Offset of field: kvtel_transfer::submitted_ns"]
        [::core::mem::offset_of!(kvtel_transfer, submitted_ns) - 40usize];
    ["Offset of field: kvtel_transfer::posted_ns"]
        [::core::mem::offset_of!(kvtel_transfer, posted_ns) - 48usize];
    ["Offset of field: kvtel_transfer::first_byte_ns"]
        [::core::mem::offset_of!(kvtel_transfer, first_byte_ns) - 56usize];
    ["Offset of field: kvtel_transfer::done_ns"]
        [::core::mem::offset_of!(kvtel_transfer, done_ns) - 64usize];
    ["Offset of field: kvtel_transfer::reserved"]
        [::core::mem::offset_of!(kvtel_transfer, reserved) - 72usize];
};
unsafe extern "C" {
    #[doc = " Reads tables from JSON and checks them as kvtel_connector_register() does. With `is_registered` they are also\n registered, all or, where the process has no room for all of them, those before the one that is refused; they then\n stay for the life of the process.\n @param error may be NULL; with the place in the text\n @return KVTEL_OK, KVTEL_E_SYNTAX, KVTEL_E_TRUNCATED, KVTEL_E_TRAILING, KVTEL_E_DEPTH, KVTEL_E_TYPE (a member that a\n table does not have, or of another type), KVTEL_E_FORMAT (another version), KVTEL_E_ARGUMENT (the table is\n inconsistent, or a name is taken), KVTEL_E_LIMIT, KVTEL_E_NOMEM. Any thread."]
    pub fn kvtel_connector_parse(
        json: *const ::core::ffi::c_char,
        size: usize,
        is_registered: bool,
        error: *mut kvtel_error,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " The same for a file of at most 16 MiB. @return also KVTEL_E_IO. Any thread."]
    pub fn kvtel_connector_load(
        path: *const ::core::ffi::c_char,
        is_registered: bool,
        error: *mut kvtel_error,
    ) -> kvtel_status;
}
#[doc = " Called for each file of a path that could not be loaded; `file` and `error` are borrowed."]
pub type kvtel_connector_failed_fn = ::core::option::Option<
    unsafe extern "C" fn(
        context: *mut ::core::ffi::c_void,
        file: *const ::core::ffi::c_char,
        error: *const kvtel_error,
    ),
>;
unsafe extern "C" {
    #[doc = " Loads and registers the files of a path: names with colons between them, each of a file, or of a directory, of which\n the files *.json are loaded in the order of their names. A file that cannot be loaded does not keep others from it.\n @param path   NULL: the value of the environment variable KVTEL_CONNECTOR_PATH, if it is set\n @param failed may be NULL\n @return how many files could not be loaded. Any thread."]
    pub fn kvtel_connector_load_path(
        path: *const ::core::ffi::c_char,
        failed: kvtel_connector_failed_fn,
        context: *mut ::core::ffi::c_void,
    ) -> usize;
}
unsafe extern "C" {
    #[doc = " Appends a table as JSON, in one line.\n @return KVTEL_OK, KVTEL_E_ARGUMENT (the table has a function, which JSON cannot hold), KVTEL_E_NOMEM. Any thread."]
    pub fn kvtel_connector_encode(
        connector: *const kvtel_connector,
        json: *mut kvtel_buffer,
    ) -> kvtel_status;
}
pub const KVTEL_REFUSED_MALFORMED: kvtel_refusal = 0;
pub const KVTEL_REFUSED_UNKNOWN_CONNECTOR: kvtel_refusal = 1;
pub const KVTEL_REFUSED_NO_STATS: kvtel_refusal = 2;
pub const KVTEL_REFUSED_UNKNOWN_ENGINE: kvtel_refusal = 3;
pub const KVTEL_REFUSED_UNKNOWN_KEY: kvtel_refusal = 4;
pub const KVTEL_REFUSED_UNKNOWN_METRIC: kvtel_refusal = 5;
pub const KVTEL_REFUSED_WRONG_TYPE: kvtel_refusal = 6;
pub const KVTEL_REFUSED_NOT_FINITE: kvtel_refusal = 7;
pub const KVTEL_REFUSED_NEGATIVE: kvtel_refusal = 8;
pub const KVTEL_REFUSED_IMPLAUSIBLE: kvtel_refusal = 9;
pub const KVTEL_REFUSED_UNEQUAL_COLUMNS: kvtel_refusal = 10;
pub const KVTEL_REFUSED_LABEL_COUNT: kvtel_refusal = 11;
pub const KVTEL_REFUSED_SERIES_LIMIT: kvtel_refusal = 12;
pub const KVTEL_REFUSED_NO_MEMORY: kvtel_refusal = 13;
pub const KVTEL_REFUSED_LONG_TEXT: kvtel_refusal = 14;
pub const KVTEL_REFUSED_DESCRIPTOR: kvtel_refusal = 15;
pub const KVTEL_REFUSAL_COUNT: kvtel_refusal = 16;
#[doc = " Why something was refused: one of KVTEL_REFUSAL_LIST."]
pub type kvtel_refusal = ::core::ffi::c_uint;
unsafe extern "C" {
    #[doc = " Value of the `reason` label, e.g. \"unknown_key\". Static; NULL outside the list. Any thread."]
    pub fn kvtel_refusal_label(reason: kvtel_refusal) -> *const ::core::ffi::c_char;
}
unsafe extern "C" {
    #[doc = " What one count of this reason stands for. Static; NULL outside the list. Any thread."]
    pub fn kvtel_refusal_meaning(reason: kvtel_refusal) -> *const ::core::ffi::c_char;
}
#[doc = " Called once for each subject, with a complete sentence without newline. `subject` is the connector, field or metric\n that the sentence is about, as it was received, but cut to the length that is remembered. Both texts are borrowed\n until the function returns."]
pub type kvtel_warn_fn = ::core::option::Option<
    unsafe extern "C" fn(
        context: *mut ::core::ffi::c_void,
        reason: kvtel_refusal,
        subject: *const ::core::ffi::c_char,
        message: *const ::core::ffi::c_char,
    ),
>;
#[doc = " Counts what was refused, and remembers which warnings were given. Opaque. Single owner, or any thread under the\n caller's lock."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_diagnostics {
    _unused: [u8; 0],
}
unsafe extern "C" {
    #[doc = " @param warn NULL: count only. @return owned, or NULL without memory."]
    pub fn kvtel_diagnostics_create(
        warn: kvtel_warn_fn,
        context: *mut ::core::ffi::c_void,
    ) -> *mut kvtel_diagnostics;
}
unsafe extern "C" {
    #[doc = " NULL is fine."]
    pub fn kvtel_diagnostics_destroy(diagnostics: *mut kvtel_diagnostics);
}
unsafe extern "C" {
    #[doc = " Forgets which warnings were given: each subject is warned about once more. The counts stay. NULL is fine."]
    pub fn kvtel_diagnostics_forget(diagnostics: *mut kvtel_diagnostics);
}
unsafe extern "C" {
    #[doc = " How often `reason` was counted. 0 for NULL."]
    pub fn kvtel_diagnostics_count(
        diagnostics: *const kvtel_diagnostics,
        reason: kvtel_refusal,
    ) -> u64;
}
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_store {
    _unused: [u8; 0],
}
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_lane {
    _unused: [u8; 0],
}
#[doc = " Zero is the default of every option. Text is borrowed until the call returns."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_store_options {
    #[doc = "< sizeof(struct kvtel_store_options), which KVTEL_STORE_OPTIONS() sets; 0:\nKVTEL_STORE_OPTIONS_SIZE_0_1"]
    pub size: usize,
    #[doc = "< label of every series that a recorder makes, at most 511 bytes: cut, with a warning;\nNULL: \"\""]
    pub model_name: *const ::core::ffi::c_char,
    #[doc = "< name of the writer, shown to people, at most 127 bytes: likewise; NULL: \"\""]
    pub connector: *const ::core::ffi::c_char,
    #[doc = "< default engine of a recorder"]
    pub engine: u32,
    #[doc = "< of the writer inside its engine"]
    pub rank: u32,
    #[doc = "< series of one family, as far as a lane has room; 0: 10,000"]
    pub max_series: u32,
    #[doc = "< 0: 256; 4,096 at most"]
    pub max_lanes: u32,
    #[doc = "< kvtel_store_open(): NULL or \"\": $KVTEL_STORE_DIR, else a per-user directory in shared memory"]
    pub dir: *const ::core::ffi::c_char,
    #[doc = " Permission bits of the file; 0: $KVTEL_STORE_MODE (octal), else 0600. Group and others get read permission at\n most (0644), because whoever may write the file could cut it while this process has it mapped. A directory\n created for the file gets matching search permission."]
    pub mode: u32,
    #[doc = " Address space of one lane, and with it how much of everything there can be. 0: 128 MiB in a file, for\n 3,000 histogram series, and 1 GiB in the heap, for 24,000. Memory is taken as series are made. At most 1 GiB."]
    pub lane_bytes: u64,
    #[doc = " Called once for each reason why something cannot be recorded, or cannot be as the options ask, with a complete\n sentence; from any thread. NULL: no warnings."]
    pub warn: ::core::option::Option<
        unsafe extern "C" fn(
            context: *mut ::core::ffi::c_void,
            message: *const ::core::ffi::c_char,
        ),
    >,
    #[doc = "< passed to `warn`"]
    pub warn_context: *mut ::core::ffi::c_void,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_store_options"][::core::mem::size_of::<kvtel_store_options>() - 80usize];
    ["Alignment of kvtel_store_options"][::core::mem::align_of::<kvtel_store_options>() - 8usize];
    ["Offset of field: kvtel_store_options::size"]
        [::core::mem::offset_of!(kvtel_store_options, size) - 0usize];
    ["Offset of field: kvtel_store_options::model_name"]
        [::core::mem::offset_of!(kvtel_store_options, model_name) - 8usize];
    ["Offset of field: kvtel_store_options::connector"]
        [::core::mem::offset_of!(kvtel_store_options, connector) - 16usize];
    ["Offset of field: kvtel_store_options::engine"]
        [::core::mem::offset_of!(kvtel_store_options, engine) - 24usize];
    ["Offset of field: kvtel_store_options::rank"]
        [::core::mem::offset_of!(kvtel_store_options, rank) - 28usize];
    ["Offset of field: kvtel_store_options::max_series"]
        [::core::mem::offset_of!(kvtel_store_options, max_series) - 32usize];
    ["Offset of field: kvtel_store_options::max_lanes"]
        [::core::mem::offset_of!(kvtel_store_options, max_lanes) - 36usize];
    ["Offset of field: kvtel_store_options::dir"]
        [::core::mem::offset_of!(kvtel_store_options, dir) - 40usize];
    ["Offset of field: kvtel_store_options::mode"]
        [::core::mem::offset_of!(kvtel_store_options, mode) - 48usize];
    ["Offset of field: kvtel_store_options::lane_bytes"]
        [::core::mem::offset_of!(kvtel_store_options, lane_bytes) - 56usize];
    ["Offset of field: kvtel_store_options::warn"]
        [::core::mem::offset_of!(kvtel_store_options, warn) - 64usize];
    ["Offset of field: kvtel_store_options::warn_context"]
        [::core::mem::offset_of!(kvtel_store_options, warn_context) - 72usize];
};
unsafe extern "C" {
    #[doc = " A store in the heap. @param options may be NULL. @return owned: kvtel_store_close(); NULL without memory"]
    pub fn kvtel_store_create(options: *const kvtel_store_options) -> *mut kvtel_store;
}
unsafe extern "C" {
    #[doc = " A store in a file, where `kvtel serve` finds it, however this process ends. The file stays when the store is closed:\n the exporter takes its final numbers and removes it. When no file can be made (no directory, no room, no permission)\n the store is in the heap, where no other process sees it, and kvtel_store_path() returns NULL. A process may close\n all its descriptors, as daemons do: the library opens the file again by its path when it needs more of it. Linux\n only.\n @param options may be NULL. @return owned: kvtel_store_close(); NULL without memory, which every function of\n recorder.h takes"]
    pub fn kvtel_store_open(options: *const kvtel_store_options) -> *mut kvtel_store;
}
unsafe extern "C" {
    #[doc = " The file's path, or NULL for a store in the heap. Borrowed until close."]
    pub fn kvtel_store_path(store: *const kvtel_store) -> *const ::core::ffi::c_char;
}
unsafe extern "C" {
    #[doc = " The directory that kvtel_store_open() uses: `dir` unless it is NULL or \"\", else $KVTEL_STORE_DIR, else kvtel-UID in\n shared memory.\n @param path out; @return its length without the NUL, or 0 when it does not fit"]
    pub fn kvtel_store_default_dir(
        dir: *const ::core::ffi::c_char,
        path: *mut ::core::ffi::c_char,
        size: usize,
    ) -> usize;
}
unsafe extern "C" {
    #[doc = " Closes a store of either kind; NULL is fine. Destroy its recorders before; no thread may write into its lanes\n afterwards. The file is marked as one whose writer ended in order, as it also is when the process calls exit(3).\n The exporter warns of an ended store without the mark, because the process was killed."]
    pub fn kvtel_store_close(store: *mut kvtel_store);
}
unsafe extern "C" {
    #[doc = " Makes a family, or finds the one of this name. Any thread.\n @param family out, valid for the life of the store\n @return KVTEL_OK; KVTEL_E_MISMATCH (same name, other type, labels or buckets), KVTEL_E_ARGUMENT (not a metric or\n label name, a label twice or `le` in a histogram, buckets not ascending, not finite or below 0), KVTEL_E_LIMIT (1,024\n families), KVTEL_E_NOMEM"]
    pub fn kvtel_store_family(
        store: *mut kvtel_store,
        spec: *const kvtel_family_spec,
        family: *mut u32,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " Makes or finds the series of these label values. They are UTF-8; a reader replaces bytes that are not, and adds up\n series that are equal then. Any thread.\n @return KVTEL_OK; KVTEL_E_ARGUMENT (wrong count, a value longer than KVTEL_TEXT_LIMIT), KVTEL_E_LIMIT (the family's\n cap, or a lane is full), KVTEL_E_NOMEM; both are counted in the store's dropped series"]
    pub fn kvtel_store_series(
        store: *mut kvtel_store,
        family: u32,
        values: *const *const ::core::ffi::c_char,
        count: usize,
        series: *mut u32,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " As kvtel_store_series(), of a series that has places for exemplars, which kvtel_store_record() leaves: one of each\n explicit bucket, 384 bytes each for each thread that records. A series that the store has already keeps what it has.\n Of a counter and of a gauge: the same as kvtel_store_series()."]
    pub fn kvtel_store_series_exemplars(
        store: *mut kvtel_store,
        family: u32,
        values: *const *const ::core::ffi::c_char,
        count: usize,
        series: *mut u32,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " Finds a family by its name, without making one: for kvtel_store_find_series() and kvtel_store_family_clear(). Any\n thread.\n @return KVTEL_OK; KVTEL_E_UNKNOWN, KVTEL_E_BUSY (as kvtel_store_series_remove())"]
    pub fn kvtel_store_find_family(
        store: *mut kvtel_store,
        name: *const ::core::ffi::c_char,
        family: *mut u32,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " Finds the series of these label values, without making one: for kvtel_store_series_remove(). Any thread.\n @return KVTEL_OK; KVTEL_E_ARGUMENT (no such family, or a wrong count), KVTEL_E_UNKNOWN (no such series, or it was\n removed), KVTEL_E_BUSY (as kvtel_store_series_remove())"]
    pub fn kvtel_store_find_series(
        store: *mut kvtel_store,
        family: u32,
        values: *const *const ::core::ffi::c_char,
        count: usize,
        series: *mut u32,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " Removes a series that will not come back, as `.remove()` does in other client libraries: no snapshot, page or total\n has it any more, whatever it counted. What is recorded into its number afterwards is a dropped record; an operation\n of a recorder goes on writing its rows, of which the other series take their values, and the values of the removed\n series are dropped records, too, counted when a block of 256 rows is full. kvtel_store_series() with the\n same label values makes a new series, which begins at 0. The family's cap counts the series that are left. The room\n that a series has in the store is not given back. Any thread.\n @return KVTEL_OK; KVTEL_E_UNKNOWN (no such series, or it was removed), KVTEL_E_BUSY (the store is the parent's of a\n fork, or the call is made in a signal handler within another one)"]
    pub fn kvtel_store_series_remove(store: *mut kvtel_store, series: u32) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " Removes all series of a family. The family stays, with its type, labels and buckets. Any thread.\n @return KVTEL_OK; KVTEL_E_UNKNOWN (no such family), KVTEL_E_BUSY (as kvtel_store_series_remove())"]
    pub fn kvtel_store_family_clear(store: *mut kvtel_store, family: u32) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " How often a new series was refused: its family was at its cap, or there was no memory for it. Any thread."]
    pub fn kvtel_store_series_dropped(store: *const kvtel_store) -> u64;
}
#[doc = " The writer of a store, and the numbers that the store keeps about itself."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_store_info {
    #[doc = "< cut to fit"]
    pub model_name: [::core::ffi::c_char; 512usize],
    #[doc = "< cut to fit"]
    pub connector: [::core::ffi::c_char; 128usize],
    #[doc = "< default engine of a recorder"]
    pub engine: u32,
    #[doc = "< of the writer inside its engine"]
    pub rank: u32,
    #[doc = "< in the writer's own namespace"]
    pub pid: u64,
    #[doc = "< clock ticks from the machine's start; 0: not known"]
    pub process_start: u64,
    #[doc = "< when the store was made, CLOCK_REALTIME"]
    pub created_realtime_ns: u64,
    #[doc = "< when the store was made, CLOCK_MONOTONIC"]
    pub created_monotonic_ns: u64,
    #[doc = "< families made"]
    pub families: u64,
    #[doc = "< series made, over all families, those removed since too"]
    pub series: u64,
    #[doc = "< most lanes that were open at once"]
    pub lanes: u64,
    #[doc = "< how often there was no room for a label set (its family's cap, memory) or a family"]
    pub series_dropped: u64,
    #[doc = " Records that found no lane, no series, or came from a child of a fork or within another call of their thread."]
    pub records_dropped: u64,
    #[doc = "< values (of a transfer: all of it) that no measurement can have"]
    pub values_refused: u64,
    #[doc = "< 1: the writer found its file deleted when it took memory or a lane; no new reader can\nopen it"]
    pub file_deleted: u64,
    #[doc = "< begun transfers that found no place among the open ones"]
    pub transfers_untracked: u64,
    #[doc = "< ends of transfers that were not open, or were a parent's before a fork"]
    pub tokens_refused: u64,
    #[doc = "< 0"]
    pub reserved: [u64; 6usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_store_info"][::core::mem::size_of::<kvtel_store_info>() - 800usize];
    ["Alignment of kvtel_store_info"][::core::mem::align_of::<kvtel_store_info>() - 8usize];
    ["Offset of field: kvtel_store_info::model_name"]
        [::core::mem::offset_of!(kvtel_store_info, model_name) - 0usize];
    ["Offset of field: kvtel_store_info::connector"]
        [::core::mem::offset_of!(kvtel_store_info, connector) - 512usize];
    ["Offset of field: kvtel_store_info::engine"]
        [::core::mem::offset_of!(kvtel_store_info, engine) - 640usize];
    ["Offset of field: kvtel_store_info::rank"]
        [::core::mem::offset_of!(kvtel_store_info, rank) - 644usize];
    ["Offset of field: kvtel_store_info::pid"]
        [::core::mem::offset_of!(kvtel_store_info, pid) - 648usize];
    ["Offset of field: kvtel_store_info::process_start"]
        [::core::mem::offset_of!(kvtel_store_info, process_start) - 656usize];
    ["Offset of field: kvtel_store_info::created_realtime_ns"]
        [::core::mem::offset_of!(kvtel_store_info, created_realtime_ns) - 664usize];
    ["Offset of field: kvtel_store_info::created_monotonic_ns"]
        [::core::mem::offset_of!(kvtel_store_info, created_monotonic_ns) - 672usize];
    ["Offset of field: kvtel_store_info::families"]
        [::core::mem::offset_of!(kvtel_store_info, families) - 680usize];
    ["Offset of field: kvtel_store_info::series"]
        [::core::mem::offset_of!(kvtel_store_info, series) - 688usize];
    ["Offset of field: kvtel_store_info::lanes"]
        [::core::mem::offset_of!(kvtel_store_info, lanes) - 696usize];
    ["Offset of field: kvtel_store_info::series_dropped"]
        [::core::mem::offset_of!(kvtel_store_info, series_dropped) - 704usize];
    ["Offset of field: kvtel_store_info::records_dropped"]
        [::core::mem::offset_of!(kvtel_store_info, records_dropped) - 712usize];
    ["Offset of field: kvtel_store_info::values_refused"]
        [::core::mem::offset_of!(kvtel_store_info, values_refused) - 720usize];
    ["Offset of field: kvtel_store_info::file_deleted"]
        [::core::mem::offset_of!(kvtel_store_info, file_deleted) - 728usize];
    ["Offset of field: kvtel_store_info::transfers_untracked"]
        [::core::mem::offset_of!(kvtel_store_info, transfers_untracked) - 736usize];
    ["Offset of field: kvtel_store_info::tokens_refused"]
        [::core::mem::offset_of!(kvtel_store_info, tokens_refused) - 744usize];
    ["Offset of field: kvtel_store_info::reserved"]
        [::core::mem::offset_of!(kvtel_store_info, reserved) - 752usize];
};
unsafe extern "C" {
    #[doc = " Any thread."]
    pub fn kvtel_store_describe(store: *const kvtel_store, info: *mut kvtel_store_info);
}
unsafe extern "C" {
    #[doc = " Takes a free lane. Its totals stay when it is closed, and the next owner adds to them. Any thread.\n @return KVTEL_OK; KVTEL_E_LIMIT (max_lanes), KVTEL_E_NOMEM, KVTEL_E_BUSY (the store is the parent's of a fork, or the\n call is made in a signal handler within another one)"]
    pub fn kvtel_lane_open(store: *mut kvtel_store, lane: *mut *mut kvtel_lane) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " Gives the lane back for reuse. NULL is fine. Only by its owner."]
    pub fn kvtel_lane_close(lane: *mut kvtel_lane);
}
unsafe extern "C" {
    #[doc = " Adds to a counter. Amounts that are negative, NaN or above 2^900 (so that no sum becomes infinite) are refused and\n counted: false; so are times (KVTEL_UNIT_SECONDS) of more than 2^62 ns. A record for a\n number that is not a series, or for a series of another type or one that was removed, is dropped. Only the lane's\n owner; no lock, no system call."]
    pub fn kvtel_lane_increase(lane: *mut kvtel_lane, series: u32, amount: f64) -> bool;
}
unsafe extern "C" {
    #[doc = " Sets a gauge; among lanes and stores the newest set wins. A value that is infinite or NaN is refused as for\n kvtel_lane_increase(). Reads the clock. Only the lane's owner."]
    pub fn kvtel_lane_set(lane: *mut kvtel_lane, series: u32, value: f64) -> bool;
}
unsafe extern "C" {
    #[doc = " Adds values to a histogram. Values are refused as the amounts of kvtel_lane_increase() are; the others are taken:\n returns how many. Only the lane's owner."]
    pub fn kvtel_lane_observe(
        lane: *mut kvtel_lane,
        series: u32,
        values: *const f64,
        count: usize,
    ) -> usize;
}
#[doc = " One family of a snapshot with its series. Opaque: the functions below read it. Borrowed from its snapshot until the\n next reset, add or destroy."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_snapshot_family {
    _unused: [u8; 0],
}
#[doc = " One series (label set) of a family. Opaque and borrowed likewise."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_snapshot_series {
    _unused: [u8; 0],
}
#[doc = " The numbers of one series. The library fills all of it; the reserved words are 0 and may get a meaning later."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_reading {
    #[doc = "< counter: the sum of all amounts; gauge: the newest reading; histogram: 0"]
    pub value: f64,
    #[doc = "< histogram: the sum of all values"]
    pub sum: f64,
    #[doc = "< histogram: how many values"]
    pub count: u64,
    #[doc = "< gauge: when it was set, CLOCK_MONOTONIC; 0: never"]
    pub stamp_ns: u64,
    #[doc = " Counter, histogram: the first moment from which the numbers are complete, CLOCK_REALTIME; 0: not known. It is\n the time at which the oldest of the series that were added up was made."]
    pub started_ns: u64,
    #[doc = "< 0"]
    pub reserved: [u64; 3usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_reading"][::core::mem::size_of::<kvtel_reading>() - 64usize];
    ["Alignment of kvtel_reading"][::core::mem::align_of::<kvtel_reading>() - 8usize];
    ["Offset of field: kvtel_reading::value"]
        [::core::mem::offset_of!(kvtel_reading, value) - 0usize];
    ["Offset of field: kvtel_reading::sum"][::core::mem::offset_of!(kvtel_reading, sum) - 8usize];
    ["Offset of field: kvtel_reading::count"]
        [::core::mem::offset_of!(kvtel_reading, count) - 16usize];
    ["Offset of field: kvtel_reading::stamp_ns"]
        [::core::mem::offset_of!(kvtel_reading, stamp_ns) - 24usize];
    ["Offset of field: kvtel_reading::started_ns"]
        [::core::mem::offset_of!(kvtel_reading, started_ns) - 32usize];
    ["Offset of field: kvtel_reading::reserved"]
        [::core::mem::offset_of!(kvtel_reading, reserved) - 40usize];
};
#[doc = " Opaque; immutable between two collect calls. Single owner while collecting, then any thread may read."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_snapshot {
    _unused: [u8; 0],
}
unsafe extern "C" {
    #[doc = " @return owned, or NULL without memory"]
    pub fn kvtel_snapshot_create() -> *mut kvtel_snapshot;
}
unsafe extern "C" {
    #[doc = " NULL is fine."]
    pub fn kvtel_snapshot_destroy(snapshot: *mut kvtel_snapshot);
}
unsafe extern "C" {
    #[doc = " Empties it; memory is kept for the next round, so that a warm snapshot allocates nothing. Pointers got from it are\n invalid."]
    pub fn kvtel_snapshot_reset(snapshot: *mut kvtel_snapshot);
}
unsafe extern "C" {
    #[doc = " Adds a store of this process, live or not. Counters and histograms of equal label sets add up, gauges take the\n newest. Never blocks a writer. Unchanged on failure. In label values U+FFFD takes the place of bytes that are not\n UTF-8; label sets that are equal then are one. @return KVTEL_OK, KVTEL_E_NOMEM, KVTEL_E_LIMIT (amounts\n whose sum is out of range), KVTEL_E_MISMATCH (a family of this name with another definition, or one with a sample of\n its name: that family is left out, the rest is added)"]
    pub fn kvtel_snapshot_add(
        snapshot: *mut kvtel_snapshot,
        store: *const kvtel_store,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " Reads one series of a store of this process without a snapshot: the sum of what all threads recorded so far. The\n call reads the whole store and allocates memory for all of it, so take a snapshot to read many series. Never blocks a\n writer.\n @param name   of the family; a counter's without _total\n @param values label values in the order of the family's labels, @param count how many\n @param reading out; unchanged on failure\n @return KVTEL_OK, KVTEL_E_UNKNOWN (no such family or series), KVTEL_E_LIMIT, KVTEL_E_MISMATCH (as for\n kvtel_snapshot_add()), KVTEL_E_NOMEM. Any thread."]
    pub fn kvtel_store_read(
        store: *const kvtel_store,
        name: *const ::core::ffi::c_char,
        values: *const *const ::core::ffi::c_char,
        count: usize,
        reading: *mut kvtel_reading,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " Families in the order in which they were made. Borrowed until the next reset, add or destroy."]
    pub fn kvtel_snapshot_family_count(snapshot: *const kvtel_snapshot) -> usize;
}
unsafe extern "C" {
    #[doc = " The i-th family, or NULL past the end. Borrowed likewise."]
    pub fn kvtel_snapshot_family(
        snapshot: *const kvtel_snapshot,
        i: usize,
    ) -> *const kvtel_snapshot_family;
}
unsafe extern "C" {
    #[doc = " The family of a name (a counter's without _total), or NULL."]
    pub fn kvtel_snapshot_find(
        snapshot: *const kvtel_snapshot,
        name: *const ::core::ffi::c_char,
    ) -> *const kvtel_snapshot_family;
}
unsafe extern "C" {
    #[doc = " A family's name; a counter's without _total. UTF-8, as every text here."]
    pub fn kvtel_snapshot_name(family: *const kvtel_snapshot_family) -> *const ::core::ffi::c_char;
}
unsafe extern "C" {
    #[doc = " A family's type."]
    pub fn kvtel_snapshot_type(family: *const kvtel_snapshot_family) -> kvtel_metric_type;
}
unsafe extern "C" {
    #[doc = " The text of a family's `# HELP`."]
    pub fn kvtel_snapshot_help(family: *const kvtel_snapshot_family) -> *const ::core::ffi::c_char;
}
unsafe extern "C" {
    #[doc = " The unit of a family's values."]
    pub fn kvtel_snapshot_unit(family: *const kvtel_snapshot_family) -> kvtel_unit;
}
unsafe extern "C" {
    #[doc = " How many labels each series of a family has."]
    pub fn kvtel_snapshot_label_count(family: *const kvtel_snapshot_family) -> usize;
}
unsafe extern "C" {
    #[doc = " The name of a family's i-th label, or NULL past the end."]
    pub fn kvtel_snapshot_label_name(
        family: *const kvtel_snapshot_family,
        i: usize,
    ) -> *const ::core::ffi::c_char;
}
unsafe extern "C" {
    #[doc = " How many explicit buckets a histogram has, +Inf not counted; 0 for another type."]
    pub fn kvtel_snapshot_bound_count(family: *const kvtel_snapshot_family) -> usize;
}
unsafe extern "C" {
    #[doc = " Upper bound of a histogram's i-th explicit bucket, ascending; +Inf past the end."]
    pub fn kvtel_snapshot_bound(family: *const kvtel_snapshot_family, i: usize) -> f64;
}
unsafe extern "C" {
    #[doc = " How many series a family has."]
    pub fn kvtel_snapshot_series_count(family: *const kvtel_snapshot_family) -> usize;
}
unsafe extern "C" {
    #[doc = " A family's i-th series, in the order in which they were made, or NULL past the end."]
    pub fn kvtel_snapshot_series(
        family: *const kvtel_snapshot_family,
        i: usize,
    ) -> *const kvtel_snapshot_series;
}
unsafe extern "C" {
    #[doc = " The value of a series' i-th label, where i is below kvtel_snapshot_label_count() of its family."]
    pub fn kvtel_snapshot_label(
        series: *const kvtel_snapshot_series,
        i: usize,
    ) -> *const ::core::ffi::c_char;
}
unsafe extern "C" {
    #[doc = " All numbers of a series."]
    pub fn kvtel_snapshot_read(series: *const kvtel_snapshot_series, reading: *mut kvtel_reading);
}
#[doc = " The exemplar of an explicit bucket of a histogram's series: the newest that writers left there, a transfer with its\n labels. Opaque and borrowed likewise."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_snapshot_exemplar {
    _unused: [u8; 0],
}
unsafe extern "C" {
    #[doc = " The exemplar of the i-th explicit bucket, the one past the last bound (up to +Inf) included. NULL: it has none, no\n value is in the bucket, or there is no such bucket."]
    pub fn kvtel_snapshot_exemplar(
        family: *const kvtel_snapshot_family,
        series: *const kvtel_snapshot_series,
        i: usize,
    ) -> *const kvtel_snapshot_exemplar;
}
unsafe extern "C" {
    #[doc = " The value of an exemplar, in the unit of the family."]
    pub fn kvtel_snapshot_exemplar_value(exemplar: *const kvtel_snapshot_exemplar) -> f64;
}
unsafe extern "C" {
    #[doc = " When it happened, CLOCK_REALTIME."]
    pub fn kvtel_snapshot_exemplar_time_ns(exemplar: *const kvtel_snapshot_exemplar) -> u64;
}
unsafe extern "C" {
    #[doc = " How many labels an exemplar has."]
    pub fn kvtel_snapshot_exemplar_label_count(exemplar: *const kvtel_snapshot_exemplar) -> usize;
}
unsafe extern "C" {
    #[doc = " The name of an exemplar's i-th label, or NULL past the end."]
    pub fn kvtel_snapshot_exemplar_label_name(
        exemplar: *const kvtel_snapshot_exemplar,
        i: usize,
    ) -> *const ::core::ffi::c_char;
}
unsafe extern "C" {
    #[doc = " The value of an exemplar's i-th label, or NULL past the end."]
    pub fn kvtel_snapshot_exemplar_label(
        exemplar: *const kvtel_snapshot_exemplar,
        i: usize,
    ) -> *const ::core::ffi::c_char;
}
unsafe extern "C" {
    #[doc = " How many values of a histogram's series are at most `bound`. The count is exact for the bounds of the family's\n explicit buckets (kvtel_snapshot_bound()) and for the powers of 2 in the exponential range of its unit. For any other\n bound it is the count up to the nearest lower bound that the store counts by, which is at most 1.1 % lower in that\n range; so it is never too high.\n @param bound   in the unit of the family; +Inf: all values\n @param counted out, may be NULL: the bound up to which values were counted; NaN when the store counts by no bound\n that is at most `bound`, and the count is then 0"]
    pub fn kvtel_snapshot_count_up_to(
        family: *const kvtel_snapshot_family,
        series: *const kvtel_snapshot_series,
        bound: f64,
        counted: *mut f64,
    ) -> u64;
}
unsafe extern "C" {
    #[doc = " Quantile of a histogram's series, relative error at most 1 % inside the exponential range of its unit.\n @param q 0 .. 1. @return in the unit of the family; NaN when the series has no values"]
    pub fn kvtel_snapshot_quantile(
        family: *const kvtel_snapshot_family,
        series: *const kvtel_snapshot_series,
        q: f64,
    ) -> f64;
}
#[doc = "< Prometheus' text format 0.0.4"]
pub const KVTEL_FORMAT_TEXT: kvtel_exposition_format = 0;
#[doc = "< OpenMetrics 1.0: UNIT where a family's name ends in its unit; ends in `# EOF`"]
pub const KVTEL_FORMAT_OPENMETRICS: kvtel_exposition_format = 1;
#[doc = " Messages io.prometheus.client.MetricFamily, each with its size before it. A histogram has its explicit buckets,\n without the one up to +Inf, and native ones of schema 3 (or less, so that a series has at most 160)."]
pub const KVTEL_FORMAT_PROTOBUF: kvtel_exposition_format = 2;
#[doc = " The formats. Samples are the same bytes in both texts; OpenMetrics also has exemplars."]
pub type kvtel_exposition_format = ::core::ffi::c_uint;
unsafe extern "C" {
    #[doc = " Appends the whole snapshot in a format: families and series in the order in which they were made, labels sorted by\n name, numbers in the texts as Python's repr. In label values U+FFFD takes the place of bytes that are not UTF-8. The\n texts do not depend on the locale. Any thread, while no other one changes the snapshot.\n @return KVTEL_OK; KVTEL_E_NOMEM: `buffer` is as before; KVTEL_E_ARGUMENT: there is no such format, likewise"]
    pub fn kvtel_exposition(
        snapshot: *const kvtel_snapshot,
        format: kvtel_exposition_format,
        buffer: *mut kvtel_buffer,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " Appends the snapshot in Prometheus' text format 0.0.4, as prometheus_client prints it:\n kvtel_exposition() with KVTEL_FORMAT_TEXT."]
    pub fn kvtel_exposition_text(
        snapshot: *const kvtel_snapshot,
        buffer: *mut kvtel_buffer,
    ) -> kvtel_status;
}
#[doc = "< one line per connector and engine, with failures, quantiles and both rates"]
pub const KVTEL_LOG_DEFAULT: kvtel_log_style = 0;
#[doc = "< vLLM's line, to the letter, one over all engines"]
pub const KVTEL_LOG_VLLM: kvtel_log_style = 1;
#[doc = " How a log line is written."]
pub type kvtel_log_style = ::core::ffi::c_uint;
#[doc = " Takes one finished line without newline; `line` is borrowed until it returns."]
pub type kvtel_log_fn = ::core::option::Option<
    unsafe extern "C" fn(context: *mut ::core::ffi::c_void, line: *const ::core::ffi::c_char),
>;
unsafe extern "C" {
    #[doc = " Empty stats.\n @param connector   a table with stats; borrowed for the life of the stats\n @param diagnostics borrowed for the life of the stats; NULL: what is refused is not counted\n @return owned: kvtel_stats_destroy(); NULL without memory or when the connector has no stats"]
    pub fn kvtel_stats_create(
        connector: *const kvtel_connector,
        diagnostics: *mut kvtel_diagnostics,
    ) -> *mut kvtel_stats;
}
unsafe extern "C" {
    #[doc = " NULL is fine."]
    pub fn kvtel_stats_destroy(stats: *mut kvtel_stats);
}
unsafe extern "C" {
    #[doc = " The table that the stats were created with. Never NULL."]
    pub fn kvtel_stats_connector(stats: *const kvtel_stats) -> *const kvtel_connector;
}
unsafe extern "C" {
    #[doc = " Caps the samples kept (default KVTEL_SAMPLE_LIMIT; 0 summarises at once). Past it each list becomes a distribution:\n counts and sums stay exact, quantiles are within 1 %, the list itself can no longer be encoded. Decoding never\n summarises."]
    pub fn kvtel_stats_set_sample_limit(stats: *mut kvtel_stats, limit: usize);
}
unsafe extern "C" {
    #[doc = " Whether some list has become a distribution."]
    pub fn kvtel_stats_is_summarised(stats: *const kvtel_stats) -> bool;
}
unsafe extern "C" {
    #[doc = " Forgets all observations. A MultiConnector's children stay, each reset, as vLLM's do."]
    pub fn kvtel_stats_reset(stats: *mut kvtel_stats);
}
unsafe extern "C" {
    #[doc = " Whether nothing was observed, by the connector's own rule."]
    pub fn kvtel_stats_is_empty(stats: *const kvtel_stats) -> bool;
}
unsafe extern "C" {
    #[doc = " Adds `other` to `stats`; `other` stays as it is. Unchanged on failure.\n @return KVTEL_OK, KVTEL_E_MISMATCH (another connector or kind of payload), KVTEL_E_NOMEM"]
    pub fn kvtel_stats_aggregate(
        stats: *mut kvtel_stats,
        other: *const kvtel_stats,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " Moves what was observed into a new object and leaves `stats` empty (a worker's delta).\n @param delta out, owned. @return KVTEL_OK, KVTEL_E_NOMEM (nothing moved)"]
    pub fn kvtel_stats_clone_and_reset(
        stats: *mut kvtel_stats,
        delta: *mut *mut kvtel_stats,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " Replaces the content by a payload. Fields and rows that cannot be used are refused one by one, counted in the stats'\n diagnostics, and the rest is applied. On failure the content stays as it was.\n @param error may be NULL\n @return KVTEL_OK; KVTEL_E_SYNTAX, _TRUNCATED, _TRAILING, _DEPTH, _TYPE (not a map), _NOMEM; KVTEL_E_UNKNOWN: the\n table is an open one (kvtel_connector_open()), and the payload does not describe itself, which the diagnostics count"]
    pub fn kvtel_stats_decode(
        stats: *mut kvtel_stats,
        format: kvtel_format,
        bytes: *const ::core::ffi::c_void,
        size: usize,
        error: *mut kvtel_error,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " Writes the payload; what was decoded comes out equal. Of an open table it is a typed payload. What a descriptor\n described beside a table is left out.\n @param bytes out, owned, free() it; NUL-terminated past `size`. @return KVTEL_OK, KVTEL_E_SUMMARISED, KVTEL_E_NOMEM"]
    pub fn kvtel_stats_encode(
        stats: *const kvtel_stats,
        format: kvtel_format,
        bytes: *mut *mut ::core::ffi::c_char,
        size: *mut usize,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " Adds one transfer. `flow` is the kind (\"transfer\", \"load\", ...); NULL: the connector's first. A number that was not\n measured (KVTEL_UNMEASURED) is 0 in a row of vLLM's payload, which has a value of each field, and no sample where\n samples stand alone.\n @return KVTEL_OK, KVTEL_E_UNKNOWN (no such flow), KVTEL_E_ARGUMENT (a number above KVTEL_TRANSFER_LIMIT;\n counted in the diagnostics), KVTEL_E_LIMIT (as kvtel_stats_record_operation()), KVTEL_E_NOMEM. Nothing is added on\n failure."]
    pub fn kvtel_stats_record_transfer(
        stats: *mut kvtel_stats,
        flow: *const ::core::ffi::c_char,
        transfer: *const kvtel_transfer,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " Adds one failure. @return KVTEL_OK, KVTEL_E_UNKNOWN (the connector does not count this class), KVTEL_E_NOMEM"]
    pub fn kvtel_stats_record_failure(
        stats: *mut kvtel_stats,
        failure: kvtel_failure,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " Adds one operation of a store (KVTEL_PAYLOAD_ROWS) with its status, or counts it (KVTEL_PAYLOAD_COUNTS; status \"ok\"\n completes).\n @return KVTEL_OK, KVTEL_E_UNKNOWN (the connector has no operations, or its flow does not name all fields of a row),\n KVTEL_E_ARGUMENT (as kvtel_stats_record_transfer()), KVTEL_E_LIMIT (10,000 operations or statuses), KVTEL_E_NOMEM"]
    pub fn kvtel_stats_record_operation(
        stats: *mut kvtel_stats,
        operation: *const ::core::ffi::c_char,
        status: *const ::core::ffi::c_char,
        transfer: *const kvtel_transfer,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " Records a level (a field of kind LEVEL, or a typed gauge), adds to a total or typed counter, or adds a sample: by\n `key`.\n @param labels values of the metric's own labels (KVTEL_PAYLOAD_TYPED), 512 bytes in all\n @return KVTEL_OK, KVTEL_E_UNKNOWN, KVTEL_E_ARGUMENT (labels, or a value that is not finite, below 0 where it is no\n level, or a time of more than 2^62 ns, which the diagnostics count), KVTEL_E_LIMIT (10,000 label sets of a metric),\n KVTEL_E_NOMEM"]
    pub fn kvtel_stats_record_value(
        stats: *mut kvtel_stats,
        key: *const ::core::ffi::c_char,
        labels: *const *const ::core::ffi::c_char,
        label_count: usize,
        value: f64,
    ) -> kvtel_status;
}
#[doc = "< a Python int"]
pub const KVTEL_REDUCED_INTEGER: kvtel_reduced_kind = 0;
#[doc = "< a Python float"]
pub const KVTEL_REDUCED_DOUBLE: kvtel_reduced_kind = 1;
#[doc = "< the reduced dict of a MultiConnector's child"]
pub const KVTEL_REDUCED_DICT: kvtel_reduced_kind = 2;
#[doc = " What an entry of a reduced dict holds."]
pub type kvtel_reduced_kind = ::core::ffi::c_uint;
#[doc = " vLLM's reduced dict: entries in the order that vLLM prints them. Opaque. Owned by the caller of\n kvtel_stats_reduce()."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_reduced {
    _unused: [u8; 0],
}
#[doc = " An entry of a reduced dict: integers and doubles are kept apart. Made by the library, which may append members."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_reduced_entry {
    #[doc = "< UTF-8, NUL-terminated"]
    pub key: *const ::core::ffi::c_char,
    #[doc = "< which of the next three is filled"]
    pub kind: kvtel_reduced_kind,
    #[doc = "< KVTEL_REDUCED_INTEGER"]
    pub integer: i64,
    #[doc = "< KVTEL_REDUCED_DOUBLE"]
    pub number: f64,
    #[doc = "< KVTEL_REDUCED_DICT"]
    pub dict: *const kvtel_reduced,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_reduced_entry"][::core::mem::size_of::<kvtel_reduced_entry>() - 40usize];
    ["Alignment of kvtel_reduced_entry"][::core::mem::align_of::<kvtel_reduced_entry>() - 8usize];
    ["Offset of field: kvtel_reduced_entry::key"]
        [::core::mem::offset_of!(kvtel_reduced_entry, key) - 0usize];
    ["Offset of field: kvtel_reduced_entry::kind"]
        [::core::mem::offset_of!(kvtel_reduced_entry, kind) - 8usize];
    ["Offset of field: kvtel_reduced_entry::integer"]
        [::core::mem::offset_of!(kvtel_reduced_entry, integer) - 16usize];
    ["Offset of field: kvtel_reduced_entry::number"]
        [::core::mem::offset_of!(kvtel_reduced_entry, number) - 24usize];
    ["Offset of field: kvtel_reduced_entry::dict"]
        [::core::mem::offset_of!(kvtel_reduced_entry, dict) - 32usize];
};
unsafe extern "C" {
    #[doc = " vLLM's reduce(): the interval's observations as a few representative values, in vLLM's keys, order and rounding.\n @param reduced out, owned: kvtel_reduced_destroy(). @return KVTEL_OK, KVTEL_E_NOMEM"]
    pub fn kvtel_stats_reduce(
        stats: *const kvtel_stats,
        reduced: *mut *mut kvtel_reduced,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " Frees the entries and the dicts in them. NULL is fine."]
    pub fn kvtel_reduced_destroy(reduced: *mut kvtel_reduced);
}
unsafe extern "C" {
    #[doc = " How many entries."]
    pub fn kvtel_reduced_count(reduced: *const kvtel_reduced) -> usize;
}
unsafe extern "C" {
    #[doc = " The i-th entry, or NULL past the end. Borrowed until kvtel_reduced_destroy()."]
    pub fn kvtel_reduced_at(reduced: *const kvtel_reduced, i: usize) -> *const kvtel_reduced_entry;
}
unsafe extern "C" {
    #[doc = " The entry of a key, or NULL. Borrowed likewise."]
    pub fn kvtel_reduced_find(
        reduced: *const kvtel_reduced,
        key: *const ::core::ffi::c_char,
    ) -> *const kvtel_reduced_entry;
}
#[doc = " Accumulates stats between two log calls. Opaque. Single owner."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_logging {
    _unused: [u8; 0],
}
unsafe extern "C" {
    #[doc = " @param config borrowed for the life of the object. @param diagnostics borrowed likewise, may be NULL: an unknown\n connector, or one without stats, is warned about once, ever, and logs nothing. @return owned, or NULL without memory"]
    pub fn kvtel_logging_create(
        config: *const kvtel_transfer_config,
        style: kvtel_log_style,
        diagnostics: *mut kvtel_diagnostics,
    ) -> *mut kvtel_logging;
}
unsafe extern "C" {
    #[doc = " NULL is fine."]
    pub fn kvtel_logging_destroy(logging: *mut kvtel_logging);
}
#[doc = " Facts about a payload that are not in its content. A member whose fact is not known is 0."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_observation {
    #[doc = "< index of the engine inside the deployment"]
    pub engine: u32,
    #[doc = "< workers that the payload was aggregated from; 0: not known"]
    pub ranks: u32,
    #[doc = "< seconds, of any clock that all observations of this object share; 0: not known"]
    pub timestamp: f64,
    #[doc = "< must be 0"]
    pub reserved: [u64; 4usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_observation"][::core::mem::size_of::<kvtel_observation>() - 48usize];
    ["Alignment of kvtel_observation"][::core::mem::align_of::<kvtel_observation>() - 8usize];
    ["Offset of field: kvtel_observation::engine"]
        [::core::mem::offset_of!(kvtel_observation, engine) - 0usize];
    ["Offset of field: kvtel_observation::ranks"]
        [::core::mem::offset_of!(kvtel_observation, ranks) - 4usize];
    ["Offset of field: kvtel_observation::timestamp"]
        [::core::mem::offset_of!(kvtel_observation, timestamp) - 8usize];
    ["Offset of field: kvtel_observation::reserved"]
        [::core::mem::offset_of!(kvtel_observation, reserved) - 16usize];
};
unsafe extern "C" {
    #[doc = " Adds stats to the interval; `stats` stays as it is. @param observation may be NULL (engine 0).\n @return KVTEL_OK, KVTEL_E_NO_STATS (the connector has no stats, or no table has its name), KVTEL_E_MISMATCH,\n KVTEL_E_LIMIT (an engine past the 4,096th), KVTEL_E_NOMEM"]
    pub fn kvtel_logging_observe(
        logging: *mut kvtel_logging,
        stats: *const kvtel_stats,
        observation: *const kvtel_observation,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " The same from a payload's bytes. @return also what kvtel_stats_decode() returns; error may be NULL"]
    pub fn kvtel_logging_observe_payload(
        logging: *mut kvtel_logging,
        format: kvtel_format,
        bytes: *const ::core::ffi::c_void,
        size: usize,
        observation: *const kvtel_observation,
        error: *mut kvtel_error,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " Ends the interval: gives its lines to `sink` (none when nothing was observed) and resets. In the style\n KVTEL_LOG_VLLM a MultiConnector's children appear in the next line even if they observed nothing, as in vLLM.\n @param interval_seconds wall-clock length of the interval, for the wall-clock rate; 0: from the observations'\n timestamps\n @return KVTEL_OK, KVTEL_E_NOMEM (no line, the interval is kept)"]
    pub fn kvtel_logging_log(
        logging: *mut kvtel_logging,
        interval_seconds: f64,
        sink: kvtel_log_fn,
        context: *mut ::core::ffi::c_void,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " Forgets the interval without a line."]
    pub fn kvtel_logging_reset(logging: *mut kvtel_logging);
}
#[doc = " A child to be made: its family, and its label values in the order of labelnames."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_child_spec {
    #[doc = "< handle that kvtel_metric_types.family gave"]
    pub family: *mut ::core::ffi::c_void,
    #[doc = "< label values"]
    pub values: *const *const ::core::ffi::c_char,
    #[doc = "< how many label values"]
    pub count: usize,
    #[doc = "< NULL"]
    pub reserved: [*const ::core::ffi::c_void; 2usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_child_spec"][::core::mem::size_of::<kvtel_child_spec>() - 40usize];
    ["Alignment of kvtel_child_spec"][::core::mem::align_of::<kvtel_child_spec>() - 8usize];
    ["Offset of field: kvtel_child_spec::family"]
        [::core::mem::offset_of!(kvtel_child_spec, family) - 0usize];
    ["Offset of field: kvtel_child_spec::values"]
        [::core::mem::offset_of!(kvtel_child_spec, values) - 8usize];
    ["Offset of field: kvtel_child_spec::count"]
        [::core::mem::offset_of!(kvtel_child_spec, count) - 16usize];
    ["Offset of field: kvtel_child_spec::reserved"]
        [::core::mem::offset_of!(kvtel_child_spec, reserved) - 24usize];
};
#[doc = " vLLM's `metric_types`: how gauges, counters and histograms are made and how values enter them. The implementation\n owns the handles, which are valid as long as it is. kvtel calls from one thread at a time."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_metric_types {
    #[doc = "< passed to each function"]
    pub context: *mut ::core::ffi::c_void,
    #[doc = " Makes a family, or finds the one of this name. KVTEL_E_MISMATCH: the name is taken by a different definition;\n the connector goes on without this family."]
    pub family: ::core::option::Option<
        unsafe extern "C" fn(
            context: *mut ::core::ffi::c_void,
            spec: *const kvtel_family_spec,
            family: *mut *mut ::core::ffi::c_void,
        ) -> kvtel_status,
    >,
    #[doc = " Makes or finds the child of these label values (UTF-8, in the order of labelnames). KVTEL_E_LIMIT: the family\n takes no more."]
    pub child: ::core::option::Option<
        unsafe extern "C" fn(
            context: *mut ::core::ffi::c_void,
            family: *mut ::core::ffi::c_void,
            values: *const *const ::core::ffi::c_char,
            count: usize,
            child: *mut *mut ::core::ffi::c_void,
        ) -> kvtel_status,
    >,
    #[doc = "< counter; amount >= 0"]
    pub increase: ::core::option::Option<
        unsafe extern "C" fn(
            context: *mut ::core::ffi::c_void,
            child: *mut ::core::ffi::c_void,
            amount: f64,
        ),
    >,
    #[doc = "< gauge"]
    pub set: ::core::option::Option<
        unsafe extern "C" fn(
            context: *mut ::core::ffi::c_void,
            child: *mut ::core::ffi::c_void,
            value: f64,
        ),
    >,
    pub observe: ::core::option::Option<
        unsafe extern "C" fn(
            context: *mut ::core::ffi::c_void,
            child: *mut ::core::ffi::c_void,
            values: *const f64,
            count: usize,
        ),
    >,
    #[doc = " Whether all of these children are there or can be made: KVTEL_OK or KVTEL_E_LIMIT, and then none of an engine's\n is made. NULL: each is made for which there is room."]
    pub room: ::core::option::Option<
        unsafe extern "C" fn(
            context: *mut ::core::ffi::c_void,
            children: *const kvtel_child_spec,
            count: usize,
        ) -> kvtel_status,
    >,
    #[doc = "< must be NULL"]
    pub reserved: [::core::option::Option<unsafe extern "C" fn()>; 4usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_metric_types"][::core::mem::size_of::<kvtel_metric_types>() - 88usize];
    ["Alignment of kvtel_metric_types"][::core::mem::align_of::<kvtel_metric_types>() - 8usize];
    ["Offset of field: kvtel_metric_types::context"]
        [::core::mem::offset_of!(kvtel_metric_types, context) - 0usize];
    ["Offset of field: kvtel_metric_types::family"]
        [::core::mem::offset_of!(kvtel_metric_types, family) - 8usize];
    ["Offset of field: kvtel_metric_types::child"]
        [::core::mem::offset_of!(kvtel_metric_types, child) - 16usize];
    ["Offset of field: kvtel_metric_types::increase"]
        [::core::mem::offset_of!(kvtel_metric_types, increase) - 24usize];
    ["Offset of field: kvtel_metric_types::set"]
        [::core::mem::offset_of!(kvtel_metric_types, set) - 32usize];
    ["Offset of field: kvtel_metric_types::observe"]
        [::core::mem::offset_of!(kvtel_metric_types, observe) - 40usize];
    ["Offset of field: kvtel_metric_types::room"]
        [::core::mem::offset_of!(kvtel_metric_types, room) - 48usize];
    ["Offset of field: kvtel_metric_types::reserved"]
        [::core::mem::offset_of!(kvtel_metric_types, reserved) - 56usize];
};
unsafe extern "C" {
    #[doc = " The default types: the metrics are series of a store. All such types of a store share a lane, and take another one\n while several threads write at once. Any thread; nothing has to be freed. A record for which no lane is free is\n counted in the store's dropped records. `store` must outlive everything that uses the types.\n @return KVTEL_OK, KVTEL_E_NOMEM, KVTEL_E_LIMIT (no lane left), KVTEL_E_BUSY (the store is the parent's of a fork)"]
    pub fn kvtel_store_metric_types(
        store: *mut kvtel_store,
        types: *mut kvtel_metric_types,
    ) -> kvtel_status;
}
#[doc = " Label values of one engine, in the order of labelnames."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_engine_labels {
    #[doc = "< index of the engine, as kvtel_prom_observe() is given it"]
    pub engine: u32,
    #[doc = "< label_count of them"]
    pub values: *const *const ::core::ffi::c_char,
    #[doc = "< must be NULL"]
    pub reserved: [*const ::core::ffi::c_void; 2usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_engine_labels"][::core::mem::size_of::<kvtel_engine_labels>() - 32usize];
    ["Alignment of kvtel_engine_labels"][::core::mem::align_of::<kvtel_engine_labels>() - 8usize];
    ["Offset of field: kvtel_engine_labels::engine"]
        [::core::mem::offset_of!(kvtel_engine_labels, engine) - 0usize];
    ["Offset of field: kvtel_engine_labels::values"]
        [::core::mem::offset_of!(kvtel_engine_labels, values) - 8usize];
    ["Offset of field: kvtel_engine_labels::reserved"]
        [::core::mem::offset_of!(kvtel_engine_labels, reserved) - 16usize];
};
#[doc = " What vLLM passes to both classes. Borrowed until the create call returns, except `config`, the handles of `types`\n and `diagnostics`."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_prom_options {
    #[doc = "< borrowed for the life of the object"]
    pub config: *const kvtel_transfer_config,
    #[doc = "< how metrics are made and fed"]
    pub types: kvtel_metric_types,
    #[doc = "< usually model_name, engine"]
    pub labelnames: *const *const ::core::ffi::c_char,
    #[doc = "< how many label names"]
    pub label_count: usize,
    #[doc = "< per_engine_labelvalues"]
    pub engines: *const kvtel_engine_labels,
    #[doc = "< how many engines"]
    pub engine_count: usize,
    #[doc = "< may be NULL; outlives the object"]
    pub diagnostics: *mut kvtel_diagnostics,
    #[doc = "< must be NULL"]
    pub reserved: [*const ::core::ffi::c_void; 4usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_prom_options"][::core::mem::size_of::<kvtel_prom_options>() - 168usize];
    ["Alignment of kvtel_prom_options"][::core::mem::align_of::<kvtel_prom_options>() - 8usize];
    ["Offset of field: kvtel_prom_options::config"]
        [::core::mem::offset_of!(kvtel_prom_options, config) - 0usize];
    ["Offset of field: kvtel_prom_options::types"]
        [::core::mem::offset_of!(kvtel_prom_options, types) - 8usize];
    ["Offset of field: kvtel_prom_options::labelnames"]
        [::core::mem::offset_of!(kvtel_prom_options, labelnames) - 96usize];
    ["Offset of field: kvtel_prom_options::label_count"]
        [::core::mem::offset_of!(kvtel_prom_options, label_count) - 104usize];
    ["Offset of field: kvtel_prom_options::engines"]
        [::core::mem::offset_of!(kvtel_prom_options, engines) - 112usize];
    ["Offset of field: kvtel_prom_options::engine_count"]
        [::core::mem::offset_of!(kvtel_prom_options, engine_count) - 120usize];
    ["Offset of field: kvtel_prom_options::diagnostics"]
        [::core::mem::offset_of!(kvtel_prom_options, diagnostics) - 128usize];
    ["Offset of field: kvtel_prom_options::reserved"]
        [::core::mem::offset_of!(kvtel_prom_options, reserved) - 136usize];
};
unsafe extern "C" {
    #[doc = " vLLM's create_metric_per_engine: one child of `family` for each engine. `children`: engine_count of them, in the\n order of `engines`. Unchanged on failure; what the implementation made stays made."]
    pub fn kvtel_create_metric_per_engine(
        types: *const kvtel_metric_types,
        family: *mut ::core::ffi::c_void,
        engines: *const kvtel_engine_labels,
        engine_count: usize,
        label_count: usize,
        children: *mut *mut ::core::ffi::c_void,
    ) -> kvtel_status;
}
#[doc = " What a connector's metrics must do."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_prom_metrics_vtable {
    #[doc = " Records one payload. KVTEL_E_ENGINE: the engine was not declared; KVTEL_E_MISMATCH: stats of another connector;\n KVTEL_E_SUMMARISED: lists that explicit buckets need are gone (record each payload before it is accumulated)."]
    pub observe: ::core::option::Option<
        unsafe extern "C" fn(
            metrics: *mut kvtel_prom_metrics,
            stats: *const kvtel_stats,
            engine: u32,
        ) -> kvtel_status,
    >,
    #[doc = "< frees the object"]
    pub destroy: ::core::option::Option<unsafe extern "C" fn(metrics: *mut kvtel_prom_metrics)>,
    #[doc = "< must be NULL"]
    pub reserved: [::core::option::Option<unsafe extern "C" fn()>; 4usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_prom_metrics_vtable"]
        [::core::mem::size_of::<kvtel_prom_metrics_vtable>() - 48usize];
    ["Alignment of kvtel_prom_metrics_vtable"]
        [::core::mem::align_of::<kvtel_prom_metrics_vtable>() - 8usize];
    ["Offset of field: kvtel_prom_metrics_vtable::observe"]
        [::core::mem::offset_of!(kvtel_prom_metrics_vtable, observe) - 0usize];
    ["Offset of field: kvtel_prom_metrics_vtable::destroy"]
        [::core::mem::offset_of!(kvtel_prom_metrics_vtable, destroy) - 8usize];
    ["Offset of field: kvtel_prom_metrics_vtable::reserved"]
        [::core::mem::offset_of!(kvtel_prom_metrics_vtable, reserved) - 16usize];
};
#[doc = " vLLM's KVConnectorPromMetrics: the base. A connector that needs code puts it first in a struct of its own. Single\n owner."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_prom_metrics {
    #[doc = "< static; never NULL"]
    pub vtable: *const kvtel_prom_metrics_vtable,
    #[doc = "< whose metrics these are; borrowed"]
    pub connector: *const kvtel_connector,
    #[doc = "< must be NULL"]
    pub reserved: [*const ::core::ffi::c_void; 2usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_prom_metrics"][::core::mem::size_of::<kvtel_prom_metrics>() - 32usize];
    ["Alignment of kvtel_prom_metrics"][::core::mem::align_of::<kvtel_prom_metrics>() - 8usize];
    ["Offset of field: kvtel_prom_metrics::vtable"]
        [::core::mem::offset_of!(kvtel_prom_metrics, vtable) - 0usize];
    ["Offset of field: kvtel_prom_metrics::connector"]
        [::core::mem::offset_of!(kvtel_prom_metrics, connector) - 8usize];
    ["Offset of field: kvtel_prom_metrics::reserved"]
        [::core::mem::offset_of!(kvtel_prom_metrics, reserved) - 16usize];
};
unsafe extern "C" {
    #[doc = " The metrics that a connector's table describes, for every engine: children up front, so that idle engines show\n zeros.\n @param metrics out, owned. @return KVTEL_OK, KVTEL_E_NO_STATS, KVTEL_E_ARGUMENT (no configuration, a function of\n `types` is NULL, more than 8 label names, or labels, engines or values that are counted but not there),\n KVTEL_E_LIMIT, KVTEL_E_NOMEM"]
    pub fn kvtel_prom_metrics_create_generic(
        connector: *const kvtel_connector,
        options: *const kvtel_prom_options,
        metrics: *mut *mut kvtel_prom_metrics,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " vLLM's build_prom_metrics(): the connector's own function, or the generic metrics. `options->config` names the\n connector."]
    pub fn kvtel_connector_build_prom_metrics(
        options: *const kvtel_prom_options,
        metrics: *mut *mut kvtel_prom_metrics,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " Records one payload through the vtable; the owner's thread. @return as kvtel_prom_metrics_vtable.observe"]
    pub fn kvtel_prom_metrics_observe(
        metrics: *mut kvtel_prom_metrics,
        stats: *const kvtel_stats,
        engine: u32,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " Frees the object. The families and children that it made stay with the metric types. NULL is fine."]
    pub fn kvtel_prom_metrics_destroy(metrics: *mut kvtel_prom_metrics);
}
#[doc = " vLLM's KVConnectorProm: the configured connector's metrics, or none. Single owner."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_prom {
    _unused: [u8; 0],
}
unsafe extern "C" {
    #[doc = " Makes the metrics of the connector that `options->config` names. For a connector without stats, and for a name that\n no table has, the metrics are those that payloads describe: kvtel_prom_observe() then takes stats of\n kvtel_connector_open(). @param prom out, owned. @return KVTEL_OK, or as kvtel_prom_metrics_create_generic()"]
    pub fn kvtel_prom_create(
        options: *const kvtel_prom_options,
        prom: *mut *mut kvtel_prom,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " @return KVTEL_OK; KVTEL_E_ENGINE, KVTEL_E_MISMATCH: nothing recorded, counted in the diagnostics;\n KVTEL_E_SUMMARISED: nothing recorded"]
    pub fn kvtel_prom_observe(
        prom: *mut kvtel_prom,
        stats: *const kvtel_stats,
        engine: u32,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " NULL is fine."]
    pub fn kvtel_prom_destroy(prom: *mut kvtel_prom);
}
#[doc = " Opaque. Single owner."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_store_reader {
    _unused: [u8; 0],
}
#[doc = "< its writer, or a child that the writer forked, is running"]
pub const KVTEL_STORE_LIVE: kvtel_store_state = 0;
#[doc = "< no process writes into it any more: numbers that are read from now on are final"]
pub const KVTEL_STORE_ENDED: kvtel_store_state = 1;
#[doc = " Whether a store can still change."]
pub type kvtel_store_state = ::core::ffi::c_uint;
unsafe extern "C" {
    #[doc = " Opens a store's file.\n @param error  may be NULL; its offset is a place in the file\n @param reader out, owned: kvtel_store_reader_close()\n @return KVTEL_OK; KVTEL_E_IO (cannot be opened or read), KVTEL_E_TRUNCATED, KVTEL_E_FORMAT (no store, or of another\n version or byte order), KVTEL_E_NOMEM"]
    pub fn kvtel_store_reader_open(
        path: *const ::core::ffi::c_char,
        reader: *mut *mut kvtel_store_reader,
        error: *mut kvtel_error,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " NULL is fine."]
    pub fn kvtel_store_reader_close(reader: *mut kvtel_store_reader);
}
unsafe extern "C" {
    #[doc = " Whether the writer still runs: it holds a lock on the file. Ask before the last snapshot of a store, not after it."]
    pub fn kvtel_store_reader_state(reader: *const kvtel_store_reader) -> kvtel_store_state;
}
unsafe extern "C" {
    #[doc = " The writer of the store and the store's numbers about itself, as of the latest snapshot."]
    pub fn kvtel_store_reader_info(reader: *const kvtel_store_reader, info: *mut kvtel_store_info);
}
unsafe extern "C" {
    #[doc = " Adds the store as it is now to a snapshot, as kvtel_snapshot_add() does. The snapshot is unchanged on failure.\n @param error may be NULL\n @return KVTEL_OK, KVTEL_E_MISMATCH (a family whose name, or the name of a sample of it, stands for something else was\n left out, or what a lane holds that no writer leaves behind; the rest is added), KVTEL_E_TRUNCATED, KVTEL_E_FORMAT\n (records that no writer leaves behind), KVTEL_E_LIMIT (amounts that cannot be added up), KVTEL_E_IO, KVTEL_E_NOMEM"]
    pub fn kvtel_snapshot_add_reader(
        snapshot: *mut kvtel_snapshot,
        reader: *mut kvtel_store_reader,
        error: *mut kvtel_error,
    ) -> kvtel_status;
}
unsafe extern "C" {
    #[doc = " Adds many stores, reading their files in several threads where there are processors for them. A store that cannot be\n added is left out, the others are added.\n @param errors  count of them, or NULL: each gets the status of its reader, and a reason where that is a failure to\n read\n @return KVTEL_OK, or the first failure"]
    pub fn kvtel_snapshot_add_readers(
        snapshot: *mut kvtel_snapshot,
        readers: *const *mut kvtel_store_reader,
        count: usize,
        errors: *mut kvtel_error,
    ) -> kvtel_status;
}
#[doc = " A connector's families in a store, for one engine. Handles are made by one thread at a time; any thread records\n through them."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_recorder {
    _unused: [u8; 0],
}
#[doc = " Handle of one kind of transfer: the series into which its values go. Owned by its recorder; any thread."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_operation {
    _unused: [u8; 0],
}
#[doc = " Handle of one field or typed metric with its label values: the series into which its values go. Owned by its\n recorder; any thread."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_instrument {
    _unused: [u8; 0],
}
#[doc = " Zero is the default of every option. Borrowed until the call returns."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_recorder_options {
    #[doc = "< sizeof(struct kvtel_recorder_options), which KVTEL_RECORDER_OPTIONS() sets; 0:\nKVTEL_RECORDER_OPTIONS_SIZE_0_1"]
    pub size: usize,
    #[doc = "< value of the engine label; NULL: the store's engine as a number"]
    pub engine: *const ::core::ffi::c_char,
    #[doc = "< chooses among the connector's metrics; NULL: nothing is configured"]
    pub config: *const kvtel_transfer_config,
    #[doc = " Whether the recorder makes the families kvtel_transfer_first_byte_seconds and kvtel_transfer_data_seconds, too.\n Their values come from transfers with points in time."]
    pub windows: bool,
    #[doc = " How many transfers that a thread began can be open at once, each of them visible to readers (see\n kvtel_transfer_begin()); 65,536 at most. 0: none are. Each thread that records takes 64 bytes for each. The first\n recorder of a store that gives a number decides."]
    pub open_transfers: u32,
    #[doc = " Whether the histograms of transfer times have places for exemplars, see kvtel_record_exemplar(): for each thread\n 384 bytes a bucket, which is 5 KiB for NIXL. A connector without such a histogram has them in its histogram of\n sizes. A series that the store has already without places gets none."]
    pub exemplars: bool,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_recorder_options"][::core::mem::size_of::<kvtel_recorder_options>() - 40usize];
    ["Alignment of kvtel_recorder_options"]
        [::core::mem::align_of::<kvtel_recorder_options>() - 8usize];
    ["Offset of field: kvtel_recorder_options::size"]
        [::core::mem::offset_of!(kvtel_recorder_options, size) - 0usize];
    ["Offset of field: kvtel_recorder_options::engine"]
        [::core::mem::offset_of!(kvtel_recorder_options, engine) - 8usize];
    ["Offset of field: kvtel_recorder_options::config"]
        [::core::mem::offset_of!(kvtel_recorder_options, config) - 16usize];
    ["Offset of field: kvtel_recorder_options::windows"]
        [::core::mem::offset_of!(kvtel_recorder_options, windows) - 24usize];
    ["Offset of field: kvtel_recorder_options::open_transfers"]
        [::core::mem::offset_of!(kvtel_recorder_options, open_transfers) - 28usize];
    ["Offset of field: kvtel_recorder_options::exemplars"]
        [::core::mem::offset_of!(kvtel_recorder_options, exemplars) - 32usize];
};
unsafe extern "C" {
    #[doc = " Makes the connector's families and series. A series for which the store has no room is left out and counted.\n @param store     outlives the recorder\n @param connector of NULL (kvtel_connector_find() did not find the name), and of a connector without stats of its own\n (a MultiConnector), nothing can be recorded: `.warn` is called, and `records_dropped` counts 1\n @param options   may be NULL\n @return owned: kvtel_recorder_destroy(). NULL when nothing can be recorded: every function of this header takes NULL\n and does nothing"]
    pub fn kvtel_recorder_create(
        store: *mut kvtel_store,
        connector: *const kvtel_connector,
        options: *const kvtel_recorder_options,
    ) -> *mut kvtel_recorder;
}
unsafe extern "C" {
    #[doc = " Frees the recorder and its handles. The numbers that were recorded stay in the store. NULL is fine."]
    pub fn kvtel_recorder_destroy(recorder: *mut kvtel_recorder);
}
unsafe extern "C" {
    #[doc = " The handle of a kind of transfer: of a flow (\"load\", \"store\"), or of an operation of a store with its status.\n @param name   NULL: the connector's first flow, which kvtel_record_transfer() records\n @param status value of the status label, e.g. \"ok\"; NULL: \"ok\"\n @return borrowed until kvtel_recorder_destroy(), the same for the same name and status. NULL: the connector has no\n such flow, or its operations must be named; `.warn` is called, and `records_dropped` counts 1. When the store has no\n room for the series, the handle counts each of its records as dropped."]
    pub fn kvtel_recorder_operation(
        recorder: *mut kvtel_recorder,
        name: *const ::core::ffi::c_char,
        status: *const ::core::ffi::c_char,
    ) -> *const kvtel_operation;
}
unsafe extern "C" {
    #[doc = " The handle of a field by its key (a level, a count, a sample), or of a typed metric by its name.\n @param labels values of the metric's own labels, @param count how many\n @return borrowed until kvtel_recorder_destroy(). NULL: the connector has no such field or metric, or the metric has\n another number of labels; `.warn` is called, and `records_dropped` counts 1. When the store has no room for the\n series, the handle counts each of its records as dropped."]
    pub fn kvtel_recorder_instrument(
        recorder: *mut kvtel_recorder,
        key: *const ::core::ffi::c_char,
        labels: *const *const ::core::ffi::c_char,
        count: usize,
    ) -> *const kvtel_instrument;
}
unsafe extern "C" {
    #[doc = " Records a finished transfer of the connector's first flow. All its values become visible at once. A number that was\n not measured adds no value.\n @return whether it was recorded; false: a number is above KVTEL_TRANSFER_LIMIT, which `values_refused` counts, or\n there was no room, which `records_dropped` counts"]
    pub fn kvtel_record_transfer(
        recorder: *const kvtel_recorder,
        transfer: *const kvtel_transfer,
    ) -> bool;
}
unsafe extern "C" {
    #[doc = " Records a finished transfer or a call of a store. @return as kvtel_record_transfer(); NULL `operation`: false"]
    pub fn kvtel_record_operation(
        operation: *const kvtel_operation,
        transfer: *const kvtel_transfer,
    ) -> bool;
}
unsafe extern "C" {
    #[doc = " Records `count` finished transfers or calls at once, as a loop of kvtel_record_operation() does, in less time: for a\n caller that finds many that are done. A reader sees the first ones before the last.\n @return how many were recorded; each of the others is counted as for kvtel_record_transfer(). NULL `operation`: 0"]
    pub fn kvtel_record_transfers(
        operation: *const kvtel_operation,
        transfers: *const kvtel_transfer,
        count: usize,
    ) -> usize;
}
pub const KVTEL_EXEMPLAR_TEXT: _bindgen_ty_2 = 168;
#[doc = " Bytes of an exemplar's labels: names and values, with a NUL behind each."]
pub type _bindgen_ty_2 = ::core::ffi::c_uint;
#[doc = " The labels by which a transfer is found again: a trace, a request, a peer. They are no labels of a series, so they\n may have any number of values. The caller owns it and sets it to 0 before it adds labels; one may be used for many\n records."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_exemplar {
    #[doc = "< when it happened, CLOCK_REALTIME; 0: the call that records reads the clock"]
    pub time_ns: u64,
    #[doc = "< bytes of `text` in use: kvtel_exemplar_add() counts them; 0: no label"]
    pub size: u32,
    #[doc = "< kvtel_exemplar_add() fills it"]
    pub text: [::core::ffi::c_char; 168usize],
    #[doc = "< 0"]
    pub reserved: [u64; 3usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_exemplar"][::core::mem::size_of::<kvtel_exemplar>() - 208usize];
    ["Alignment of kvtel_exemplar"][::core::mem::align_of::<kvtel_exemplar>() - 8usize];
    ["Offset of field: kvtel_exemplar::time_ns"]
        [::core::mem::offset_of!(kvtel_exemplar, time_ns) - 0usize];
    ["Offset of field: kvtel_exemplar::size"]
        [::core::mem::offset_of!(kvtel_exemplar, size) - 8usize];
    ["Offset of field: kvtel_exemplar::text"]
        [::core::mem::offset_of!(kvtel_exemplar, text) - 12usize];
    ["Offset of field: kvtel_exemplar::reserved"]
        [::core::mem::offset_of!(kvtel_exemplar, reserved) - 184usize];
};
unsafe extern "C" {
    #[doc = " Adds a label. Names and values of all labels have 128 characters at most, the limit of OpenMetrics, and with a NUL\n behind each KVTEL_EXEMPLAR_TEXT bytes. Both are borrowed until the call returns.\n @return false, and nothing is added: `name` is not a label's name or is there already, `value` is not UTF-8, there is\n no room, or an argument is NULL"]
    pub fn kvtel_exemplar_add(
        exemplar: *mut kvtel_exemplar,
        name: *const ::core::ffi::c_char,
        value: *const ::core::ffi::c_char,
    ) -> bool;
}
unsafe extern "C" {
    #[doc = " Adds the labels trace_id and span_id from a W3C `traceparent`, such as\n \"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\": both or none.\n @return false: the text is malformed, or as kvtel_exemplar_add()"]
    pub fn kvtel_exemplar_add_traceparent(
        exemplar: *mut kvtel_exemplar,
        traceparent: *const ::core::ffi::c_char,
    ) -> bool;
}
unsafe extern "C" {
    #[doc = " As kvtel_record_operation(); the transfer is also left as an exemplar at the bucket of its time, where the recorder\n has places for exemplars. Each thread keeps the last exemplar of each explicit bucket, and readers show the newest\n of these. A reader never sees a part of one, also when the thread is killed in this call.\n @param exemplar NULL: none is left. `size` past KVTEL_EXEMPLAR_TEXT: likewise\n @return as kvtel_record_operation()"]
    pub fn kvtel_record_exemplar(
        operation: *const kvtel_operation,
        transfer: *const kvtel_transfer,
        exemplar: *const kvtel_exemplar,
    ) -> bool;
}
unsafe extern "C" {
    #[doc = " Records into a series of a store, in the calling thread's own lane: for a program whose metrics are no connector's.\n Adds to a counter (value >= 0), sets a gauge (any finite value), takes a sample of a histogram (value >= 0).\n @param exemplar of a sample, where the series has places (kvtel_store_series_exemplars()); NULL: none\n @return whether it was recorded; false: counted as for kvtel_record_transfer(), as is a number that is no series.\n NULL `store`: false"]
    pub fn kvtel_store_record(
        store: *mut kvtel_store,
        series: u32,
        value: f64,
        exemplar: *const kvtel_exemplar,
    ) -> bool;
}
unsafe extern "C" {
    #[doc = " Records one failure. @return whether it was recorded; false: the connector does not count this class"]
    pub fn kvtel_record_failure(recorder: *const kvtel_recorder, failure: kvtel_failure) -> bool;
}
unsafe extern "C" {
    #[doc = " Sets a level (any finite value), adds to a count (value >= 0) or takes a sample (value >= 0); times are at most 2^62\n ns. A level reads the clock. @return whether it was recorded; false: counted as for kvtel_record_transfer()"]
    pub fn kvtel_record_value(instrument: *const kvtel_instrument, value: f64) -> bool;
}
#[doc = " What is known of a transfer when it begins. 0 is \"not known\" of every member."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_transfer_start {
    #[doc = "< bytes to move; 0 or KVTEL_UNMEASURED: not known"]
    pub bytes: u64,
    #[doc = "< when it began, CLOCK_MONOTONIC ns; 0: the call reads the clock"]
    pub began_ns: u64,
    #[doc = "< with whom: kvtel_store_peer(); 0: not known"]
    pub peer: u32,
    #[doc = "< must be 0"]
    pub reserved: u32,
    #[doc = "< must be 0"]
    pub reserved_2: u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_transfer_start"][::core::mem::size_of::<kvtel_transfer_start>() - 32usize];
    ["Alignment of kvtel_transfer_start"][::core::mem::align_of::<kvtel_transfer_start>() - 8usize];
    ["Offset of field: kvtel_transfer_start::bytes"]
        [::core::mem::offset_of!(kvtel_transfer_start, bytes) - 0usize];
    ["Offset of field: kvtel_transfer_start::began_ns"]
        [::core::mem::offset_of!(kvtel_transfer_start, began_ns) - 8usize];
    ["Offset of field: kvtel_transfer_start::peer"]
        [::core::mem::offset_of!(kvtel_transfer_start, peer) - 16usize];
    ["Offset of field: kvtel_transfer_start::reserved"]
        [::core::mem::offset_of!(kvtel_transfer_start, reserved) - 20usize];
    ["Offset of field: kvtel_transfer_start::reserved_2"]
        [::core::mem::offset_of!(kvtel_transfer_start, reserved_2) - 24usize];
};
#[doc = " A transfer that was begun. The members are of no meaning to the caller. All 0: no transfer."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_transfer_token {
    #[doc = "< the operation that began it"]
    pub operation: *const kvtel_operation,
    #[doc = "< when it began, CLOCK_MONOTONIC ns"]
    pub began_ns: u64,
    #[doc = "< as it was begun with"]
    pub bytes: u64,
    #[doc = "< of the place when it was taken"]
    pub state: u64,
    #[doc = "< the lane of the place"]
    pub lane: u32,
    #[doc = "< the place in its lane"]
    pub place: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_transfer_token"][::core::mem::size_of::<kvtel_transfer_token>() - 40usize];
    ["Alignment of kvtel_transfer_token"][::core::mem::align_of::<kvtel_transfer_token>() - 8usize];
    ["Offset of field: kvtel_transfer_token::operation"]
        [::core::mem::offset_of!(kvtel_transfer_token, operation) - 0usize];
    ["Offset of field: kvtel_transfer_token::began_ns"]
        [::core::mem::offset_of!(kvtel_transfer_token, began_ns) - 8usize];
    ["Offset of field: kvtel_transfer_token::bytes"]
        [::core::mem::offset_of!(kvtel_transfer_token, bytes) - 16usize];
    ["Offset of field: kvtel_transfer_token::state"]
        [::core::mem::offset_of!(kvtel_transfer_token, state) - 24usize];
    ["Offset of field: kvtel_transfer_token::lane"]
        [::core::mem::offset_of!(kvtel_transfer_token, lane) - 32usize];
    ["Offset of field: kvtel_transfer_token::place"]
        [::core::mem::offset_of!(kvtel_transfer_token, place) - 36usize];
};
unsafe extern "C" {
    #[doc = " Begins a transfer. Where the operation's recorder has `open_transfers`, other processes see the transfer until it\n ends: `kvtel serve` shows how many are open, their bytes and the oldest, with whom; and if this process is killed\n meanwhile, the transfer is counted as lost. When the thread has as many open as there can be, the transfer is\n recorded at its end all the same, and `transfers_untracked` counts 1; so it is in a signal handler within another\n call. No allocation, no lock (apart from the first call of a thread), no system call but the reading of the clock.\n @param start may be NULL\n @return a token, which ends once: any thread of this process may end it, while the recorder exists. All 0, and\n counted in `records_dropped`: `operation` is of the parent of a fork. NULL `operation`: all 0"]
    pub fn kvtel_transfer_begin(
        operation: *const kvtel_operation,
        start: *const kvtel_transfer_start,
    ) -> kvtel_transfer_token;
}
unsafe extern "C" {
    #[doc = " Ends a transfer that is complete and records it, as kvtel_record_operation() does. A token that was ended (also\n through a copy of it, where the transfer was visible), or that a parent of a fork began, is refused: nothing is\n recorded, and `tokens_refused` counts 1.\n @param token    marked as ended. All 0: false\n @param transfer NULL: duration and bytes as known. Otherwise a duration that is 0 or KVTEL_UNMEASURED is the time\n from the begin to `done_ns` or, where that is not known, to now, for which the call reads the clock; and bytes that\n are 0 or KVTEL_UNMEASURED are those that the begin told\n @return whether it was recorded; false: refused, or as kvtel_record_transfer(). A call in a signal handler within\n another call of its thread returns false, is counted in `records_dropped`, and leaves the transfer open"]
    pub fn kvtel_transfer_end(
        token: *mut kvtel_transfer_token,
        transfer: *const kvtel_transfer,
    ) -> bool;
}
unsafe extern "C" {
    #[doc = " As kvtel_transfer_end(); the transfer is also left as an exemplar, as kvtel_record_exemplar() does.\n @param exemplar NULL: none is left\n @return as kvtel_transfer_end()"]
    pub fn kvtel_transfer_end_exemplar(
        token: *mut kvtel_transfer_token,
        transfer: *const kvtel_transfer,
        exemplar: *const kvtel_exemplar,
    ) -> bool;
}
unsafe extern "C" {
    #[doc = " Ends a transfer that failed: it counts 1 in `kvtel_unfinished_transfers` with outcome \"failed\", where the recorder\n has `open_transfers`, and 1 as kvtel_record_failure() does.\n @param token as for kvtel_transfer_end()\n @return whether it was counted anywhere; false: refused as there, or neither counts it"]
    pub fn kvtel_transfer_fail(token: *mut kvtel_transfer_token, failure: kvtel_failure) -> bool;
}
unsafe extern "C" {
    #[doc = " The number of a peer of transfers, such as \"10.0.0.7:5600\" or \"engine/rank\", for struct kvtel_transfer_start. The\n first 64 names of a store get numbers of their own, all others that of \"other\". Names are UTF-8, at most 47 bytes of\n them are kept. Never waits. Any thread, not in a signal handler.\n @return 0: NULL or empty, or the store is the parent's of a fork, or another thread adds a name at this moment: ask\n again for the next transfer"]
    pub fn kvtel_store_peer(store: *mut kvtel_store, name: *const ::core::ffi::c_char) -> u32;
}
unsafe extern "C" {
    #[doc = " As kvtel_record_operation(), into a lane that the caller opened with kvtel_lane_open() and owns. @return as\n kvtel_record_operation(); false as well when the lane belongs to another store than the operation, which the\n operation's store counts in `records_dropped`"]
    pub fn kvtel_lane_record(
        lane: *mut kvtel_lane,
        operation: *const kvtel_operation,
        transfer: *const kvtel_transfer,
    ) -> bool;
}
unsafe extern "C" {
    #[doc = " CLOCK_MONOTONIC in nanoseconds."]
    pub fn kvtel_now_ns() -> u64;
}
#[doc = " A clock that is read without the kernel: the time stamp counter of x86-64, the virtual counter of aarch64, else\n kvtel_now_ns()."]
#[repr(C)]
#[derive(Copy, Clone)]
pub struct kvtel_ticks {
    #[doc = "< length of a tick in nanoseconds"]
    pub ns_per_tick: f64,
    #[doc = "< 0"]
    pub reserved: u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of kvtel_ticks"][::core::mem::size_of::<kvtel_ticks>() - 16usize];
    ["Alignment of kvtel_ticks"][::core::mem::align_of::<kvtel_ticks>() - 8usize];
    ["Offset of field: kvtel_ticks::ns_per_tick"]
        [::core::mem::offset_of!(kvtel_ticks, ns_per_tick) - 0usize];
    ["Offset of field: kvtel_ticks::reserved"]
        [::core::mem::offset_of!(kvtel_ticks, reserved) - 8usize];
};
unsafe extern "C" {
    #[doc = " Measures it against CLOCK_MONOTONIC for `duration_ns` (0: 10 ms), sleeping."]
    pub fn kvtel_ticks_calibrate(ticks: *mut kvtel_ticks, duration_ns: u64);
}
unsafe extern "C" {
    #[doc = " The counter now."]
    pub fn kvtel_ticks_now() -> u64;
}
