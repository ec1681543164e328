// SPDX-License-Identifier: Apache-2.0

package charts

import (
	"context"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
	admissionregistration "k8s.io/api/admissionregistration/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	podoptions "k8s.io/kubernetes/pkg/api/pod"
	internalregistration "k8s.io/kubernetes/pkg/apis/admissionregistration"
	_ "k8s.io/kubernetes/pkg/apis/admissionregistration/install" // into legacyscheme
	registrationvalidation "k8s.io/kubernetes/pkg/apis/admissionregistration/validation"
	internalcore "k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/plugin/pkg/admission/serviceaccount"
)

// asKept makes of an object what the API server makes of it before it checks it: with defaults, and in the server's own form.
func asKept[Kept runtime.Object](t *testing.T, given runtime.Object, kept Kept) Kept {
	t.Helper()
	whole := given.DeepCopyObject()
	legacyscheme.Scheme.Default(whole)
	if err := legacyscheme.Scheme.Convert(whole, kept, nil); err != nil {
		t.Fatal(err)
	}
	return kept
}

func checked(t *testing.T, name string, found field.ErrorList) {
	t.Helper()
	for _, err := range found {
		t.Errorf("%s: %v", name, err)
	}
}

func podErrors(t *testing.T, pod *core.Pod) field.ErrorList {
	t.Helper()
	kept := asKept(t, pod, &internalcore.Pod{})
	return corevalidation.ValidatePodCreate(kept, podoptions.GetValidationOptionsFromPodSpecAndMeta(&kept.Spec, nil, &kept.ObjectMeta, nil))
}

// What the API server's own checks say of the policy and the binding, and of the pods that come out.
func TestTheServerTakesThem(t *testing.T) {
	for _, file := range []string{"sidecar.yaml", "sidecar-selected.yaml"} {
		for name, object := range rendered(t, file) {
			switch object := object.(type) {
			case *admissionregistration.MutatingAdmissionPolicy:
				checked(t, name, registrationvalidation.ValidateMutatingAdmissionPolicy(asKept(t, object, &internalregistration.MutatingAdmissionPolicy{})))
			case *admissionregistration.MutatingAdmissionPolicyBinding:
				checked(t, name, registrationvalidation.ValidateMutatingAdmissionPolicyBinding(asKept(t, object, &internalregistration.MutatingAdmissionPolicyBinding{})))
			}
		}
	}
	made := newServer(t, rendered(t, "sidecar.yaml"))
	for _, file := range []string{"plain.yaml", "full.yaml"} {
		pod := readPod(t, file)
		if err := made.admit(pod); err != nil || len(pod.Spec.InitContainers) == 0 {
			t.Fatal(file, "no exporter", err)
		}
		checked(t, file, podErrors(t, pod))
	}
}

// withAccount gives the pod that the API server's plug-in for service accounts makes of one, which is asked again after a policy has
// changed the pod.
func withAccount(t *testing.T, pod *core.Pod) *internalcore.Pod {
	t.Helper()
	client := fake.NewClientset(&core.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: pod.Namespace}})
	plugin := serviceaccount.NewServiceAccount()
	plugin.SetExternalKubeClientSet(client)
	plugin.SetExternalKubeInformerFactory(informers.NewSharedInformerFactory(client, 0)) // it asks the client for what it was not told
	kept := asKept(t, pod, &internalcore.Pod{})
	attributes := admission.NewAttributesRecord(kept, nil, internalcore.SchemeGroupVersion.WithKind("Pod"), pod.Namespace, pod.Name,
		internalcore.Resource("pods").WithVersion("v1"), "", admission.Create, &metav1.CreateOptions{}, false, nil)
	if err := plugin.Admit(context.Background(), attributes, nil); err != nil {
		t.Fatal(err)
	}
	return kept
}

func tokens(container *internalcore.Container) int {
	count := 0
	for _, mount := range container.VolumeMounts {
		if strings.HasPrefix(mount.Name, serviceaccount.ServiceAccountVolumeName) {
			count++
		}
	}
	return count
}

// The token of the engine's service account is for the engine.
func TestTheExporterHasNoToken(t *testing.T) {
	pod := readPod(t, "plain.yaml")
	if err := newServer(t, rendered(t, "sidecar.yaml")).admit(pod); err != nil || len(pod.Spec.InitContainers) != 1 {
		t.Fatal("no exporter", err)
	}
	kept := withAccount(t, pod)
	if tokens(&kept.Spec.InitContainers[0]) != 0 || tokens(&kept.Spec.Containers[0]) != 1 {
		t.Error("the exporter has the token, or the engine has it not:", kept.Spec)
	}
	if errors := corevalidation.ValidatePodCreate(kept, podoptions.GetValidationOptionsFromPodSpecAndMeta(&kept.Spec, nil, &kept.ObjectMeta, nil)); len(errors) != 0 {
		t.Error(errors)
	}
}

// Quantities as numbers, and a request that is the limit in other words.
func TestTheServerTakesQuantities(t *testing.T) {
	given, err := chartutil.ReadValues([]byte("mode: sidecar\nimage: { repository: a }\nstores: { sizeLimit: 268435456 }\n" +
		"resources: { requests: { cpu: 0.1, memory: 268435456 }, limits: { cpu: 100m, memory: 0.25Gi } }\n"))
	if err != nil {
		t.Fatal(err)
	}
	objects, err := render(t, given)
	if err != nil {
		t.Fatal(err)
	}
	pod := readPod(t, "plain.yaml")
	if err := newServer(t, objects).admit(pod); err != nil || len(pod.Spec.InitContainers) != 1 {
		t.Fatal("no exporter", err)
	}
	checked(t, "pod", podErrors(t, pod))
	if limits := pod.Spec.InitContainers[0].Resources; !equality.Semantic.DeepEqual(limits.Requests, limits.Limits) || pod.Spec.Volumes[0].EmptyDir.SizeLimit.Value() != 1<<28 {
		t.Error("the quantities are", limits, pod.Spec.Volumes[0])
	}
}

// `--set resources=null`, which takes the default away.
func TestNoResources(t *testing.T) {
	for _, mode := range []string{"daemonset", "sidecar"} {
		given, err := chartutil.ReadValues([]byte("mode: " + mode + "\nimage: { repository: a }\nresources: null\n"))
		if err != nil {
			t.Fatal(err)
		}
		objects, err := render(t, given)
		if err != nil {
			t.Fatal(mode, err)
		}
		if mode == "sidecar" {
			pod := readPod(t, "plain.yaml")
			if err := newServer(t, objects).admit(pod); err != nil || len(pod.Spec.InitContainers) != 1 {
				t.Fatal("no exporter", err)
			}
			checked(t, "pod", podErrors(t, pod))
		}
	}
}

func TestTheServersChecksFindFaults(t *testing.T) {
	pod := readPod(t, "plain.yaml")
	pod.Spec.Containers[0].VolumeMounts = []core.VolumeMount{{Name: "none", MountPath: "/a"}}
	if len(podErrors(t, pod)) == 0 {
		t.Error("a mount of no volume went through")
	}
	policy := rendered(t, "sidecar.yaml")["MutatingAdmissionPolicy/test-kvtel.inference"].(*admissionregistration.MutatingAdmissionPolicy)
	policy.Spec.Mutations[0].JSONPatch.Expression += " + 1"
	if len(registrationvalidation.ValidateMutatingAdmissionPolicy(asKept(t, policy, &internalregistration.MutatingAdmissionPolicy{}))) == 0 {
		t.Error("an expression of another type went through")
	}
}
