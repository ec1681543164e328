// SPDX-License-Identifier: Apache-2.0
//! Bindings of kvtel's C libraries, as their headers declare them. The crate `kvtel` is the safe face of them.
//!
//! With the feature `payloads` (a default) all declarations have a function behind them; without it those alone whose
//! header says that libkvtel_record has them.

#![allow(non_camel_case_types)]
#![allow(rustdoc::all)] // the headers' comments are Doxygen's
#![allow(clippy::all)]

include!("bindings.rs");
