// SPDX-License-Identifier: Apache-2.0
//! A frontend that gets its engines' kv_connector_stats: four calls, whatever the connector is.
use kvtel::{ConnectorMetrics, Error, Format};

fn main() -> Result<(), Error> {
    // As vLLM gets it: --kv-transfer-config, the served model's name, the engines' numbers.
    let config = r#"{"kv_connector": "PegaConnector", "kv_role": "kv_both"}"#;
    let mut metrics = ConnectorMetrics::new(config, "m", &[0])?;

    // {"types": {"vllm:pega_loads": "counter"}, "data": {"vllm:pega_loads": {[]: 2}}}, as an engine sends it.
    let payload = b"\x82\xa5types\x81\xafvllm:pega_loads\xa7counter\xa4data\x81\xafvllm:pega_loads\x81\x90\x02";
    metrics.observe(0, payload)?;
    if let Err(error) = metrics.observe(0, b"\x81\xa5loads\x02") {
        eprintln!("refused: {error}"); // it does not say what it holds, and no table has the connector's name
    }

    if let Some(line) = metrics.log_line()? {
        eprintln!("{line}");
    }
    let mut page = Vec::new();
    metrics.encode(Format::Text, &mut page)?;
    print!("{}", String::from_utf8_lossy(&page));
    Ok(())
}
