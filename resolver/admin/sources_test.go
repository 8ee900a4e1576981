package admin_test

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pldns/resolver/admin"
)

// learning is a source that has something of everything to say.
func learning() admin.Source {
	now := time.Now()
	return admin.Source{
		Name: "azure.corp", Taken: now.Add(-3*time.Minute - time.Second/2), Tried: now, Every: 60, Calls: 70, Throttled: 2, Serving: 300, Error: "Azure answers 403",
		Subscriptions: []admin.Subscription{
			{ID: "sub-1", Name: "platform", Seen: now, Endpoints: map[string]int{"Approved": 299, "Pending": 1}}, {ID: "sub-2", Name: "lost", Gone: now},
		},
		Pending: []admin.Resource{{ID: "/pe/waiting", Since: now.Add(-25 * time.Hour)}},
		Held:    []admin.Resource{{ID: "/pe/gone", Why: "it is not listed any more", Serves: []string{"db.database.windows.net 10.0.1.4 in hub"}}},
		Leaving: []admin.Resource{{ID: "/pe/leaving", Why: "Disconnected"}},
		Kept:    []admin.Resource{{ID: "/pe/kept", Why: "its subscription is not listed any more"}},
		Left:    []admin.Resource{{ID: "/pe/nameless", Why: "nothing tells its name"}},
		Differences: []admin.Difference{{
			Network: "hub", Name: "kv.vault.azure.net", Served: []netip.Addr{netip.MustParseAddr("10.9.9.9")}, By: "pldns.toml: networks.hub.endpoints",
			Learned: []netip.Addr{netip.MustParseAddr("10.0.1.5")}, From: "azure.corp: /pe/kv",
		}},
		Warnings: []string{"two networks have one prefix"},
	}
}

// The page and the API tell of each source everything that somebody may have to do.
func TestSources(t *testing.T) {
	base := serve(t, admin.Status{Ready: true}, func(o *admin.Options) {
		o.Sources = func() []admin.Source {
			return []admin.Source{{Name: "file", Taken: time.Now(), Serving: 2}, learning()}
		}
	})
	_, page := get(t, base+"/sources")
	for _, want := range []string{
		"azure.corp", "Azure answers 403", "3 minutes ago", "/pe/waiting", "25 hours ago", "/pe/gone", "db.database.windows.net 10.0.1.4 in hub", "/pe/leaving",
		"Disconnected", "/pe/kept", "/pe/nameless", "10.9.9.9", "10.0.1.5", "networks.hub.endpoints", "platform", "Approved: 299", "gone", "two networks have one prefix",
		`action="/-/accept"`, `name="source" value="azure.corp"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	_, list := get(t, base+"/api/sources")
	for _, want := range []string{`"name": "azure.corp"`, `"age": 180`, `"throttled": 2`, `"held": [`, `"Pending": 1`} {
		if !strings.Contains(list, want) {
			t.Errorf("/api/sources does not say %s:\n%s", want, list)
		}
	}
	_, state := get(t, base+"/api/state")
	for _, want := range []string{
		`"level": "degraded"`, "azure.corp is not listed, and what was known goes on: Azure answers 403", "azure.corp holds back 1 removal until somebody accepts",
		"does not list subscription lost any more",
	} {
		if !strings.Contains(state, want) {
			t.Errorf("/api/state does not say %s:\n%s", want, state)
		}
	}
}

// Whoever has the token accepts removals, of a source and of subscriptions by name.
func TestAccept(t *testing.T) {
	var asked []string
	base := serve(t, admin.Status{Ready: true}, func(o *admin.Options) {
		o.Accept = func(source string, subscriptions []string) (int, error) {
			asked = append([]string{source}, subscriptions...)
			if source == "nobody" {
				return 0, errors.New("there is no source \"nobody\"")
			}
			return 21, nil
		}
	})
	post := func(secret string, form url.Values) (int, string) {
		request, err := http.NewRequest(http.MethodPost, base+"/-/accept", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Authorization", "Bearer "+secret)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var body strings.Builder
		if err := response.Write(&body); err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, body.String()
	}
	if code, _ := post("wrong", url.Values{}); code != http.StatusUnauthorized || asked != nil {
		t.Errorf("without the token: %d, asked %v", code, asked)
	}
	form := url.Values{"source": {"corp"}, "subscription": {"sub-1", " ", "sub-2"}}
	if code, body := post(token, form); code != http.StatusOK || !strings.Contains(body, `"accepted": 21`) || !slices.Equal(asked, []string{"corp", "sub-1", "sub-2"}) {
		t.Errorf("%d %s, asked %v", code, body, asked)
	}
	if code, body := post(token, url.Values{"source": {"nobody"}}); code != http.StatusNotFound || !strings.Contains(body, "there is no source") {
		t.Errorf("%d %s", code, body)
	}
}
