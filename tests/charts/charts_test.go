// SPDX-License-Identifier: Apache-2.0

// Package charts checks deploy/helm/kvtel without a cluster and without the network: Helm's own lint and its own template engine, for
// each file of values in values/, and each object that comes out decoded strictly into the types of Kubernetes and of Prometheus'
// operator, in which an unknown or misspelt field is an error.
package charts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	admission "k8s.io/api/admissionregistration/v1"
	admissionbeta "k8s.io/api/admissionregistration/v1beta1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
)

const folder = "../../deploy/helm/kvtel"

var decoder = newDecoder()

func newDecoder() runtime.Decoder {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{core.AddToScheme, apps.AddToScheme, admission.AddToScheme, admissionbeta.AddToScheme, monitoring.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}

func values(t *testing.T, name string) chartutil.Values {
	t.Helper()
	read, err := chartutil.ReadValuesFile(filepath.Join("values", name))
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// render gives the objects of the chart, by "Kind/name".
func render(t *testing.T, given chartutil.Values) (map[string]runtime.Object, error) {
	t.Helper()
	return renderFor(t, given, cluster(37))
}

// cluster: what Kubernetes 1.MINOR can do, and these kinds besides.
func cluster(minor int, kinds ...string) *chartutil.Capabilities {
	can := *chartutil.DefaultCapabilities
	can.KubeVersion = chartutil.KubeVersion{Version: fmt.Sprintf("v1.%d.0", minor), Major: "1", Minor: strconv.Itoa(minor)}
	can.APIVersions = append(chartutil.VersionSet(kinds), can.APIVersions...)
	return &can
}

// renderFor: for a cluster that can do this.
func renderFor(t *testing.T, given chartutil.Values, capabilities *chartutil.Capabilities) (map[string]runtime.Object, error) {
	t.Helper()
	loaded, err := loader.Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	release := chartutil.ReleaseOptions{Name: "test", Namespace: "inference", Revision: 1, IsInstall: true}
	all, err := chartutil.ToRenderValues(loaded, given, release, capabilities)
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(loaded, all)
	if err != nil {
		return nil, err
	}
	objects := map[string]runtime.Object{}
	for file, text := range files {
		if strings.HasSuffix(file, "NOTES.txt") {
			continue
		}
		if err := decode(objects, text); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", file, err, text)
		}
	}
	return objects, nil
}

func decode(objects map[string]runtime.Object, text string) error {
	documents := utilyaml.NewDocumentDecoder(io.NopCloser(strings.NewReader(text)))
	for {
		buffer := make([]byte, 1<<22)
		n, err := documents.Read(buffer)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		document := bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(buffer[:n]), []byte("---")))
		if len(document) == 0 {
			continue
		}
		object, kind, err := decoder.Decode(document, nil, nil)
		if err != nil {
			return err
		}
		named, ok := object.(interface{ GetName() string })
		if !ok {
			return fmt.Errorf("%s has no name", kind)
		}
		objects[kind.Kind+"/"+named.GetName()] = object
	}
}

func names(objects map[string]runtime.Object) string {
	var all []string
	for name := range objects {
		all = append(all, name)
	}
	sort.Strings(all)
	return strings.Join(all, " ")
}

func podSpec(objects map[string]runtime.Object) *core.PodSpec {
	for _, object := range objects {
		if set, ok := object.(*apps.DaemonSet); ok {
			return &set.Spec.Template.Spec
		}
	}
	return nil
}

func TestEveryFileOfValues(t *testing.T) {
	files, err := os.ReadDir("values")
	if err != nil || len(files) < 4 {
		t.Fatal("no values", err)
	}
	for _, file := range files {
		t.Run(file.Name(), func(t *testing.T) {
			given := values(t, file.Name())
			for _, message := range lint.AllWithKubeVersion(folder, given, "inference", &cluster(37).KubeVersion).Messages {
				if message.Severity > support.InfoSev {
					t.Errorf("lint: %v", message)
				}
			}
			objects, err := render(t, given)
			if err != nil {
				t.Fatal(err)
			}
			t.Log(names(objects))
			restricted(t, objects)
		})
	}
}

// restricted: what Kubernetes' Pod Security Standard "restricted" asks of a container.
func restricted(t *testing.T, objects map[string]runtime.Object) {
	t.Helper()
	spec := podSpec(objects)
	if spec == nil {
		return
	}
	if spec.SecurityContext == nil || spec.SecurityContext.RunAsNonRoot == nil || !*spec.SecurityContext.RunAsNonRoot ||
		spec.SecurityContext.SeccompProfile == nil || spec.SecurityContext.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
		t.Error("the pod's securityContext")
	}
	if spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken {
		t.Error("it has a token of the service account")
	}
	for _, container := range spec.InitContainers { // the one of root, which makes the directory of a node and nothing else
		context := container.SecurityContext
		if container.Name != "directory" || *context.AllowPrivilegeEscalation || !*context.ReadOnlyRootFilesystem ||
			len(context.Capabilities.Drop) != 1 || len(context.Capabilities.Add) != 3 {
			t.Errorf("container %s: its securityContext", container.Name)
		}
	}
	for _, container := range spec.Containers {
		context := container.SecurityContext
		if context == nil || *context.AllowPrivilegeEscalation || !*context.ReadOnlyRootFilesystem || len(context.Capabilities.Drop) != 1 ||
			context.Capabilities.Drop[0] != "ALL" || len(context.Capabilities.Add) != 0 {
			t.Errorf("container %s: its securityContext", container.Name)
		}
		if container.Resources.Limits.Memory().IsZero() || container.Resources.Requests.Cpu().IsZero() {
			t.Errorf("container %s: no resources", container.Name)
		}
	}
}

func TestAnUnknownFieldIsFound(t *testing.T) {
	if err := decode(map[string]runtime.Object{}, "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\ndatum: {}\n"); err == nil {
		t.Error("a misspelt field went through")
	}
}

func TestWhatTheValuesAreFor(t *testing.T) {
	objects, err := render(t, values(t, "whole.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	spec := podSpec(objects)
	arguments := strings.Join(spec.Containers[0].Args, " ")
	for _, said := range []string{"--metrics.prefix=kv_", "--web.config.file=/etc/kvtel/web.yml", "--web.open-probes", "--nixl.telemetry-dir=/run/kvtel-nixl", "--stalled.after=10s"} {
		if !strings.Contains(arguments, said) {
			t.Errorf("no %s in %s", said, arguments)
		}
	}
	if scheme := spec.Containers[0].ReadinessProbe.HTTPGet.Scheme; scheme != core.URISchemeHTTPS {
		t.Error("the probe's scheme is", scheme)
	}
	monitor := objects["PodMonitor/test-kvtel"].(*monitoring.PodMonitor)
	for key, value := range monitor.Spec.Selector.MatchLabels {
		if objects["DaemonSet/test-kvtel"].(*apps.DaemonSet).Spec.Template.Labels[key] != value {
			t.Errorf("the PodMonitor does not select the DaemonSet's pods: %s", key)
		}
	}
	rule := objects["PrometheusRule/test-kvtel"].(*monitoring.PrometheusRule)
	expressions := ""
	for _, group := range rule.Spec.Groups {
		for _, one := range group.Rules {
			expressions += one.Expr.String() + "\n"
			if page := one.Annotations["runbook_url"]; one.Alert != "" && page != "https://wiki.example/"+strings.ToLower(one.Alert)+".html" {
				t.Errorf("the runbook of %s is %s", one.Alert, page)
			}
		}
	}
	boards := 0
	for name, object := range objects {
		if board, ok := object.(*core.ConfigMap); ok && strings.HasPrefix(name, "ConfigMap/test-kvtel-") {
			for file, text := range board.Data {
				if !strings.HasSuffix(file, ".json") || !json.Valid([]byte(text)) || strings.Contains(strings.ReplaceAll(text, "vllm:num_requests_running", ""), "vllm:") {
					t.Errorf("%s: %s is no dashboard of this prefix", name, file)
				}
				boards++
			}
		}
	}
	if boards < 5 {
		t.Errorf("%d dashboards", boards)
	}
	// The engine's own metric keeps its name.
	others := strings.ReplaceAll(expressions, "vllm:num_requests_running", "")
	if !strings.Contains(expressions, "kv_nixl_num_failed_transfers_total") || strings.Contains(others, "vllm:") || others == expressions {
		t.Error("the rules do not have the prefix of the metrics")
	}
}

// The patch of a sidecar is a Deployment's, with the container locked up as the DaemonSet's.
func TestTheSidecarsPatch(t *testing.T) {
	objects, err := render(t, values(t, "patch.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	patch := objects["ConfigMap/test-kvtel-sidecar"].(*core.ConfigMap).Data["patch.yaml"]
	found := map[string]runtime.Object{}
	if err := decode(found, "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: vllm }\n"+patch); err != nil {
		t.Fatalf("%v\n%s", err, patch)
	}
	spec := found["Deployment/vllm"].(*apps.Deployment).Spec.Template.Spec
	mounted := map[string]bool{}
	for _, volume := range spec.Volumes {
		mounted[volume.Name] = true
	}
	for _, mount := range spec.Containers[0].VolumeMounts {
		if !mounted[mount.Name] {
			t.Errorf("no volume %s", mount.Name)
		}
	}
	if labels := found["Deployment/vllm"].(*apps.Deployment).Spec.Template.Labels; len(labels) != 2 {
		t.Error("the labels are", labels)
	} else {
		for key, value := range objects["PodMonitor/test-kvtel"].(*monitoring.PodMonitor).Spec.Selector.MatchLabels {
			if labels[key] != value {
				t.Errorf("the PodMonitor does not select the pods: %s", key)
			}
		}
	}
	context := spec.Containers[0].SecurityContext
	if !*context.RunAsNonRoot || !*context.ReadOnlyRootFilesystem || context.Capabilities.Drop[0] != "ALL" {
		t.Error("the sidecar is not locked up")
	}
}

func TestBadValuesAreRefused(t *testing.T) {
	for text, said := range map[string]string{
		"{}":                                   "image.repository",
		"image: { repository: a }\nmode: both": "mode",
		"image: { repository: a }\nprometheusRules: { enabled: true }":              "prometheusRules",
		"image: { repository: a }\nprometheusRule: { runbookURLPattern: alerts }":   "runbookURLPattern",
		"image: { repository: a }\nweb: { tls: true }":                              "web.configSecret",
		"image: { repository: a }\nrunAsUser: 0":                                    "runAsUser",
		"image: { repository: a }\nstores: { hostPath: run/kvtel }":                 "hostPath",
		"image: { repository: a }\nstores: { sizeLimit: 256MB }":                    "sizeLimit",
		"image: { repository: a }\nresources: { limits: { memory: 256MiB } }":       "memory",
		"image: { repository: a }\nresources: { limit: { memory: 1Gi } }":           "resources",
		"image: { repository: a }\nresources: { limits: { memory: -1 } }":           "memory",
		"image: { repository: a }\nresources: { limits: { cpu: 10m } }":             "resources.requests.cpu (20m)",
		"image: { repository: a }\nresources: { limits: { memory: 32M } }":          "resources.requests.memory (32Mi)",
		"image: { repository: a }\nnixlRings: { enabled: true, path: /run/kvtel/ }": "nixlRings.path",
		"image: { repository: a }\nsidecar: { podLabels: { a: b } }":                "podLabels",
	} {
		given, err := chartutil.ReadValues([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := render(t, given); err == nil || !strings.Contains(err.Error(), said) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
