// SPDX-License-Identifier: Apache-2.0

// Reads a PodMonitor, as YAML, into the Prometheus operator's own type. A field that the type lacks, or of another type, is an error.
package main

import (
	"fmt"
	"io"
	"os"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err == nil {
		err = yaml.UnmarshalStrict(text, new(monitoring.PodMonitor))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
