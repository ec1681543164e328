// SPDX-License-Identifier: Apache-2.0

package charts

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/chartutil"
	admissionregistration "k8s.io/api/admissionregistration/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/initializer"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/apiserver/pkg/util/compatibility"
	"k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/discovery"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/openapi"
	"k8s.io/client-go/openapi/openapitest"
	security "k8s.io/pod-security-admission/api"
	podsecurity "k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

// withSchemas: a client that also knows the schemas of Kubernetes' own types.
type withSchemas struct{ *fake.Clientset }
type schemas struct{ discovery.DiscoveryInterfaces }

func (client withSchemas) Discovery() discovery.DiscoveryInterfaces {
	return schemas{client.Clientset.Discovery()}
}

func (schemas) OpenAPIV3() openapi.Client { return openapitest.NewEmbeddedFileClient() }

const patience = 60 * time.Second

// server is what the API server does with a pod: its own plug-in for such policies, with the policy and the binding of the chart.
type server struct{ plugin *mutating.Plugin }

func newServer(t *testing.T, objects map[string]runtime.Object) server {
	t.Helper()
	stored := []runtime.Object{
		&core.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "inference", Labels: map[string]string{"kubernetes.io/metadata.name": "inference"}}},
		&core.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "other", Labels: map[string]string{"kubernetes.io/metadata.name": "other", "team": "inference"}}},
	}
	for _, object := range objects {
		switch one := object.(type) {
		case *admissionregistration.MutatingAdmissionPolicy:
			if *one.Spec.FailurePolicy != admissionregistration.Ignore {
				t.Error("the policy could keep a pod from being made")
			}
			strict, fail := one.DeepCopy(), admissionregistration.Fail // here an error is to be seen
			strict.Spec.FailurePolicy = &fail
			stored = append(stored, strict)
		case *admissionregistration.MutatingAdmissionPolicyBinding:
			stored = append(stored, one)
		}
	}
	if len(stored) != 4 {
		t.Fatal("no policy and binding among", names(objects))
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	client := withSchemas{fake.NewClientset(stored...)}
	factory := informers.NewSharedInformerFactory(client, 0)
	plugin, err := mutating.NewPlugin(nil)
	if err != nil {
		t.Fatal(err)
	}
	initializer.New(client, dynamicfake.NewSimpleDynamicClient(scheme.Scheme), factory, authorizerfactory.NewAlwaysAllowAuthorizer(),
		feature.DefaultFeatureGate, compatibility.DefaultBuildEffectiveVersion(), ctx.Done(), meta.NewDefaultRESTMapper(nil)).Initialize(plugin)
	plugin.SetEnabled(true)
	if err := plugin.ValidateInitialization(); err != nil {
		t.Fatal(err)
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	made := server{plugin}
	err = wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(context.Context) (bool, error) {
		first := readPod(t, "plain.yaml")
		first.Labels["app"] = "vllm"
		first.Namespace = "inference"
		inInference := made.admit(first)
		first.Namespace = "other"
		inOther := made.admit(first)
		return inInference == nil && inOther == nil && len(first.Spec.InitContainers) > 0, nil
	})
	if err != nil {
		t.Fatal("the policy does not work: ", made.admit(readPod(t, "plain.yaml")), err)
	}
	return made
}

// admit changes the pod as it is created.
func (made server) admit(pod *core.Pod) error {
	resource := core.SchemeGroupVersion.WithResource("pods")
	attributes := admission.NewAttributesRecord(pod, nil, core.SchemeGroupVersion.WithKind("Pod"), pod.Namespace, pod.Name, resource, "",
		admission.Create, &metav1.CreateOptions{}, false, nil)
	return made.plugin.Admit(context.Background(), attributes, admission.NewObjectInterfacesFromScheme(scheme.Scheme))
}

func readPod(t *testing.T, file string) *core.Pod {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("pods", file))
	if err != nil {
		t.Fatal(err)
	}
	pod := &core.Pod{}
	if err := yaml.UnmarshalStrict(text, pod); err != nil {
		t.Fatal(file, err)
	}
	pod.TypeMeta = metav1.TypeMeta{} // as of an object that was decoded
	return pod
}

func compare(t *testing.T, found, expected *core.Pod) {
	t.Helper()
	if equality.Semantic.DeepEqual(found, expected) {
		return
	}
	was, _ := yaml.Marshal(found)
	wanted, _ := yaml.Marshal(expected)
	t.Errorf("the pod is\n%s\nand not\n%s", was, wanted)
}

func rendered(t *testing.T, file string) map[string]runtime.Object {
	t.Helper()
	objects, err := render(t, values(t, file))
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func TestPodsGetTheExporter(t *testing.T) {
	made := newServer(t, rendered(t, "sidecar.yaml"))
	for _, name := range []string{"plain", "full"} {
		t.Run(name, func(t *testing.T) {
			pod, expected := readPod(t, name+".yaml"), readPod(t, name+".expected.yaml")
			for _, when := range []string{"once", "again"} { // as of a plug-in that is called again, or of a pod made from a patched one
				if err := made.admit(pod); err != nil {
					t.Fatal(when, err)
				}
				compare(t, pod, expected)
			}
		})
	}
}

// The exporter fits the Pod Security Standard "restricted" in a pod that does without it.
func TestTheInjectedExporterIsRestricted(t *testing.T) {
	checks, err := podsecurity.NewEvaluator(podsecurity.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	pod := readPod(t, "plain.yaml")
	if err := yaml.Unmarshal([]byte("{allowPrivilegeEscalation: false, runAsNonRoot: true, runAsUser: 1000, "+
		"capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}"), &pod.Spec.Containers[0].SecurityContext); err != nil {
		t.Fatal(err)
	}
	if err := newServer(t, rendered(t, "sidecar.yaml")).admit(pod); err != nil || len(pod.Spec.InitContainers) != 1 {
		t.Fatal("no exporter", err)
	}
	level := security.LevelVersion{Level: security.LevelRestricted, Version: security.LatestVersion()}
	if result := podsecurity.AggregateCheckResults(checks.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec)); !result.Allowed {
		t.Error(result.ForbiddenDetail())
	}
}

func TestPodsThatStayAsTheyAre(t *testing.T) {
	own, selected := newServer(t, rendered(t, "sidecar.yaml")), newServer(t, rendered(t, "sidecar-selected.yaml"))
	for name, one := range map[string]struct {
		made   server
		change func(*core.Pod)
	}{
		"without the label":           {own, func(pod *core.Pod) { pod.Labels = map[string]string{"app": "vllm"} }},
		"the label says no":           {own, func(pod *core.Pod) { pod.Labels["kvtel-sidecar"] = "none" }},
		"of another release":          {own, func(pod *core.Pod) { pod.Labels["kvtel-sidecar-of"] = "other" }},
		"in another namespace":        {own, func(pod *core.Pod) { pod.Namespace = "other" }},
		"in the network of the node":  {own, func(pod *core.Pod) { pod.Spec.HostNetwork = true }},
		"with an exporter of its own": {own, func(pod *core.Pod) { pod.Spec.Containers = append(pod.Spec.Containers, core.Container{Name: "kvtel"}) }},
		"with an injected one":        {own, func(pod *core.Pod) { pod.Spec.InitContainers = []core.Container{{Name: "kvtel"}} }},
		"selected, the label says no": {selected, func(pod *core.Pod) { pod.Labels = map[string]string{"app": "vllm", "kvtel-sidecar": "none"} }},
		"selected, not this app":      {selected, func(pod *core.Pod) { pod.Labels = map[string]string{"app": "web"} }},
		"selected, not this namespace": {selected, func(pod *core.Pod) {
			pod.Labels = map[string]string{"app": "vllm"}
			pod.Namespace = "inference"
		}},
		"selected, nothing that records": {selected, func(pod *core.Pod) {
			pod.Labels = map[string]string{"app": "vllm"}
			pod.Spec.Containers[0].Name = "router"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			pod := readPod(t, "plain.yaml")
			if strings.HasPrefix(name, "selected") {
				pod.Namespace = "other"
			}
			one.change(pod)
			before := pod.DeepCopy()
			if err := one.made.admit(pod); err != nil {
				t.Fatal(err)
			}
			compare(t, pod, before)
		})
	}
}

// Pods of other namespaces by a label of theirs, and one container of two.
func TestSelectedPodsAndContainers(t *testing.T) {
	objects := rendered(t, "sidecar-selected.yaml")
	made := newServer(t, objects)
	pod := readPod(t, "full.yaml")
	pod.Namespace = "other"
	pod.Labels = map[string]string{"app": "vllm"}
	pod.Spec.SecurityContext = nil
	pod.Spec.Containers[0].SecurityContext = nil
	pod.Spec.Containers[1].SecurityContext = &core.SecurityContext{RunAsUser: new(int64)}
	*pod.Spec.Containers[1].SecurityContext.RunAsUser = 4000 // of a container that does not record
	router := pod.Spec.Containers[1].DeepCopy()
	if err := made.admit(pod); err != nil {
		t.Fatal(err)
	}
	if !equality.Semantic.DeepEqual(&pod.Spec.Containers[1], router) {
		t.Error("the container that does not record was changed")
	}
	if len(pod.Spec.InitContainers) != 2 || *pod.Spec.InitContainers[1].SecurityContext.RunAsUser != 1000 {
		t.Error("the exporter, or its user")
	}
	monitor := objects["PodMonitor/test-kvtel"].(*monitoring.PodMonitor)
	selected := monitor.Spec.Selector.MatchLabels
	for key, value := range selected {
		if pod.Labels[key] != value {
			t.Errorf("the PodMonitor does not select the pod: %s", key)
		}
	}
	if selected["kvtel-sidecar"] != "test-kvtel" || selected["kvtel-sidecar-of"] != "inference" {
		t.Error("the PodMonitor selects pods of other releases: ", selected)
	}
	if port := monitor.Spec.PodMetricsEndpoints[0].Port; port == nil || *port != pod.Spec.InitContainers[1].Ports[0].Name || !monitor.Spec.NamespaceSelector.Any {
		t.Error("the PodMonitor's port or namespaces")
	}
}

// Where the namespaces are selected by their names alone, Prometheus looks at no others.
func TestTheNamespacesOfThePodMonitor(t *testing.T) {
	for selector, expected := range map[string]monitoring.NamespaceSelector{
		"{}": {},
		"{ matchLabels: { kubernetes.io/metadata.name: a } }":                                                   {MatchNames: []string{"a"}},
		"{ matchExpressions: [{ key: kubernetes.io/metadata.name, operator: In, values: [a, b] }] }":            {MatchNames: []string{"a", "b"}},
		"{ matchExpressions: [{ key: kubernetes.io/metadata.name, operator: NotIn, values: [a] }] }":            {Any: true},
		"{ matchExpressions: [{ key: kubernetes.io/metadata.name, operator: Exists }] }":                        {Any: true},
		"{ matchExpressions: [{ key: team, operator: In, values: [a] }] }":                                      {Any: true},
		"{ matchLabels: { kubernetes.io/metadata.name: a, team: b } }":                                          {Any: true},
		"{ matchLabels: { team: b } }":                                                                          {Any: true},
		"{ matchLabels: { kubernetes.io/metadata.name: a }, matchExpressions: [{ key: b, operator: Exists }] }": {Any: true},
	} {
		given, err := chartutil.ReadValues([]byte("mode: sidecar\nimage: { repository: a }\npodMonitor: { enabled: true }\nsidecar: { namespaceSelector: " + selector + " }\n"))
		if err != nil {
			t.Fatal(err)
		}
		objects, err := render(t, given)
		if err != nil {
			t.Fatal(selector, err)
		}
		if found := objects["PodMonitor/test-kvtel"].(*monitoring.PodMonitor).Spec.NamespaceSelector; !equality.Semantic.DeepEqual(found, expected) {
			t.Errorf("%s: %v", selector, found)
		}
	}
}

// An API server takes a new policy if the version before it, to which one may have to go back, can read its expressions, too.
func TestOlderServersReadTheExpressions(t *testing.T) {
	for _, before := range []*version.Version{version.MajorMinor(1, 33), version.MajorMinor(1, 36)} {
		for _, file := range []string{"sidecar.yaml", "sidecar-selected.yaml"} {
			policy := rendered(t, file)["MutatingAdmissionPolicy/test-kvtel.inference"].(*admissionregistration.MutatingAdmissionPolicy)
			if err := compile(policy, before); err != nil {
				t.Errorf("%s, %s: %v", before, file, err)
			}
		}
	}
}

func compile(policy *admissionregistration.MutatingAdmissionPolicy, before *version.Version) error {
	compiler, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(before))
	if err != nil {
		return err
	}
	options := cel.OptionalVariableDeclarations{HasAuthorizer: true}
	for _, condition := range policy.Spec.MatchConditions {
		result := compiler.CompileCELExpression((*matchconditions.MatchCondition)(&condition), options, environment.NewExpressions)
		if result.Error != nil {
			return result.Error
		}
	}
	for _, variable := range policy.Spec.Variables {
		result := compiler.CompileAndStoreVariable(&validating.Variable{Name: variable.Name, Expression: variable.Expression}, options, environment.NewExpressions)
		if result.Error != nil {
			return result.Error
		}
	}
	options.HasPatchTypes = true
	for _, mutation := range policy.Spec.Mutations {
		condition := &patch.JSONPatchCondition{Expression: mutation.JSONPatch.Expression}
		for _, err := range compiler.CompileMutatingEvaluator(condition, options, environment.NewExpressions).CompilationErrors() {
			return err
		}
	}
	return nil
}

func TestInjectionNeedsAServerThatCan(t *testing.T) {
	beta := "admissionregistration.k8s.io/v1beta1/MutatingAdmissionPolicy"
	for _, one := range []struct {
		can     *chartutil.Capabilities
		version string // of the policy; "": refused
	}{{cluster(33), ""}, {cluster(34), ""}, {cluster(34, beta), "v1beta1"}, {cluster(36), "v1"}, {cluster(37, beta), "v1"}} {
		objects, err := renderFor(t, values(t, "sidecar.yaml"), one.can)
		switch policy := objects["MutatingAdmissionPolicy/test-kvtel.inference"]; {
		case one.version == "" && (err == nil || !strings.Contains(err.Error(), "sidecar.inject=false")):
			t.Errorf("%s: %v", one.can.KubeVersion.Version, err)
		case one.version != "" && (err != nil || policy.GetObjectKind().GroupVersionKind().Version != one.version):
			t.Errorf("%s: %v", one.can.KubeVersion.Version, err)
		}
	}
}
