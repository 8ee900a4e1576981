package azuregraph_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"pldns/config"
	"pldns/config/azuregraph"
	"pldns/config/azuregraph/graphtest"
)

const interfaces = `resources | where type =~ 'microsoft.network/networkinterfaces' | project id, peId = properties.privateEndpoint.id | order by id asc`

// settings are those of a source that asks a server of the test, with an identity of
// its own: the SDK keeps the tokens of managed identities for the whole process.
func settings(s *graphtest.Server) config.Azure {
	id := fmt.Sprintf("00000000-0000-0000-0001-%012d", rand.IntN(1e9))
	return config.Azure{Name: "test", Identity: config.ManagedIdentity, ClientID: id, Cloud: "public", Endpoint: s.URL, Authority: s.URL, Deadline: time.Minute}
}

// over is HTTP that trusts a server of the test.
func over(t *testing.T, s *graphtest.Server) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(s.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// asking is a client of a server with so many endpoints in one subscription.
func asking(t *testing.T, endpoints int) (*graphtest.Server, *azuregraph.Client, azuregraph.Scope) {
	t.Helper()
	s := graphtest.New(t)
	s.Environment(t)
	subscription := s.Subscription(1)
	vnet := s.VNet(subscription, "hub", "westeurope", []string{"10.0.0.0/16"}, nil)
	for i := range endpoints {
		s.Add(graphtest.Endpoint{Subscription: subscription, Name: fmt.Sprintf("pe%05d", i), VNet: vnet, Address: "10.0.1.4"})
	}
	c, err := azuregraph.New(settings(s), over(t, s))
	if err != nil {
		t.Fatal(err)
	}
	return s, c, azuregraph.Scope{Subscriptions: []string{subscription}}
}

// all are the rows of a listing of interfaces.
func all(ctx context.Context, c *azuregraph.Client, scope azuregraph.Scope) (rows []map[string]any, err error) {
	err = c.List(ctx, interfaces, scope, func() { rows = nil }, func(row map[string]any) error {
		rows = append(rows, row)
		return nil
	})
	return rows, err
}

// Every row of every page comes, each once.
func TestPages(t *testing.T) {
	_, c, scope := asking(t, 2500)
	rows, err := all(t.Context(), c, scope)
	if err != nil || len(rows) != 2500 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	seen := make(map[any]bool)
	for _, row := range rows {
		seen[row["id"]] = true
	}
	if len(seen) != 2500 {
		t.Errorf("%d different rows", len(seen))
	}
	if calls, throttled := c.Calls(); calls != 3 || throttled != 0 {
		t.Errorf("%d calls, %d throttled", calls, throttled)
	}
}

// A listing that changes between its pages is read anew, and comes whole.
func TestChangedBetweenPages(t *testing.T) {
	s, c, scope := asking(t, 2500)
	first := s.Add(graphtest.Endpoint{Subscription: scope.Subscriptions[0], Name: "aaa", Address: "10.0.1.4"})
	s.Fail(graphtest.After(func() { s.Delete(first) })) // what follows moves up by one, over the end of the page
	rows, err := all(t.Context(), c, scope)
	if err != nil || len(rows) != 2500 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	for range 3 {
		s.Fail(graphtest.After(func() {
			s.Add(graphtest.Endpoint{Subscription: scope.Subscriptions[0], Name: fmt.Sprint("a", len(s.Calls())), Address: "10.0.1.4"})
		}), graphtest.After(func() {}))
	}
	if rows, err := all(t.Context(), c, scope); err == nil {
		t.Errorf("a listing that never stands still gives %d rows", len(rows))
	}
}

// Half a page is no page.
func TestHalfPage(t *testing.T) {
	s, c, scope := asking(t, 100)
	s.Fail(graphtest.Half(), graphtest.Half(), graphtest.Half())
	if rows, err := all(t.Context(), c, scope); err == nil {
		t.Errorf("half a page gives %d rows", len(rows))
	}
	if rows, err := all(t.Context(), c, scope); err != nil || len(rows) != 100 {
		t.Errorf("afterwards %d rows, %v", len(rows), err)
	}
}

// A connection that breaks is tried again.
func TestCutConnection(t *testing.T) {
	s, c, scope := asking(t, 100)
	s.Fail(graphtest.Cut())
	if rows, err := all(t.Context(), c, scope); err != nil || len(rows) != 100 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

// Whoever is throttled waits for as long as either header says.
func TestThrottled(t *testing.T) {
	for _, row := range []struct {
		name    string
		headers []string
	}{
		{"Retry-After", []string{"Retry-After", "1", "x-ms-user-quota-resets-after", ""}},
		{"quota", []string{"x-ms-user-quota-remaining", "0", "x-ms-user-quota-resets-after", "00:00:01"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, c, scope := asking(t, 1)
			s.Fail(graphtest.Status(http.StatusTooManyRequests, row.headers...))
			if rows, err := all(t.Context(), c, scope); err != nil || len(rows) != 1 {
				t.Fatalf("%d rows, %v", len(rows), err)
			}
			var asked []time.Time
			for _, call := range s.Calls() {
				if call.What == "graph" {
					asked = append(asked, call.At)
				}
			}
			if len(asked) != 2 || asked[1].Sub(asked[0]) < time.Second {
				t.Errorf("asked at %v: want twice, a second apart", asked)
			}
			if calls, throttled := c.Calls(); calls != 2 || throttled != 1 {
				t.Errorf("%d calls, %d throttled", calls, throttled)
			}
		})
	}
}

// A quota that is used up holds up the next query, and not the answer that says so.
func TestQuotaUsedUp(t *testing.T) {
	s, c, scope := asking(t, 1)
	s.Fail(graphtest.Fault{Of: "graph", Do: func(w http.ResponseWriter, _ func() []byte) bool {
		w.Header().Set("X-Ms-User-Quota-Remaining", "0")
		w.Header().Set("X-Ms-User-Quota-Resets-After", "00:00:01")
		return false
	}})
	for range 2 {
		if _, err := all(t.Context(), c, scope); err != nil {
			t.Fatal(err)
		}
	}
	calls := s.Calls()
	if last := len(calls) - 1; calls[last].At.Sub(calls[last-1].At) < 900*time.Millisecond {
		t.Errorf("the next query came after %s", calls[last].At.Sub(calls[last-1].At))
	}
}

// A token that ends is followed by another, and one that is refused is an error until
// there is a new one.
func TestTokens(t *testing.T) {
	s, c, scope := asking(t, 1)
	s.TokenLife(time.Second)
	tokens := func() (count int) {
		for _, call := range s.Calls() {
			if call.What == "token" {
				count++
			}
		}
		return count
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for tokens() < 2 {
		if _, err := all(t.Context(), c, scope); err != nil {
			t.Fatal(err)
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("one token for all queries, though it ends after a second")
		}
	}
	s.Fail(graphtest.Status(http.StatusUnauthorized))
	if _, err := all(t.Context(), c, scope); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("a token that is refused: %v", err)
	}
	if _, err := all(t.Context(), c, scope); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// What cannot be done is said in words, with what to do.
func TestErrors(t *testing.T) {
	s, c, scope := asking(t, 1)
	s.Fail(graphtest.Status(http.StatusForbidden))
	if _, err := all(t.Context(), c, scope); err == nil || err.Error() != "Azure answers 403 Fault403: give the identity the role Reader on the scopes" {
		t.Errorf("no role: %v", err)
	}
	s.Fail(graphtest.Fault{Of: "graph", Do: func(w http.ResponseWriter, _ func() []byte) bool {
		w.Header().Set("x-ms-tenant-subscription-limit-hit", "true")
		return false
	}})
	if _, err := all(t.Context(), c, scope); err == nil || !strings.Contains(err.Error(), "10,000") {
		t.Errorf("too many subscriptions: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := all(ctx, c, scope); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Each identity is what was configured, and no other is tried.
func TestIdentities(t *testing.T) {
	s, _, scope := asking(t, 1)
	t.Setenv("AZURE_TENANT_ID", graphtest.Tenant)
	t.Setenv("AZURE_CLIENT_ID", "66666666-7777-8888-9999-000000000000")
	t.Setenv("AZURE_CLIENT_SECRET", "secret")
	token := t.TempDir() + "/token"
	if err := os.WriteFile(token, []byte("a.b.c"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", token)
	for _, identity := range []config.Identity{config.ManagedIdentity, config.WorkloadIdentity, config.EnvironmentIdentity} {
		a := settings(s)
		a.Identity = identity
		c, err := azuregraph.New(a, over(t, s))
		if err != nil {
			t.Errorf("%s: %v", identity, err)
			continue
		}
		if rows, err := all(t.Context(), c, scope); err != nil || len(rows) != 1 {
			t.Errorf("%s: %d rows, %v", identity, len(rows), err)
		}
	}
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", "")
	os.Unsetenv("AZURE_FEDERATED_TOKEN_FILE")
	a := settings(s)
	a.Identity = config.WorkloadIdentity
	if _, err := azuregraph.New(a, over(t, s)); err == nil {
		t.Error("workload without a token file is made")
	}
}
