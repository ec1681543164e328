// SPDX-License-Identifier: Apache-2.0

// The OpenTelemetry Collector with what the tests need: the OTLP receiver, and the exporters "debug" and "file". The latter writes each
// request that the Collector took as a line of OTLP's JSON.
package main

import (
	"context"
	"log"
	"os"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/debugexporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"
)

type fileConfig struct {
	Path string `mapstructure:"path"`
}

func newFile(ctx context.Context, settings exporter.Settings, config component.Config) (exporter.Metrics, error) {
	file, err := os.Create(config.(*fileConfig).Path)
	if err != nil {
		return nil, err
	}
	return exporterhelper.NewMetrics(ctx, settings, config, func(_ context.Context, metrics pmetric.Metrics) error {
		line, err := new(pmetric.JSONMarshaler).MarshalMetrics(metrics)
		if err == nil {
			_, err = file.Write(append(line, '\n'))
		}
		return err
	})
}

func factories() (otelcol.Factories, error) {
	file := exporter.NewFactory(component.MustNewType("file"), func() component.Config { return &fileConfig{} },
		exporter.WithMetrics(newFile, component.StabilityLevelDevelopment))
	otlp, debug := otlpreceiver.NewFactory(), debugexporter.NewFactory()
	return otelcol.Factories{
		Receivers: map[component.Type]receiver.Factory{otlp.Type(): otlp},
		Exporters: map[component.Type]exporter.Factory{debug.Type(): debug, file.Type(): file},
		Telemetry: otelconftelemetry.NewFactory(),
	}, nil
}

func main() {
	files := fileprovider.NewFactory()
	resolver := confmap.ResolverSettings{ProviderFactories: []confmap.ProviderFactory{files}, DefaultScheme: "file"}
	command := otelcol.NewCommand(otelcol.CollectorSettings{
		BuildInfo:              component.BuildInfo{Command: "collector", Description: "The OpenTelemetry Collector", Version: "0.165.0"},
		Factories:              factories,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: resolver},
	})
	if err := command.Execute(); err != nil {
		log.Fatal(err)
	}
}
