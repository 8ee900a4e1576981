package validate_test

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// serviceMonitor is what is used of the Prometheus operator's kind.
type serviceMonitor struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Selector  metav1.LabelSelector `json:"selector"`
		Endpoints []struct {
			Port     string `json:"port"`
			Path     string `json:"path"`
			Interval string `json:"interval"`
		} `json:"endpoints"`
	} `json:"spec"`
}

// cluster is what the manifests make.
type cluster struct {
	namespace  corev1.Namespace
	config     corev1.ConfigMap
	deployment appsv1.Deployment
	services   map[string]corev1.Service
	disruption policyv1.PodDisruptionBudget
	policy     networkingv1.NetworkPolicy
	monitor    serviceMonitor
}

// render applies kustomize, and reads each object into the type of its kind: a
// field that the kind does not have is an error.
func render(t *testing.T) cluster {
	t.Helper()
	objects, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), "../kubernetes")
	if err != nil {
		t.Fatal(err)
	}
	c := cluster{services: make(map[string]corev1.Service)}
	var service corev1.Service
	kinds := map[string]any{
		"Namespace": &c.namespace, "ConfigMap": &c.config, "Deployment": &c.deployment, "Service": &service,
		"PodDisruptionBudget": &c.disruption, "NetworkPolicy": &c.policy, "ServiceMonitor": &c.monitor,
	}
	seen := make(map[string]bool)
	for _, object := range objects.Resources() {
		text, err := object.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		into, known := kinds[object.GetKind()]
		if !known {
			t.Fatalf("no test knows the kind %s", object.GetKind())
		}
		service = corev1.Service{}
		if err := yaml.UnmarshalStrict(text, into); err != nil {
			t.Errorf("%s %s: %v", object.GetKind(), object.GetName(), err)
		}
		if object.GetKind() == "Service" {
			c.services[service.Name] = service
		}
		seen[object.GetKind()] = true
	}
	for kind := range kinds {
		if !seen[kind] {
			t.Errorf("there is no %s", kind)
		}
	}
	return c
}

// What selects pods, selects those of the deployment.
func TestSelectors(t *testing.T) {
	c := render(t)
	pods := labels.Set(c.deployment.Spec.Template.Labels)
	affinity := c.deployment.Spec.Template.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution[0]
	for name, selector := range map[string]*metav1.LabelSelector{
		"deployment": c.deployment.Spec.Selector, "disruption budget": c.disruption.Spec.Selector,
		"network policy": &c.policy.Spec.PodSelector, "anti-affinity": affinity.LabelSelector,
		"spread": c.deployment.Spec.Template.Spec.TopologySpreadConstraints[0].LabelSelector,
	} {
		parsed, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil {
			t.Fatal(err)
		}
		if !parsed.Matches(pods) {
			t.Errorf("the selector %q of the %s does not match the pods: %v", parsed, name, pods)
		}
	}
	for name, service := range c.services {
		if selector := labels.SelectorFromSet(service.Spec.Selector); selector.Empty() || !selector.Matches(pods) {
			t.Errorf("the service %s does not select the pods", name)
		}
	}
	monitored, err := metav1.LabelSelectorAsSelector(&c.monitor.Spec.Selector)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"pldns": false, "pldns-admin": true} {
		if got := monitored.Matches(labels.Set(c.services[name].Labels)); got != want {
			t.Errorf("service %s is monitored: %v, want %v", name, got, want)
		}
	}
}

// Clients reach one address over UDP and TCP, with the address that they have.
func TestServiceKeepsClients(t *testing.T) {
	c := render(t)
	service := c.services["pldns"]
	if service.Spec.Type != corev1.ServiceTypeLoadBalancer || service.Spec.ExternalTrafficPolicy != corev1.ServiceExternalTrafficPolicyLocal {
		t.Errorf("type %s, policy %s: client addresses are not kept", service.Spec.Type, service.Spec.ExternalTrafficPolicy)
	}
	if service.Annotations["service.beta.kubernetes.io/azure-load-balancer-internal"] != "true" {
		t.Error("the load balancer is not internal")
	}
	var protocols []corev1.Protocol
	for _, port := range service.Spec.Ports {
		if port.Port == 53 {
			protocols = append(protocols, port.Protocol)
		}
	}
	slices.Sort(protocols)
	if !slices.Equal(protocols, []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP}) {
		t.Errorf("port 53 is there for %v", protocols)
	}
}

// Every port that is named is one of the container, and the file listens there.
func TestPorts(t *testing.T) {
	c := render(t)
	container := c.deployment.Spec.Template.Spec.Containers[0]
	named := make(map[string]int32)
	for _, port := range container.Ports {
		named[port.Name] = port.ContainerPort
	}
	for _, service := range c.services {
		for _, port := range service.Spec.Ports {
			if named[port.TargetPort.StrVal] == 0 {
				t.Errorf("service %s: the container has no port %q", service.Name, port.TargetPort.StrVal)
			}
		}
	}
	for _, probe := range []*corev1.Probe{container.StartupProbe, container.ReadinessProbe, container.LivenessProbe} {
		if named[probe.HTTPGet.Port.StrVal] != 8053 {
			t.Errorf("a probe asks %q", probe.HTTPGet.Port.StrVal)
		}
	}
	for _, listens := range []string{`dns = [":1053"]`, `admin = ":8053"`} {
		if !strings.Contains(c.config.Data["pldns.toml"], listens) {
			t.Errorf("the configuration has no %s", listens)
		}
	}
}

// A pod has what the restricted standard of Kubernetes asks for, and no more.
func TestPodIsRestricted(t *testing.T) {
	c := render(t)
	pod := c.deployment.Spec.Template.Spec
	security := pod.Containers[0].SecurityContext
	if !*pod.SecurityContext.RunAsNonRoot || *pod.SecurityContext.RunAsUser != 65532 ||
		pod.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("pod: %v", pod.SecurityContext)
	}
	if *security.AllowPrivilegeEscalation || !*security.ReadOnlyRootFilesystem ||
		!slices.Equal(security.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(security.Capabilities.Add) > 0 {
		t.Errorf("container: %v", security)
	}
	if *pod.AutomountServiceAccountToken {
		t.Error("the pod is given a token of the cluster")
	}
	if *c.deployment.Spec.Replicas != 2 || c.disruption.Spec.MinAvailable.IntValue() != 1 {
		t.Errorf("%d pods, of which %d stay", *c.deployment.Spec.Replicas, c.disruption.Spec.MinAvailable.IntValue())
	}
}
