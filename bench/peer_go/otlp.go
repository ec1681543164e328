// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

const pushPeer = "OpenTelemetry Go SDK"

// receive answers pushes by 200 and counts the bytes of their bodies.
func receive(bytes *atomic.Int64) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	go http.Serve(listener, http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		count, _ := io.Copy(io.Discard, request.Body)
		bytes.Store(count)
		answer.Header().Set("Content-Type", "application/x-protobuf")
	}))
	return listener.Addr().String()
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

// instrumentName has the length of the metric's name, in the characters that the SDK takes.
func instrumentName(name string) string {
	return strings.ReplaceAll(name, ":", "_")
}

// record makes the same series as load, with exponential histograms at scale 3.
func record(provider *sdk.MeterProvider) {
	meter, ctx := provider.Meter("peer"), context.Background()
	attributes := func(engine int) metric.MeasurementOption {
		return metric.WithAttributes(attribute.String("model_name", model), attribute.String("engine", strconv.Itoa(engine)))
	}
	for i, family := range histograms {
		histogram, err := meter.Float64Histogram(instrumentName(family.name), metric.WithDescription(help))
		check(err)
		for engine := range engines {
			for transfer := range transfers {
				histogram.Record(ctx, sample(i, engine, transfer), attributes(engine))
			}
		}
	}
	for i, name := range counters {
		counter, err := meter.Float64Counter(instrumentName(name), metric.WithDescription(help))
		check(err)
		for engine := range engines {
			counter.Add(ctx, float64((engine+i)%7), attributes(engine))
		}
	}
}

// measurePush reports the CPU time of a push with gzip, in which the receiver's part is small, and its bytes.
func measurePush() {
	var bytes atomic.Int64
	exporter, err := otlpmetrichttp.New(context.Background(), otlpmetrichttp.WithEndpoint(receive(&bytes)),
		otlpmetrichttp.WithInsecure(), otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression))
	check(err)
	reader := sdk.NewManualReader()
	view := sdk.NewView(sdk.Instrument{Kind: sdk.InstrumentKindHistogram},
		sdk.Stream{Aggregation: sdk.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 3}})
	provider := sdk.NewMeterProvider(sdk.WithReader(reader), sdk.WithView(view), sdk.WithCardinalityLimit(0))
	record(provider)
	var metrics metricdata.ResourceMetrics
	var began float64
	for round := range rounds + 1 {
		if round == 1 { // the first one makes room
			began = cpuSeconds()
		}
		check(reader.Collect(context.Background(), &metrics))
		check(exporter.Export(context.Background(), &metrics))
	}
	const line = `{"name": "push of 67,000 series by OTLP with gzip: %s", "value": %.6f, "unit": "%s", "peer": "%s"}` + "\n"
	fmt.Printf(line, "CPU", (cpuSeconds()-began)/rounds*1e3, "ms", pushPeer)
	fmt.Printf(line, "bytes", float64(bytes.Load())/1e6, "MB", pushPeer)
}
