package admin_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pldns/resolver/admin"
)

// exchangedZones are zones in every state.
func exchangedZones() admin.Zones {
	now := time.Now()
	return admin.Zones{
		Copies: []admin.Zone{
			{Name: "corp.example", Networks: []string{"hub", "spoke"}, Primaries: []string{"10.20.0.4", "10.20.0.5:5353"}, Key: "transfer.corp", State: admin.ZoneHeld,
				Serial: 2026112701, Records: 1204, Primary: "10.20.0.5:5353", Confirmed: now.Add(-3*time.Minute - time.Second/2), Next: now.Add(time.Hour), Expires: now.Add(200 * time.Hour)},
			{Name: "old.example", Networks: []string{"hub"}, State: admin.ZoneExpired, Serial: 7, Records: 3, Expires: now.Add(-time.Hour), Error: "10.20.0.4: no connection", Since: now.Add(-300 * time.Hour)},
			{Name: "new.example", Networks: []string{"spoke"}, State: admin.ZoneNone, Error: "10.20.0.4: it refuses"},
			{Name: "stale.example", Networks: []string{"spoke"}, State: admin.ZoneHeld, Expires: now.Add(time.Hour), Error: "10.20.0.4: no answer", Unsaved: ""},
			{Name: "disk.example", Networks: []string{"spoke"}, State: admin.ZoneHeld, Unsaved: "no space left on device", Catalog: "catalog.example"},
		},
		Given: []admin.Given{
			{Name: "privatelink.blob.core.windows.net", Network: "hub", To: []netip.Prefix{netip.MustParsePrefix("10.30.0.4/32")}, Key: "site.copy", Made: true,
				Serial: 1_800_000_000, Records: 41, Changed: now, Whole: 2, Changes: 19,
				Told: []admin.Told{{To: netip.MustParseAddrPort("10.30.0.4:53"), Serial: 1_800_000_000}, {To: netip.MustParseAddrPort("10.30.0.5:53"), Error: "it does not answer"}}},
			{Name: "old.example", Network: "hub", Error: "the copy has expired"},
		},
	}
}

// The page, the API and the state tell how each zone is, and which of them clients cannot
// be answered from.
func TestZones(t *testing.T) {
	base := serve(t, admin.Status{Ready: true}, func(o *admin.Options) { o.Zones = exchangedZones })
	_, page := get(t, base+"/zones")
	for _, want := range []string{
		"corp.example", "10.20.0.5:5353", "2026112701", "1,204", "3 minutes ago", "key transfer.corp", `href="/networks/spoke"`, ">expired<", ">no copy yet<", "it refuses",
		">not refreshed<", ">not on disk<", "no space left", "member of <code>catalog.example", "made here", "1800000000", "10.30.0.4/32", "key site.copy", "unsigned", "it does not answer",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	_, list := get(t, base+"/api/zones")
	for _, want := range []string{`"zone": "corp.example"`, `"age": 180`, `"state": "expired"`, `"serial": 2026112701`, `"changes": 19`, `"error": "it does not answer"`} {
		if !strings.Contains(list, want) {
			t.Errorf("/api/zones does not say %s:\n%s", want, list)
		}
	}
	_, state := get(t, base+"/api/state")
	for _, want := range []string{
		`"level": "failing"`, "there is no copy of zone new.example yet, and its names are answered SERVFAIL: 10.20.0.4: it refuses", "zone old.example has expired",
		"zone stale.example is not refreshed", "zone old.example of network hub cannot be taken by others", "disk.example is not on disk", `"page": "/zones"`,
	} {
		if !strings.Contains(state, want) {
			t.Errorf("/api/state does not say %s:\n%s", want, state)
		}
	}
}

// Of many zones a page has the first, and a search finds the others by name and network.
func TestManyZones(t *testing.T) {
	base := serve(t, admin.Status{Ready: true}, func(o *admin.Options) {
		o.Zones = func() (all admin.Zones) {
			for range 300 {
				all.Copies = append(all.Copies, admin.Zone{Name: "one.example", Networks: []string{"hub"}, State: admin.ZoneHeld})
			}
			all.Copies = append(all.Copies, admin.Zone{Name: "last.example", Networks: []string{"Spoke"}, State: admin.ZoneHeld})
			return all
		}
	})
	if _, page := get(t, base+"/zones"); strings.Contains(page, "last.example") || !strings.Contains(page, "Page 1 of 7") {
		t.Errorf("the first page:\n%s", page)
	}
	for _, search := range []string{"LAST", "spoke"} {
		if code, page := get(t, base+"/zones?search="+search); code != http.StatusOK || !strings.Contains(page, "last.example") || strings.Contains(page, "one.example") {
			t.Errorf("the search for %s:\n%s", search, page)
		}
	}
}
