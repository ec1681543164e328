// SPDX-License-Identifier: Apache-2.0
//! kvtel-example-server ADDRESS KV-TRANSFER-CONFIG MODEL ENGINE...

use kvtel::ConnectorMetrics;
use std::error::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, config, model_name, engines @ ..] = arguments.as_slice() else {
        return Err("usage: kvtel-example-server ADDRESS KV-TRANSFER-CONFIG MODEL ENGINE...".into());
    };
    let engines = engines.iter().map(|engine| engine.parse()).collect::<Result<Vec<u32>, _>>()?;
    let metrics = ConnectorMetrics::new(config, model_name, &engines)?;
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("http://{}/metrics", listener.local_addr()?);
    Ok(axum::serve(listener, kvtel_example_server::app(metrics)).await?)
}
