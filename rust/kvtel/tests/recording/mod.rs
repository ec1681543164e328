// SPDX-License-Identifier: Apache-2.0
//! Reading the recordings of tests/data (docs/recording-format.md), as MessagePack: enough of it for these files.
#![allow(dead_code)] // each test uses a part

use std::path::{Path, PathBuf};
use std::{fs, ops::Range};

/// A value, and where its bytes are.
pub struct Value {
    pub bytes: Range<usize>,
    pub content: Content,
}

pub enum Content {
    /// A number, true, false or nil, as JSON has it.
    Plain(String),
    Text(String),
    List(Vec<Value>),
    Map(Vec<(Value, Value)>),
}

impl Value {
    pub fn get(&self, key: &str) -> Option<&Value> {
        let Content::Map(entries) = &self.content else { return None };
        entries
            .iter()
            .find(|(name, _)| matches!(&name.content, Content::Text(name) if name == key))
            .map(|entry| &entry.1)
    }

    pub fn list(&self) -> &[Value] {
        match &self.content {
            Content::List(values) => values,
            _ => panic!("no list"),
        }
    }

    pub fn text(&self) -> &str {
        match &self.content {
            Content::Plain(text) | Content::Text(text) => text,
            _ => panic!("no text"),
        }
    }

    pub fn json(&self) -> String {
        let joined = |parts: Vec<String>| parts.join(",");
        match &self.content {
            Content::Plain(text) => text.clone(),
            Content::Text(text) => format!("{text:?}"),
            Content::List(values) => format!("[{}]", joined(values.iter().map(Value::json).collect())),
            Content::Map(entries) => {
                let entries = entries.iter().map(|(name, value)| format!("{}:{}", name.json(), value.json()));
                format!("{{{}}}", joined(entries.collect()))
            }
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, size: usize) -> &[u8] {
        self.at += size;
        &self.bytes[self.at - size..self.at]
    }

    fn number(&mut self, size: usize) -> u64 {
        self.take(size).iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn text(&mut self, size: u64) -> Content {
        Content::Text(String::from_utf8_lossy(self.take(size as usize)).into_owned())
    }

    fn list(&mut self, count: u64) -> Content {
        Content::List((0..count).map(|_| self.value()).collect())
    }

    fn map(&mut self, count: u64) -> Content {
        Content::Map((0..count).map(|_| (self.value(), self.value())).collect())
    }

    fn value(&mut self) -> Value {
        let start = self.at;
        let first = self.number(1);
        let plain = |text: String| Content::Plain(text);
        let content = match first {
            0x00..=0x7f => plain(first.to_string()),
            0x80..=0x8f => self.map(first & 0xf),
            0x90..=0x9f => self.list(first & 0xf),
            0xa0..=0xbf => self.text(first & 0x1f),
            0xc0 => plain("null".to_owned()),
            0xc2 => plain("false".to_owned()),
            0xc3 => plain("true".to_owned()),
            0xcb => plain(f64::from_bits(self.number(8)).to_string()),
            0xcc..=0xcf => plain(self.number(1 << (first - 0xcc)).to_string()),
            0xd0..=0xd3 => {
                let bits = 8 << (first - 0xd0);
                let number = self.number(bits / 8) << (64 - bits);
                plain(((number as i64) >> (64 - bits)).to_string())
            }
            0xd9 | 0xda => {
                let size = self.number((first - 0xd8) as usize);
                self.text(size)
            }
            0xdc | 0xdd => {
                let count = self.number(2 << (first - 0xdc));
                self.list(count)
            }
            0xde | 0xdf => {
                let count = self.number(2 << (first - 0xde));
                self.map(count)
            }
            0xe0..=0xff => plain((first as i64 - 0x100).to_string()),
            other => panic!("{other:#x} at byte {start} is not in any of these files"),
        };
        Value { bytes: start..self.at, content }
    }
}

pub struct Recording {
    pub bytes: Vec<u8>,
    pub objects: Vec<Value>,
}

impl Recording {
    pub fn of(name: &str) -> Self {
        let bytes = fs::read(data().join(format!("{name}.mp"))).expect("a recording");
        let mut objects = Vec::new();
        let mut reader = Reader { bytes: &bytes, at: 0 };
        while reader.at < bytes.len() {
            objects.push(reader.value());
        }
        Self { bytes, objects }
    }

    fn header(&self, key: &str) -> Option<&Value> {
        self.objects[0].get(key)
    }

    pub fn config(&self) -> String {
        self.header("kv_transfer_config").expect("a configuration").json()
    }

    pub fn model_name(&self) -> String {
        self.header("model_name").map_or_else(String::new, |name| name.text().to_owned())
    }

    pub fn cache_metrics(&self) -> bool {
        self.header("kv_cache_metrics").is_some_and(|on| on.text() == "true")
    }

    pub fn engines(&self) -> Vec<u32> {
        let engines = self.header("engines").expect("engines").list();
        engines.iter().map(|engine| engine.text().parse().expect("a number")).collect()
    }

    /// What follows the header: payloads with their engine, from one worker or several, or the end of an interval.
    pub fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        self.objects[1..].iter().map(|object| {
            let Some(engine) = object.get("engine") else { return Step::Log };
            let engine = engine.text().parse().expect("a number");
            let payloads = match object.get("workers") {
                Some(workers) => workers.list().iter().map(|worker| &self.bytes[worker.bytes.clone()]).collect(),
                None => vec![&self.bytes[object.get("payload").expect("a payload").bytes.clone()]],
            };
            Step::Payloads(engine, payloads)
        })
    }
}

pub enum Step<'a> {
    Payloads(u32, Vec<&'a [u8]>),
    Log,
}

pub fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data")
}

/// The golden cases.
pub fn cases() -> Vec<String> {
    let mut cases = Vec::new();
    for entry in fs::read_dir(data().join("golden")).expect("the golden cases") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "prom") {
            cases.push(path.file_stem().expect("a name").to_string_lossy().into_owned());
        }
    }
    cases.sort();
    assert!(cases.len() >= 26, "{cases:?}");
    cases
}

pub fn golden(case: &str, extension: &str) -> String {
    fs::read_to_string(data().join(format!("golden/{case}.{extension}"))).expect("a golden file")
}

/// Whether a page is the golden one: `# HELP` apart, line for line; sums of doubles, whose last digits depend on the
/// order of adding, to 1e-9.
pub fn compare(case: &str, page: &str) {
    let without_help = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with("# HELP") && !line.is_empty()).map(str::to_owned).collect()
    };
    let (got, want) = (without_help(page), without_help(&golden(case, "prom")));
    assert_eq!(got.len(), want.len(), "{case}: lines");
    for (got, want) in got.iter().zip(&want) {
        if got == want {
            continue;
        }
        let of = |line: &str| {
            let (name, value) = line.rsplit_once(' ').expect("a sample");
            (name.to_owned(), value.parse::<f64>().unwrap_or(f64::NAN))
        };
        let ((got_name, got_value), (want_name, want_value)) = (of(got), of(want));
        assert_eq!(got_name, want_name, "{case}");
        let is_sum = got_name.contains("_sum{") || got_name.contains("_time");
        assert!(is_sum && (got_value - want_value).abs() <= 1e-9 * want_value.abs(), "{case}: {got}, not {want}");
    }
}
