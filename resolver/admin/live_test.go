package admin_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/admin"
	"pldns/resolver/listen"
	"pldns/resolver/observe"
	"pldns/resolver/resolvertest"
	"pldns/zones"
)

// exchanged is a query that was answered, with an extended error in its reply.
func exchanged(t testing.TB, name string) *listen.Exchange {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), dns.TypeA)
	m.Response = true
	m.Answer = resolvertest.RRs(t, name+". 10 IN CNAME a.privatelink.database.windows.net.\na.privatelink.database.windows.net. 10 IN A 10.0.1.4")
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_EDE{InfoCode: 3, ExtraText: "old"})
	reply, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	client := zones.NewClient(netip.MustParseAddr("10.0.0.7"), netip.MustParseAddrPort("10.0.0.4:53"))
	client.Shown = &zones.Shown{Link: 8, Linked: true}
	return &listen.Exchange{
		Transport: "udp", Began: time.Unix(1_800_000_000, 0), Took: 1500 * time.Microsecond, Reply: reply, Remembered: true,
		Query:  resolver.NewClientQuery(zones.MustName(name), dns.TypeA, client),
		Answer: resolver.Answer{Network: "europe", Source: resolver.FromStale, Group: "azure", Server: "168.63.129.16"},
	}
}

// follower reads a stream of events.
type follower struct {
	t      *testing.T
	body   *bufio.Scanner
	closes func() error
}

// follow opens a stream, which has to be one.
func follow(t *testing.T, url string, headers ...string) *follower {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s: %s", url, response.Status)
	}
	return &follower{t, bufio.NewScanner(response.Body), response.Body.Close}
}

// next is the next event and its data; both are empty at the end of the stream.
func (f *follower) next() (event, data string) {
	f.t.Helper()
	for f.body.Scan() {
		switch name, value, _ := strings.Cut(f.body.Text(), ": "); {
		case name == "event":
			event = value
		case name == "data":
			data = value
		case f.body.Text() == "" && data != "":
			return event, data
		}
	}
	return "", ""
}

// wants reads the next event.
func (f *follower) wants(event string, says ...string) {
	f.t.Helper()
	got, data := f.next()
	for _, say := range says {
		if !strings.Contains(data, say) {
			f.t.Errorf("%q is no part of %s", say, data)
		}
	}
	if got != event {
		f.t.Errorf("event %q with %s, want %q", got, data, event)
	}
}

// With the token somebody sees single queries, though nobody else does; and all that is
// known of each.
func TestStream(t *testing.T) {
	live := observe.NewLive(nil, func() string { return "abc" })
	base := serve(t, admin.Status{}, func(o *admin.Options) { o.Live, o.Instance = live, admin.Instance{Name: "dns-1"} })
	stream := follow(t, base+"/api/live?network=europe&name=mydb*", bearerToken()...)
	stream.wants("begin", `"instance":"dns-1"`)
	live.Exchanged(exchanged(t, "other.database.windows.net"))
	live.Exchanged(exchanged(t, "mydb.database.windows.net"))
	_, data := stream.next()
	var q admin.LiveQuery
	if err := json.Unmarshal([]byte(data), &q); err != nil {
		t.Fatal(err)
	}
	if want := `{"time":"2027-01-15T08:00:00Z","network":"europe","transport":"udp","listener":"10.0.0.4:53","client":"10.0.0.7","link_id":8,` +
		`"name":"mydb.database.windows.net","type":"A","rcode":"NOERROR","source":"stale","remembered":true,"upstream":"azure","server":"168.63.129.16",` +
		`"addresses":["10.0.1.4"],"answer":["a.privatelink.database.windows.net.","10.0.1.4"],"duration_ms":1.5,"ede":[{"code":3,"text":"old"}],"release":"abc"}`; data != want {
		t.Errorf("got  %s\nwant %s", data, want)
	}
	if code, body := get(t, base+"/api/recent"); code != http.StatusOK || strings.TrimSpace(body) != "[]" {
		t.Errorf("others see it, too: %d %s", code, body)
	}
}

// Who may not see queries is told what to do.
func TestStreamIsGuarded(t *testing.T) {
	recent := observe.NewRecent(nil, nil)
	var secret atomic.Value
	secret.Store(token)
	base := serve(t, admin.Status{}, func(o *admin.Options) {
		o.Recent, o.Access = recent, func() admin.Access { return admin.Access{Token: secret.Load().(string)} }
	})
	for _, row := range []struct {
		query   string
		headers []string
		code    int
		says    string
	}{
		{"", nil, http.StatusConflict, "Bearer TOKEN"},
		{"?token=" + token, nil, http.StatusConflict, "the live list is off"},
		{"", []string{"Authorization", "Bearer x"}, http.StatusUnauthorized, "this is not the token"},
		{"", []string{"Cookie", "pldns-0=x"}, http.StatusConflict, "off"},
		{"?client=ten", bearerToken(), http.StatusBadRequest, "client: "},
		{"", append(bearerToken(), "Sec-Fetch-Site", "cross-site"), http.StatusForbidden, "pages of others"},
	} {
		request, err := http.NewRequest(http.MethodGet, base+"/api/live"+row.query, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(row.headers); i += 2 {
			request.Header.Set(row.headers[i], row.headers[i+1])
		}
		if code, body := do(t, request); code != row.code || !strings.Contains(body, row.says) {
			t.Errorf("%s %v: %d %s", row.query, row.headers, code, body)
		}
	}
	// While the list is on everybody may, and no longer.
	recent.Switch(true)
	everybody := follow(t, base+"/api/live")
	everybody.wants("begin", `"until":"`)
	owner := follow(t, base+"/api/live", bearerToken()...)
	owner.wants("begin")
	recent.Switch(false)
	everybody.wants("end", "was switched off")
	if event, _ := everybody.next(); event != "" {
		t.Error("the stream goes on")
	}
	secret.Store("another-token-than-before")
	owner.wants("end", "another token")
	secret.Store("")
	if code, body := get(t, base+"/api/live"); code != http.StatusConflict || !strings.Contains(body, "listen.admin_token_file") {
		t.Errorf("without a token: %d %s", code, body)
	}
}

// Streams are bounded, and those that end give their place back.
func TestStreamsAreBounded(t *testing.T) {
	base := serve(t, admin.Status{})
	var open []*follower
	for range 8 {
		open = append(open, follow(t, base+"/api/live", bearerToken()...))
	}
	full := func() bool {
		request, err := http.NewRequest(http.MethodGet, base+"/api/live", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Retry-After") != ""
	}
	if !full() {
		t.Error("there is room for any number")
	}
	open[0].closes()
	resolvertest.Until(t, "a place is given back", func() bool { return !full() })
}

// A reader that takes nothing is left behind: what it misses is counted, and nobody else
// waits.
func TestSlowReader(t *testing.T) {
	live := observe.NewLive(nil, nil)
	base := serve(t, admin.Status{}, func(o *admin.Options) { o.Live = live })
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /api/live HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", token)
	resolvertest.Until(t, "it reads", func() bool { return live.Wants() != listen.Wants{} })
	other := follow(t, base+"/api/live?name=last.contoso.com", bearerToken()...)
	other.wants("begin")
	e, last := exchanged(t, "mydb.database.windows.net"), exchanged(t, "last.contoso.com")
	began := time.Now()
	for range 100_000 {
		live.Exchanged(e)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("100,000 queries take %s", took)
	}
	live.Exchanged(last)
	other.wants("", "last.contoso.com")
	scanner := bufio.NewScanner(conn)
	for scanner.Scan() {
		if scanner.Text() == "event: lost" {
			return
		}
	}
	t.Error("what was left out is not said")
}

// A stream does not hold up the end of the program.
func TestStreamEndsWithTheProgram(t *testing.T) {
	ended := make(chan string, 1)
	t.Cleanup(func() { // after the server has been stopped
		if data := <-ended; !strings.Contains(data, "the program ends") {
			t.Errorf("at the end it says %q", data)
		}
	})
	base := serve(t, admin.Status{})
	request, err := http.NewRequest(http.MethodGet, base+"/api/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer response.Body.Close()
		last := ""
		for scanner := bufio.NewScanner(response.Body); scanner.Scan(); {
			if scanner.Text() != "" {
				last = scanner.Text()
			}
		}
		ended <- last
	}()
}

// Who has told the token once, in the page, need not tell it again; others have to.
func TestSession(t *testing.T) {
	var secret atomic.Value
	secret.Store(token)
	base := serve(t, admin.Status{Ready: true}, func(o *admin.Options) {
		o.Access = func() admin.Access { return admin.Access{Token: secret.Load().(string)} }
	})
	signIn := func(host string) *http.Cookie {
		request, err := http.NewRequest(http.MethodPost, base+"/-/reload", strings.NewReader("token="+token))
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if len(response.Cookies()) != 1 {
			t.Fatalf("cookies: %v", response.Cookies())
		}
		return response.Cookies()[0]
	}
	host := strings.TrimPrefix(base, "http://")
	kept := signIn(host)
	if !kept.HttpOnly || kept.SameSite != http.SameSiteStrictMode || kept.MaxAge != 12*60*60 || strings.Contains(kept.Value, token) {
		t.Errorf("the cookie is %v", kept)
	}
	if other := signIn("localhost:1"); other.Name == kept.Name {
		t.Error("two servers at one host take each other's cookie")
	}
	cookie := func(value string) []string { return []string{"Cookie", kept.Name + "=" + value} }
	forged := kept.Value[:len(kept.Value)-2] + "AA"
	for _, row := range []struct {
		name, form string
		headers    []string
		code       int
	}{
		{"the cookie", "", cookie(kept.Value), http.StatusOK},
		{"the cookie of a page elsewhere", "", append(cookie(kept.Value), "Sec-Fetch-Site", "same-site"), http.StatusForbidden},
		{"the cookie, and a wrong token", "token=x", cookie(kept.Value), http.StatusUnauthorized},
		{"a forged one", "", cookie(forged), http.StatusUnauthorized},
		{"none", "", cookie(""), http.StatusUnauthorized},
	} {
		if code, body := post(t, base+"/-/reload", row.form, row.headers...); code != row.code {
			t.Errorf("%s: %d %s", row.name, code, body)
		}
	}
	follow(t, base+"/api/live", cookie(kept.Value)...).wants("begin")
	secret.Store("another-token-than-before")
	if code, _ := post(t, base+"/-/reload", "", cookie(kept.Value)...); code != http.StatusUnauthorized {
		t.Errorf("a cookie of the token before: %d", code)
	}
}
