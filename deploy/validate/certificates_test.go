package validate_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// issuer, certificate and secretClass are what is used of the kinds of cert-manager and of
// the driver for secrets.
type issuer struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		ACME struct {
			Server, Email       string
			PrivateKeySecretRef corev1.LocalObjectReference `json:"privateKeySecretRef"`
			Solvers             []struct {
				DNS01 struct {
					AzureDNS struct {
						SubscriptionID, ResourceGroupName, HostedZoneName, Environment string
						ManagedIdentity                                                struct{ ClientID string }
					} `json:"azureDNS"`
				} `json:"dns01"`
			}
		} `json:"acme"`
	} `json:"spec"`
}

type certificate struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		SecretName string
		DNSNames   []string
		PrivateKey struct {
			Algorithm      string
			Size           int
			RotationPolicy string
		}
		IssuerRef struct{ Name string }
	} `json:"spec"`
}

type secretClass struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Provider      string
		Parameters    map[string]string
		SecretObjects []struct {
			SecretName string
			Type       corev1.SecretType
			Data       []struct{ ObjectName, Key string }
		}
	} `json:"spec"`
}

// Both ways to a certificate end in the secret that the page mounts, with the keys that
// pldns reads.
func TestCertificatesInKubernetes(t *testing.T) {
	documents := func(file string, into ...any) {
		text, err := os.ReadFile("../certificates/" + file)
		if err != nil {
			t.Fatal(err)
		}
		parts := bytes.Split(text, []byte("\n---\n"))
		if len(parts) != len(into) {
			t.Fatalf("%s has %d documents", file, len(parts))
		}
		for i, part := range parts {
			if err := yaml.UnmarshalStrict(part, into[i]); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	var from issuer
	var wanted certificate
	var class secretClass
	documents("cert-manager.yaml", &from, &wanted)
	documents("key-vault.yaml", &class)
	if wanted.Spec.IssuerRef.Name != from.Name || wanted.Namespace != from.Namespace || from.Spec.ACME.Solvers[0].DNS01.AzureDNS.HostedZoneName == "" {
		t.Errorf("the certificate %+v is not of the issuer %+v", wanted, from)
	}
	made := class.Spec.SecretObjects[0]
	if made.SecretName != wanted.Spec.SecretName || made.Type != corev1.SecretTypeTLS {
		t.Errorf("the driver makes the secret %s of type %s, cert-manager %s", made.SecretName, made.Type, wanted.Spec.SecretName)
	}
	var keys []string
	for _, data := range made.Data {
		keys = append(keys, data.Key)
		if !strings.Contains(class.Spec.Parameters["objects"], "objectName: "+data.ObjectName+"\n") {
			t.Errorf("%s is not among what is mounted", data.ObjectName)
		}
	}
	if !slices.Equal(keys, []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey}) {
		t.Errorf("the secret has %v", keys)
	}
	page, err := os.ReadFile("../certificates/README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "secretName: "+made.SecretName) {
		t.Errorf("the page does not mount %s", made.SecretName)
	}
}

// The role of who proves names writes TXT records, and nothing else.
func TestRoleForACME(t *testing.T) {
	text, err := os.ReadFile("../certificates/acme-role.json")
	if err != nil {
		t.Fatal(err)
	}
	var role struct {
		Name, Description         string
		Actions, AssignableScopes []string
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&role); err != nil {
		t.Fatal(err)
	}
	for _, action := range role.Actions {
		if !strings.HasPrefix(action, "Microsoft.Network/dnsZones/TXT/") && action != "Microsoft.Network/dnsZones/read" || strings.Contains(action, "*") {
			t.Errorf("the role may do %s", action)
		}
	}
}
