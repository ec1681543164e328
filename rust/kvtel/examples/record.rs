// SPDX-License-Identifier: Apache-2.0
//! A connector that records its transfers: the store's file is what `kvtel serve` shows.
use kvtel::{Error, Exemplar, Failure, Recorder, Store, Transfer};
use std::time::Instant;

fn copy(to: &mut [u8], from: &[u8]) -> Result<(), ()> {
    to.copy_from_slice(from);
    Ok(())
}

fn main() -> Result<(), Error> {
    let store = Store::options().model_name("llama-70b").connector("NixlConnector").open()?;
    let recorder = Recorder::options().open_transfers(64).exemplars().make(&store, "NixlConnector")?;
    let loads = recorder.first_operation()?;
    let (from, mut to) = (vec![7; 1 << 20], vec![0; 1 << 20]);

    // When it is done: one call.
    let start = Instant::now();
    if copy(&mut to, &from).is_ok() {
        loads.record(&Transfer::new().duration(start.elapsed()).bytes(1 << 20).descriptors(16));
    }

    // With the trace by which it is found again.
    let mut exemplar = Exemplar::new();
    exemplar.add_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")?;
    loads.record_with(&Transfer::new().duration(start.elapsed()).bytes(1 << 20), &exemplar);

    // Shown while it is under way, and counted as lost if the process is killed; one that is dropped has failed.
    let open = loads.begin(1 << 20, "10.0.0.7:5600");
    match copy(&mut to, &from) {
        Ok(()) => open.end(),
        Err(()) => open.fail(Failure::Transfer),
    };

    // Many at once.
    loads.record_transfers(&[Transfer::new().bytes(4096), Transfer::new().bytes(8192)]);

    println!("{}", store.path().map_or("in the heap".into(), |path| path.to_string_lossy()));
    Ok(())
}
