package admin_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/admin"
	"pldns/zones"
	"pldns/zones/content"
)

// A zone file takes the token, and says what the network sees.
func TestZoneFile(t *testing.T) {
	base := serve(t, admin.Status{Ready: true}, func(o *admin.Options) {
		o.ZoneFile = func(network string, zone zones.Name) (*content.Zone, error) {
			if network != "hub" {
				return nil, fmt.Errorf("there is no network %s", network)
			}
			soa, _ := dns.NewRR(zone.FQDN() + " 60 IN SOA ns.example. hostmaster.example. 7 1 1 1 1")
			ns, _ := dns.NewRR(zone.FQDN() + " 60 IN NS ns.example.")
			return content.New(zone, slices.Values([]dns.RR{soa, ns}))
		}
	})
	for _, row := range []struct {
		query, token string
		code         int
		want         string
	}{
		{"network=hub&zone=corp.example", token, http.StatusOK, "corp.example.\t60\tIN\tNS\tns.example.\n"},
		{"network=hub&zone=corp.example", "", http.StatusUnauthorized, "token"},
		{"network=hub&zone=corp.example", "wrong", http.StatusUnauthorized, "token"},
		{"network=spoke&zone=corp.example", token, http.StatusNotFound, "there is no network spoke"},
		{"network=hub", token, http.StatusBadRequest, "zone=NAME"},
	} {
		request, err := http.NewRequest(http.MethodGet, base+"/api/zonefile?"+row.query, nil)
		if err != nil {
			t.Fatal(err)
		}
		if row.token != "" {
			request.Header.Set("Authorization", "Bearer "+row.token)
		}
		if code, text := do(t, request); code != row.code || !strings.Contains(text, row.want) {
			t.Errorf("%s: %d, %s", row.query, code, text)
		}
	}
}
