# SPDX-License-Identifier: Apache-2.0
"""A slow, plain model of vLLM's four KV connector metric classes, to check kvtel against.

payloads:    decoding, adding up, encoding
connectors:  one class per connector: when it is empty, what its log line says
prom:        the Prometheus families of every connector, through prometheus_client
recording:   a recording in, log lines, aggregated payloads and exposition out
generate:    random recordings, good and spoiled
compare:     what counts as equal
"""
