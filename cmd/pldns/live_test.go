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
	request, err := http.NewRequest(http.MethodGet, "http://"+r.admin+"/api/live?network=europe&outcome=answered", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+adminToken)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() && lines.Text() != "event: begin" {
		t.Log(lines.Text())
	}
	for range 3 {
		r.ask("udp", australia, "momenta-eun.database.windows.net", dns.TypeA)
		r.ask("udp", europe, "momenta-eun.database.windows.net", dns.TypeA)
		r.ask("tcp", europe, "momenta-eun.database.windows.net", dns.TypeTXT) // there is none
	}
	for number := 0; number < 3 && lines.Scan(); {
		data, is := strings.CutPrefix(lines.Text(), `data: {"time"`)
		if !is {
			continue
		}
		var q admin.LiveQuery
		if err := json.Unmarshal([]byte(`{"time"`+data), &q); err != nil {
			t.Fatal(err)
		}
		if q.Network != "europe" || q.Client != europe || q.Transport != "udp" || q.Name != "momenta-eun.database.windows.net" || q.Type != "A" ||
			q.Rcode != "NOERROR" || q.Source != "local" || q.Listener == "" || len(q.Addresses) != 1 || q.Remembered != (number > 0) {
			t.Errorf("number %d: %+v", number, q)
		}
		number++
	}
	if list := r.recent(); len(list) != 0 {
		t.Errorf("everybody sees %v", list)
	}
}
