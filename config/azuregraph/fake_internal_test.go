package azuregraph

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/fake"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resourcegraph/armresourcegraph"
	graphfake "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resourcegraph/armresourcegraph/fake"
)

// resourcesCall is the one call of Resource Graph, as the SDK's own fake server has it.
type resourcesCall = func(context.Context, armresourcegraph.QueryRequest, *armresourcegraph.ClientResourcesOptions) (
	fake.Responder[armresourcegraph.ClientResourcesResponse], fake.ErrorResponder)

// asksFake is a client of the SDK's own fake server, with the SDK's own fake of a
// credential.
func asksFake(t *testing.T, call resourcesCall) *Client {
	t.Helper()
	c := &Client{throttle: &throttle{now: time.Now}}
	options := policy.ClientOptions{
		Transport: graphfake.NewServerTransport(&graphfake.Server{Resources: call}), PerRetryPolicies: []policy.Policy{c.throttle},
	}
	if err := c.authorize(&fake.TokenCredential{}, options); err != nil {
		t.Fatal(err)
	}
	return c
}

// What is asked is what the SDK reads as a query, and what the SDK writes as pages is read
// as such.
func TestSDKFake(t *testing.T) {
	const all, query = 2300, "resources | project id | order by id asc"
	scope := Scope{Subscriptions: []string{"a", "b"}}
	c := asksFake(t, func(_ context.Context, q armresourcegraph.QueryRequest, _ *armresourcegraph.ClientResourcesOptions) (
		answer fake.Responder[armresourcegraph.ClientResourcesResponse], refused fake.ErrorResponder,
	) {
		if *q.Query != query || len(q.Subscriptions) != 2 || *q.Subscriptions[1] != "b" || q.ManagementGroups != nil ||
			*q.Options.ResultFormat != armresourcegraph.ResultFormatObjectArray {
			t.Errorf("asked is %+v", q)
		}
		from := 0
		if q.Options.SkipToken != nil {
			fmt.Sscanf(*q.Options.SkipToken, "from %d", &from)
		}
		end := min(from+int(*q.Options.Top), all)
		var rows []any
		for i := from; i < end; i++ {
			rows = append(rows, map[string]any{"id": fmt.Sprintf("/row/%04d", i)})
		}
		page := armresourcegraph.QueryResponse{
			Data: rows, Count: pointer(int64(len(rows))), TotalRecords: pointer(int64(all)), Facets: []armresourcegraph.FacetClassification{},
			ResultTruncated: pointer(armresourcegraph.ResultTruncatedFalse), // as it says where more follows
		}
		if end < all {
			page.SkipToken = pointer(fmt.Sprint("from ", end))
		}
		answer.SetResponse(http.StatusOK, armresourcegraph.ClientResourcesResponse{QueryResponse: page}, nil)
		return answer, refused
	})
	var ids []string
	err := c.List(t.Context(), query, scope, func() { ids = nil }, func(row map[string]any) error {
		ids = append(ids, row["id"].(string))
		return nil
	})
	if err != nil || len(ids) != all || !slices.IsSorted(ids) {
		t.Errorf("%d rows, %v", len(ids), err)
	}
	if calls, _ := c.Calls(); calls != 3 {
		t.Errorf("%d calls for three pages", calls)
	}
}

// An error as the SDK makes it is told in words.
func TestSDKFakeRefuses(t *testing.T) {
	c := asksFake(t, func(context.Context, armresourcegraph.QueryRequest, *armresourcegraph.ClientResourcesOptions) (
		answer fake.Responder[armresourcegraph.ClientResourcesResponse], refused fake.ErrorResponder,
	) {
		refused.SetResponseError(http.StatusForbidden, "AuthorizationFailed")
		return answer, refused
	})
	err := c.List(t.Context(), "resources", Scope{Groups: []string{"corp"}}, func() {}, func(map[string]any) error { return nil })
	const want = "Azure answers 403 AuthorizationFailed: give the identity the role Reader on the scopes"
	if err == nil || err.Error() != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
}
