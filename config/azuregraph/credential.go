package azuregraph

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"pldns/config"
	"pldns/zones/azure"
)

// cloudOf are the addresses of a cloud, or those that the operator named instead.
func cloudOf(a config.Azure) cloud.Configuration {
	known := map[azure.Cloud]cloud.Configuration{
		azure.Public: cloud.AzurePublic, azure.USGov: cloud.AzureGovernment, azure.China: cloud.AzureChina,
	}[a.Cloud]
	manager := known.Services[cloud.ResourceManager]
	if a.Endpoint != "" {
		manager.Endpoint = a.Endpoint
	}
	// What is known is shared by the whole process.
	own := cloud.Configuration{
		ActiveDirectoryAuthorityHost: known.ActiveDirectoryAuthorityHost,
		Services:                     map[cloud.ServiceName]cloud.ServiceConfiguration{cloud.ResourceManager: manager},
	}
	if a.Authority != "" {
		own.ActiveDirectoryAuthorityHost = a.Authority + "/"
	}
	return own
}

// newCredential makes the one credential that was configured. The chain that tries all
// gives the metadata service one second, and then takes another identity or none
// (azure-sdk-for-go issues 19389 and 21013).
func newCredential(a config.Azure, options policy.ClientOptions) (azcore.TokenCredential, error) {
	own := a.Authority != ""
	options.PerRetryPolicies, options.PerCallPolicies = nil, nil
	switch a.Identity {
	case config.ManagedIdentity:
		// The metadata service answers 410 for up to 70 s after an update, 429 when many
		// start at a time and 500 before it is ready: its own retries are made for that.
		options.Retry = policy.RetryOptions{}
		managed := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: options}
		if a.ClientID != "" {
			managed.ID = azidentity.ClientID(a.ClientID)
		}
		return azidentity.NewManagedIdentityCredential(managed)
	case config.WorkloadIdentity:
		return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
			ClientOptions: options, ClientID: a.ClientID, TenantID: a.Tenant, DisableInstanceDiscovery: own,
		})
	case config.EnvironmentIdentity:
		environment := &azidentity.EnvironmentCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: own}
		return azidentity.NewEnvironmentCredential(environment)
	case config.CLIIdentity:
		return azidentity.NewAzureCLICredential(&azidentity.AzureCLICredentialOptions{TenantID: a.Tenant})
	}
	return nil, fmt.Errorf("identity %q is none", a.Identity)
}

// storageScope is what a token for Azure Storage is good for, in every cloud.
const storageScope = "https://storage.azure.com/.default"

// StorageToken gives tokens of the identity of a store for Azure Storage, which are kept
// until they expire; nil where the store has no identity. The credential is made, and its
// errors told, when the first token is wanted. It asks over HTTP as told; nil for the
// usual way.
func StorageToken(settings config.Store, over *http.Client) func(context.Context) (string, error) {
	if settings.Identity == "" {
		return nil
	}
	a := config.Azure{Identity: settings.Identity, ClientID: settings.ClientID, Tenant: settings.Tenant, Cloud: azure.Public}
	made := sync.OnceValues(func() (azcore.TokenCredential, error) {
		options := policy.ClientOptions{Cloud: cloudOf(a), Telemetry: policy.TelemetryOptions{ApplicationID: "pldns"}}
		if over != nil {
			options.Transport = over
		}
		return newCredential(a, options)
	})
	return func(ctx context.Context) (string, error) {
		credential, err := made()
		if err != nil {
			return "", err
		}
		token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{storageScope}})
		return token.Token, err
	}
}
