// SPDX-License-Identifier: Apache-2.0

// Peers in Go: client_golang with native histograms, in Prometheus' protobuf, and the push of OpenTelemetry's SDK. Families, labels and
// values are those of bench_exposition.c.
package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

const (
	engines   = 1000
	transfers = 640
	rounds    = 9
	model     = "meta-llama/Llama-3.1-70B-Instruct"
	help      = "Text about as long as a real help text is, with its unit and window, and what it counts"
)

var histograms = []struct {
	name    string
	buckets []float64
}{
	{"vllm:nixl_xfer_time_seconds", []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 5}},
	{"vllm:nixl_post_time_seconds", []float64{0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 5}},
	{"vllm:nixl_bytes_transferred", []float64{
		2048, 8192, 32768, 131072, 524288, 2097152, 8388608, 33554432, 134217728, 536870912, 2147483648, 8589934592}},
	{"vllm:nixl_num_descriptors", []float64{10, 20, 30, 50, 75, 100, 200, 400, 1000, 2000, 4000, 10000, 20000, 50000}},
}

var counters = []string{
	"vllm:nixl_num_failed_transfers_total", "vllm:nixl_num_failed_notifications_total",
	"vllm:nixl_num_kv_expired_reqs_total", "vllm:nixl_num_notifications_after_expiry_total"}

func sample(histogram, engine, i int) float64 {
	step := float64(1 + (engine*31+i*17)%101)
	switch histogram {
	case 0:
		return 0.0013 * step
	case 1:
		return 0.00011 * step
	case 2:
		return 4096 * step * step
	default:
		return 3 * step
	}
}

func load(registry *prometheus.Registry, native bool) {
	labels := []string{"model_name", "engine"}
	for i, family := range histograms {
		options := prometheus.HistogramOpts{Name: family.name, Help: help, Buckets: family.buckets}
		if native {
			options.NativeHistogramBucketFactor = 1.1 // schema 3
			options.NativeHistogramMaxBucketNumber = 160
		}
		vector := prometheus.NewHistogramVec(options, labels)
		registry.MustRegister(vector)
		for engine := range engines {
			series := vector.WithLabelValues(model, strconv.Itoa(engine))
			for transfer := range transfers {
				series.Observe(sample(i, engine, transfer))
			}
		}
	}
	for i, name := range counters {
		vector := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		registry.MustRegister(vector)
		for engine := range engines {
			vector.WithLabelValues(model, strconv.Itoa(engine)).Add(float64((engine + i) % 7))
		}
	}
}

// measure reports the median time to gather and encode all series, and the bytes.
func measure(timeRow, row string, format expfmt.Format, native bool) {
	registry := prometheus.NewRegistry()
	load(registry, native)
	var page bytes.Buffer
	times := make([]float64, 0, rounds)
	for range rounds {
		page.Reset()
		began := time.Now()
		families, err := registry.Gather()
		encoder := expfmt.NewEncoder(&page, format)
		for _, family := range families {
			if err == nil {
				err = encoder.Encode(family)
			}
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		times = append(times, time.Since(began).Seconds()*1e3)
	}
	slices.Sort(times)
	report(timeRow, times[rounds/2], "ms")
	report("exposition of 67,000 series in "+row+": bytes", float64(page.Len())/1e6, "MB")
}

// report prints a JSON line for run.py.
func report(row string, value float64, unit string) {
	const line = `{"name": "%s", "value": %.6f, "unit": "%s", "peer": "client_golang"}` + "\n"
	fmt.Printf(line, row, value, unit)
}

func main() {
	measure("text exposition of 67,000 series: snapshot and encode", "text", expfmt.NewFormat(expfmt.TypeTextPlain), false)
	row := "protobuf, classic and native"
	measure("exposition of 67,000 series in "+row+": snapshot and encode", row, expfmt.NewFormat(expfmt.TypeProtoDelim), true)
	measurePush()
}
