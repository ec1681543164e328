// SPDX-License-Identifier: Apache-2.0
//! Builds kvtel's C sources, or finds the libraries of the system.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The folders of c/src that libkvtel_record consists of, and those that libkvtel has beside them: the lists
/// KVTEL_RECORD_ROOMS and KVTEL_LIBRARY_ROOMS of src/CMakeLists.txt.
const RECORD: &[&str] = &["base", "format", "histogram", "config", "connectors", "record"];
const PAYLOADS: &[&str] = &[
    "collect",
    "value",
    "config/parse",
    "connectors/parse",
    "nixl",
    "report",
    "vllm/stats",
    "vllm/prom",
    "vllm/logging",
    "exposition",
    "recording",
];
/// Files of c/src/connectors that are no table of a connector.
const NO_TABLES: &[&str] = &["check", "learned", "registry", "table"];

fn main() {
    println!("cargo:rerun-if-changed=c");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=KVTEL_SYSTEM");
    let payloads = env::var_os("CARGO_FEATURE_PAYLOADS").is_some();
    let asked = env::var("KVTEL_SYSTEM").is_ok_and(|value| !value.is_empty() && value != "0");
    if asked || env::var_os("CARGO_FEATURE_SYSTEM").is_some() {
        link_system(if payloads { "kvtel" } else { "kvtel_record" });
        return;
    }
    build(payloads);
}

fn build(payloads: bool) {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let source = Path::new("c/src");
    let mut rooms = RECORD.to_vec();
    let mut build = cc::Build::new();
    let version = env::var("CARGO_PKG_VERSION").expect("cargo sets CARGO_PKG_VERSION");
    build
        .std("c11")
        .define("_GNU_SOURCE", None)
        .define("KVTEL_VERSION", format!("\"{version}\"").as_str())
        .flag("-fvisibility=hidden")
        .flag_if_supported("-fstack-protector-strong")
        .include("c/include")
        .include(source)
        .include(&out);
    if payloads {
        rooms.extend(PAYLOADS);
        for path in system_libraries() {
            build.include(path);
        }
    }
    fs::write(out.join("connectors_list.h"), tables(source)).expect("OUT_DIR can be written");
    for room in rooms {
        build.files(c_files(&source.join(room)));
    }
    build.compile(if payloads { "kvtel" } else { "kvtel_record" });
    println!("cargo:rustc-link-lib=m");
    println!("cargo:rustc-link-lib=pthread");
    println!("cargo:include={}", fs::canonicalize("c/include").expect("the headers are there").display());
}

/// The C files of a folder, in one order everywhere.
fn c_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder that can be read").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    files.sort();
    files
}

/// One X(id) for each table, as CMake makes it.
fn tables(source: &Path) -> String {
    let files = c_files(&source.join("connectors"));
    let ids = files.iter().filter_map(|path| path.file_stem()?.to_str()).filter(|id| !NO_TABLES.contains(id));
    ids.map(|id| format!("X({id})\n")).collect()
}

/// jansson, which is linked, and the headers of msgpack-c, which hold all that is used of it.
#[cfg(feature = "payloads")]
fn system_libraries() -> Vec<PathBuf> {
    let jansson = pkg_config::probe_library("jansson")
        .unwrap_or_else(|error| panic!("jansson is needed (Debian: libjansson-dev): {error}"));
    let mut headers = pkg_config::Config::new();
    headers.cargo_metadata(false);
    // Debian 12 has one package for C and C++; since then C's is msgpack-c.
    let msgpack = headers
        .probe("msgpack-c")
        .or_else(|_| headers.probe("msgpack"))
        .unwrap_or_else(|error| panic!("msgpack-c is needed (Debian: libmsgpack-dev): {error}"));
    [jansson.include_paths, msgpack.include_paths].concat()
}

#[cfg(not(feature = "payloads"))]
fn system_libraries() -> Vec<PathBuf> {
    Vec::new()
}

#[cfg(any(feature = "payloads", feature = "system"))]
fn link_system(name: &str) {
    let version = env::var("CARGO_PKG_VERSION").expect("cargo sets CARGO_PKG_VERSION");
    let library = pkg_config::Config::new()
        .exactly_version(&version)
        .probe(name)
        .unwrap_or_else(|error| panic!("the system's {name} of version {version} is asked for: {error}"));
    for path in library.include_paths {
        println!("cargo:include={}", path.display());
    }
}

#[cfg(not(any(feature = "payloads", feature = "system")))]
fn link_system(name: &str) {
    panic!("KVTEL_SYSTEM is set, but {name} is found by pkg-config only with the feature system");
}
