package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/admin"
)

// Who knows the token follows single queries, also those that are answered from memory,
// while the list that everybody may see is off.
func TestFollowQueries(t *testing.T) {
	r := start(t, regions(""))
	lines := r.follow(t, "network=europe&outcome=answered")
	for range 3 {
		r.ask("udp", australia, "momenta-eun.database.windows.net", dns.TypeA)
		r.ask("udp", europe, "momenta-eun.database.windows.net", dns.TypeA)
		r.ask("tcp", europe, "momenta-eun.database.windows.net", dns.TypeTXT) // there is none
	}
	for number := range 3 {
		q := nextQuery(t, lines)
		if q.Network != "europe" || q.Client != europe || q.Transport != "udp" || q.Name != "momenta-eun.database.windows.net" || q.Type != "A" ||
			q.Rcode != "NOERROR" || q.Source != "local" || q.Listener == "" || len(q.Addresses) != 1 || q.Remembered != (number > 0) {
			t.Errorf("number %d: %+v", number, q)
		}
	}
	if list := r.recent(); len(list) != 0 {
		t.Errorf("everybody sees %v", list)
	}
}

// What a policy has said of an answer is told where that is given from memory, too.
func TestFollowPolicy(t *testing.T) {
	r := start(t, strings.Replace(regions(""), "[networks.europe]", "[networks.europe]\npolicy = [\"browser-doh\"]", 1))
	lines := r.follow(t, "network=europe")
	for range 3 {
		r.ask("udp", europe, "use-application-dns.net", dns.TypeA)
	}
	for number := range 3 {
		q := nextQuery(t, lines)
		if q.Policy != "browser-doh" || q.PolicyEntry != "use-application-dns.net" || q.PolicyAction != "nxdomain" || q.Remembered != (number > 0) {
			t.Errorf("number %d: %+v", number, q)
		}
	}
}

// follow opens a stream of single queries.
func (r *running) follow(t *testing.T, parameters string) *bufio.Scanner {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, "http://"+r.admin+"/api/live?"+parameters, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+adminToken)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() && lines.Text() != "event: begin" {
		t.Log(lines.Text())
	}
	return lines
}

// nextQuery is the next query of a stream.
func nextQuery(t *testing.T, lines *bufio.Scanner) (q admin.LiveQuery) {
	t.Helper()
	for lines.Scan() {
		if data, is := strings.CutPrefix(lines.Text(), `data: {"time"`); is {
			if err := json.Unmarshal([]byte(`{"time"`+data), &q); err != nil {
				t.Fatal(err)
			}
			return q
		}
	}
	t.Fatal("the stream has ended", lines.Err())
	return q
}
