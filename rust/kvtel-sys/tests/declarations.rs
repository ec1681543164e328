// SPDX-License-Identifier: Apache-2.0
//! Each declaration of src/bindings.rs, written as C below the headers, is one that the C compiler accepts: functions
//! and members have the same types, structs the same sizes and offsets, constants the same values. That Rust's structs
//! have those sizes and offsets is asserted in src/bindings.rs itself.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

const BINDINGS: &str = include_str!("../src/bindings.rs");

/// What stands before each name in C.
fn kinds() -> HashMap<&'static str, &'static str> {
    let mut kinds = HashMap::new();
    for line in BINDINGS.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("pub struct ") {
            kinds.insert(rest.trim_end_matches('{').trim(), "struct ");
        } else if let Some((name, value)) = line.strip_prefix("pub type ").and_then(|rest| rest.split_once(" = ")) {
            kinds.insert(name, if value.starts_with("::core::ffi::c_") { "enum " } else { "" });
        } else if let Some((name, _)) = line.strip_prefix("pub type ").and_then(|rest| rest.split_once(" =")) {
            kinds.insert(name, "");
        }
    }
    kinds
}

/// A type in C. None: an array or a function, whose size and offset are compared and no more.
fn in_c(kinds: &HashMap<&str, &str>, rust: &str) -> Option<String> {
    let rust = rust.trim();
    if let Some(rest) = rust.strip_prefix("*const ") {
        return Some(format!("{} const *", in_c(kinds, rest)?));
    }
    if let Some(rest) = rust.strip_prefix("*mut ") {
        return Some(format!("{} *", in_c(kinds, rest)?));
    }
    let simple = match rust {
        "bool" => "bool",
        "f64" => "double",
        "i32" => "int32_t",
        "i64" => "int64_t",
        "u8" => "uint8_t",
        "u32" => "uint32_t",
        "u64" => "uint64_t",
        "usize" => "size_t",
        "::core::ffi::c_char" => "char",
        "::core::ffi::c_int" => "int",
        "::core::ffi::c_uint" => "unsigned",
        "::core::ffi::c_void" => "void",
        _ => return kinds.get(rust).map(|kind| format!("{kind}{rust}")),
    };
    Some(simple.to_owned())
}

/// A member's name in C: bindgen adds `_` to a word of Rust.
fn plain(member: &str) -> &str {
    member.trim_end_matches('_')
}

/// `name: type` pairs. None: one has no type in C here.
fn pairs<'a>(kinds: &HashMap<&str, &str>, list: &'a str) -> Option<Vec<(&'a str, String)>> {
    let parts = list.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| part.split_once(": ").and_then(|(name, of)| Some((name, in_c(kinds, of)?)))).collect()
}

fn functions(kinds: &HashMap<&str, &str>, c: &mut String) -> usize {
    let mut count = 0;
    for rest in BINDINGS.split("pub fn ").skip(1) {
        let declaration = &rest[..rest.find(';').expect("a declaration ends")];
        let open = declaration.find('(').expect("a function has arguments");
        let close = declaration.rfind(')').expect("which end");
        let result = declaration[close + 1..].trim().strip_prefix("->").map_or("::core::ffi::c_void", str::trim);
        let arguments = pairs(kinds, &declaration[open + 1..close]).unwrap_or_else(|| panic!("{declaration}"));
        let arguments: Vec<String> = arguments.into_iter().map(|(_, of)| of).collect();
        let arguments = if arguments.is_empty() { "void".to_owned() } else { arguments.join(", ") };
        let result = in_c(kinds, result).unwrap_or_else(|| panic!("{declaration}"));
        writeln!(c, "{result} {}({arguments});", &declaration[..open]).unwrap();
        count += 1;
    }
    count
}

fn structs(kinds: &HashMap<&str, &str>, c: &mut String) -> usize {
    let mut count = 0;
    for rest in BINDINGS.split("pub struct ").skip(1) {
        let name = rest.split_whitespace().next().expect("a struct has a name");
        for line in rest[..rest.find("\n}").expect("which ends")].lines() {
            // A member that is a function stands on several lines.
            let member = line.trim().strip_prefix("pub ").and_then(|member| member.split_once(": "));
            let Some((member, of)) = member else { continue };
            if let Some(of) = in_c(kinds, of.trim_end_matches(',')).filter(|_| !name.starts_with("_bindgen")) {
                let member = plain(member);
                writeln!(c, "extern __typeof__(((struct {name} *)0)->{member}) of_{count};\nextern {of} of_{count};")
                    .unwrap();
                count += 1;
            }
        }
    }
    count
}

fn layouts(c: &mut String) -> usize {
    let mut count = 0;
    let joined = BINDINGS.replace("]\n        [", "][");
    for line in joined.lines().map(str::trim) {
        let Some((what, number)) = line.strip_prefix("[\"").and_then(|rest| rest.split_once("\"]")) else { continue };
        let number = number.rsplit_once("- ").expect("a difference").1.trim_end_matches("usize];");
        if let Some(name) = what.strip_prefix("Size of ") {
            writeln!(c, "_Static_assert(sizeof(struct {name}) == {number}, \"{what}\");").unwrap();
        } else if let Some((name, member)) = what.strip_prefix("Offset of field: ").and_then(|of| of.split_once("::")) {
            let member = plain(member);
            writeln!(c, "_Static_assert(offsetof(struct {name}, {member}) == {number}, \"{what}\");").unwrap();
        } else {
            continue;
        }
        count += 1;
    }
    count
}

fn constants(c: &mut String) -> usize {
    let mut count = 0;
    for line in BINDINGS.lines() {
        let Some((name, rest)) = line.strip_prefix("pub const ").and_then(|rest| rest.split_once(": ")) else {
            continue;
        };
        let value = rest.split_once(" = ").expect("a constant has a value").1.trim_end_matches(';');
        writeln!(c, "_Static_assert({name} == {value}, \"{name}\");").unwrap();
        count += 1;
    }
    count
}

#[test]
fn declarations_are_those_of_the_headers() {
    let kinds = kinds();
    let mut c = String::from("#include <kvtel/kvtel.h>\n");
    let counts = [functions(&kinds, &mut c), structs(&kinds, &mut c), layouts(&mut c), constants(&mut c)];
    assert!(counts.iter().all(|count| *count > 50), "{counts:?} of functions, members, layouts, constants");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let mut words = compiler.split_whitespace();
    let mut compile = Command::new(words.next().expect("a compiler"));
    compile.args(words).args(["-std=c11", "-fsyntax-only", "-Ic/include", "-xc", "-"]).stdin(Stdio::piped());
    let mut child = compile.spawn().expect("the C compiler starts");
    child.stdin.take().expect("a pipe").write_all(c.as_bytes()).expect("it reads");
    assert!(child.wait().expect("it ends").success(), "src/bindings.rs is not of these headers:\n{c}");
}
