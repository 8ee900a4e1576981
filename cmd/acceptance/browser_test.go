package acceptance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// browser is a tab of a real Chromium, at the page of a running pldns.
type browser struct {
	t    *testing.T
	ctx  context.Context
	base string

	mu     sync.Mutex
	faults []string // what no page may cause
}

// openBrowser starts Chromium. Where there is none the test is skipped, unless
// PLDNS_BROWSER says that it must run.
func openBrowser(t *testing.T, r served) *browser {
	t.Helper()
	if testing.Short() {
		t.Skip("looks at pages in a browser: make test-all and .ci/browser run it")
	}
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv("PLDNS_BROWSER") != "" {
			t.Fatal("there is no Chromium")
		}
		t.Skip("there is no Chromium: .ci/browser installs one")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(2*time.Minute), chromedp.WindowSize(1280, 900))
	allocated, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocated)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx, base: "http://" + r.admin}
	// The first action opens the browser, which ends with the context of the tab.
	if err := errors.Join(chromedp.Do(ctx), chromedp.Listen(ctx, b.observe)); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	b.do(command(network.Enable, network.EnableParams{}), command(cdplog.Enable, cdp.Empty{}))
	return b
}

// command is a command of the protocol as an action.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, c, params)
		return err
	})
}

// observe notes what no page may cause, whatever it shows: a dialog, something
// that the policy had to stop, something asked of another server.
func (b *browser) observe(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *page.EventJavascriptDialogOpening:
		b.faults = append(b.faults, "a script ran and says "+e.Message)
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, b.base) {
			b.faults = append(b.faults, "the page asks for "+e.Request.URL)
		}
	case *cdplog.EventEntryAdded:
		if text := e.Entry.Text; strings.Contains(text, "Content Security Policy") {
			b.faults = append(b.faults, text)
		}
	}
}

// blameless fails the test if any page caused what none may.
func (b *browser) blameless() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, fault := range b.faults {
		b.t.Error(fault)
	}
	b.faults = nil
}

// do does some actions, within a generous time.
func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	value(b, chromedp.Steps(steps...))
}

// value is what an action gives, within a generous time.
func value[T any](b *browser, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 2*time.Minute)
	defer cancel()
	got, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

// leads does something that leads to another page, and gives the text of that.
func (b *browser) leads(step chromedp.Action[chromedp.Void]) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 2*time.Minute)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, step); err != nil {
		b.t.Fatal(err)
	}
	return b.text()
}

// visit opens a page and gives its text.
func (b *browser) visit(path string) string {
	b.t.Helper()
	b.do(chromedp.Navigate(b.base + path))
	return b.text()
}

// text is what the page shows.
func (b *browser) text() string {
	b.t.Helper()
	b.do(chromedp.WaitReady(chromedp.CSS("main")))
	return value(b, chromedp.Evaluate[string]("document.querySelector('main').innerText"))
}

// submit sends a form by the key Enter in one of its fields, and gives the text of
// the page that comes.
func (b *browser) submit(field, text string) string {
	b.t.Helper()
	b.write(field, "")
	return b.leads(chromedp.SendKeys(chromedp.CSS(field), text+"\r"))
}

// write puts a text into a field, in the place of what is there.
func (b *browser) write(field, text string) {
	b.t.Helper()
	value(b, chromedp.Evaluate[string](fmt.Sprintf("document.querySelector(%q).value = %q", field, text)))
}

// follow clicks on a link and gives the text of the page that comes.
func (b *browser) follow(selector string) string {
	b.t.Helper()
	return b.leads(chromedp.Click(chromedp.CSS(selector)))
}

// number evaluates an expression that is a number or a truth.
func (b *browser) number(expression string) float64 {
	b.t.Helper()
	return value(b, chromedp.Evaluate[float64]("Number("+expression+")"))
}

// shoot takes a picture, if PLDNS_SCREENSHOTS names a directory for it.
func (b *browser) shoot(name string) {
	b.t.Helper()
	dir := os.Getenv("PLDNS_SCREENSHOTS")
	if dir == "" {
		return
	}
	picture := value(b, chromedp.FullScreenshot(80))
	if err := os.WriteFile(filepath.Join(dir, name+".jpg"), picture, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// shape shows the page on a bright screen, a dark one, or one of 390 pixels.
func (b *browser) shape(name string) {
	b.t.Helper()
	var media emulation.SetEmulatedMediaParams
	if name == "dark" {
		media.Features = []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}
	}
	b.do(command(emulation.SetEmulatedMedia, media))
	if name == "narrow" {
		b.do(chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile))
	} else {
		b.do(chromedp.EmulateViewport(1280, 900))
	}
}

func wants(t *testing.T, text string, all ...string) {
	t.Helper()
	for _, want := range all {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q:\n%s", want, text)
		}
	}
}

// hostile is a name that is a script, twice, to whoever writes it into a page as it
// is. It needs no character that presentation format escapes but the quote.
const hostile = "\"><script>alert`1`</script><svg/onload=alert`2`>.internal.contoso.com."

// browsed serves a house with 10,000 endpoints, one of them at an address that
// does not answer, and upstreams, behind listeners of every kind.
func browsed(t *testing.T) served {
	alive, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { alive.Close() })
	upstream := resolvertest.StartUpstream(t, resolvertest.AzureData)
	port := func(address string) string { _, port, _ := net.SplitHostPort(address); return port }
	var crowd strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&crowd, "\"server-%05d.database.windows.net\" = \"10.8.%d.%d\"\n", i, i/250, i%250+1)
	}
	house, err := os.ReadFile(filepath.Join("testdata", "house.toml"))
	if err != nil {
		t.Fatal(err)
	}
	r := serve(t, strings.NewReplacer(
		"UPSTREAM", upstream.Addr.String(), "CLOSED", resolvertest.ClosedAddr(t).String(), "CROWD", crowd.String(),
		"ALIVE", port(alive.Addr().String()), "DEAD", port(resolvertest.ClosedAddr(t).String()),
	).Replace(string(house)), "dns.contoso.net", "fabrikam.dns.contoso.net")
	resolvertest.Until(t, "an endpoint is unhealthy", func() bool { return !strings.Contains(r.get("/api/endpoints?health=unhealthy"), `"total": 0`) })
	return r
}

// The page in a real browser: every view, by people who look at it, who search, who
// explain, who know the token and who do not, and with names made to harm them.
func TestPageInABrowser(t *testing.T) {
	r := browsed(t)
	b := openBrowser(t, r)
	for _, step := range []struct {
		name string
		look func(*testing.T, *browser, served)
	}{
		{"views", lookAtViews}, {"search", lookForEndpoints}, {"explain", lookAtExplanations},
		{"traffic", lookAtTraffic},
		{"token", lookWithoutToken}, {"live", lookAtHostileNames}, {"keyboard", lookWithoutMouse},
	} {
		t.Run(step.name, func(t *testing.T) {
			b.t = t
			step.look(t, b, r)
			b.blameless()
		})
	}
}

func lookAtViews(t *testing.T, b *browser, r served) {
	r.ask("udp", europe, "fabrikam.blob.core.windows.net", dns.TypeA) // answered from outside
	for path, says := range map[string][]string{
		"/":                             {"Failing: 1 endpoint has no healthy address, since ", "Listeners", "10,00", "probed", "1 unhealthy", "azure", "UDP and TCP", "TLS", "HTTPS", "/dns-query", "fabrikam.dns.contoso.net", "Good until", "Clients are asked"},
		"/traffic":                      {"Response codes", "Time to answer", "Transports", "Last 90 days", "europe", "As a table"},
		"/networks/crowd":               {"10,000", "Names asked for most", "Clients that ask most", "Unmapped names"},
		"/networks/nobody":              {"No such network"},
		"/networks":                     {"crowd", "10,000", "all 5 prefixes", "nxdomain", "link id 536871234", "certificate gw.fabrikam.com", "path /dns-query/fabrikam", "server name fabrikam.dns.contoso.net"},
		"/endpoints?network=probed":     {"well.blob.core.windows.net", "well.privatelink.blob.core.windows.net", "healthy", "unhealthy", "first-healthy"},
		"/endpoints?health=unhealthy":   {"1 to 1 of 1", "ill.blob.core.windows.net", "10.0.9.9", "tls:", "connection refused"},
		"/upstreams":                    {"azure", "127.0.0.1", "udp"},
		"/unmapped":                     {"fabrikam.blob.core.windows.net", "europe", "203.0.113.5"},
		"/unmapped?show=never-asked":    {"server-00000.database.windows.net", "1 to 50 of 10,0"},
		"/shadow":                       {"No answers are compared"},
		"/explain":                      {"Decided now", "Explain"},
		"/live":                         {"Switch on for ten minutes", "forgets them"},
		"/operate":                      {"Reload the configuration", "Flush"},
		"/networks?search=no-such-name": {"Nothing found", "There is no such network"},
	} {
		wants(t, b.visit(path), says...)
		if b.number("document.scripts.length") != 1 || b.number("document.querySelectorAll('h1').length") != 1 {
			t.Errorf("%s: there are other scripts than that of the page, or not one heading", path)
		}
		if b.number("document.querySelector('nav [aria-current=page]') !== null") != 1 {
			t.Errorf("%s: the menu does not say where one is", path)
		}
		if b.number("/, up \\d+ /.test(document.querySelector('header .instance').innerText)") != 1 {
			t.Errorf("%s: the head does not say since when this is up", path)
		}
	}
}

func lookForEndpoints(t *testing.T, b *browser, _ served) {
	wants(t, b.visit("/endpoints?network=crowd"), "1 to 50 of 10,000", "Page 1 of 200", "server-00049")
	wants(t, b.follow("nav.pager a[rel=next]"), "51 to 100 of 10,000", "server-00050")
	wants(t, b.submit("#search", "server-09999"), "1 to 1 of 1", "10.8.39.250")
	wants(t, b.submit("#search", "10.8.2.0/24"), "1 to 50 of 250", "server-00500")
	wants(t, b.submit("#search", "10.8.0.7"), "1 to 1 of 1", "server-00006")
	wants(t, b.submit("#search", "<b>nobody</b>"), "Nothing found", "No endpoint matches")
	wants(t, b.visit("/endpoints?network=crowd&page=100000"), "9,951 to 10,000 of 10,000", "Page 200 of 200")
	wants(t, b.visit("/endpoints?page=x"), "whole numbers from 1")
}

func lookAtExplanations(t *testing.T, b *browser, _ served) {
	b.visit("/")
	b.write("#explain-client", europe)
	text := b.submit("#explain-name", "db.internal.contoso.com")
	wants(t, text, "Client 127.0.1.1 of network europe gets NOERROR", "Hop by hop", "client 127.0.1.1 is in 127.0.1.0/24",
		"momenta-eun.privatelink.database.windows.net", "10.0.1.4")
	if links := b.number("document.querySelectorAll('.chain li').length"); links != 4 {
		t.Errorf("the chain has %v links, not 4", links)
	}
	b.shoot("explain-light")
	wants(t, b.visit("/explain?name=www.contoso.com&type=A&client="+europe), "upstream", "azure", "203.0.113.80")
	wants(t, b.visit("/explain?name=momenta-eun.database.windows.net&type=HTTPS&client="+europe), "no record of this type (NODATA)")
	wants(t, b.visit("/explain?name=www.contoso.com&client="+unlisted), "of no network gets REFUSED", "no network lists client")
	wants(t, b.visit("/explain?name=a..b&client=ten"), "is no domain name", `"ten" is no IP address`)
	b.visit("/explain")
	if b.number("document.querySelector('details.more').open") != 0 {
		t.Error("the fields that few need are open before anybody wants them")
	}
	b.do(chromedp.Click(chromedp.CSS("details.more summary")))
	b.write("#explain-name", "mydb.database.windows.net")
	b.write("#explain-client", europe)
	wants(t, b.submit("#explain-link-id", "536871234"), "of network fabrikam gets NOERROR", "behind link id 536871234", "It shows: link id 536871234", "10.0.7.4")
	if b.number("document.querySelector('details.more').open") != 1 {
		t.Error("the fields that were filled in are hidden")
	}
	b.shoot("explain-shown")
	b.visit("/explain?name=mydb.database.windows.net&client=" + europe + "&server_name=dns.contoso.net")
	wants(t, b.text(), "of network europe")
	wants(t, b.submit("#explain-server-name", "fabrikam.dns.contoso.net"), "of network fabrikam", "behind server name fabrikam.dns.contoso.net")
	b.write("#explain-server-name", "")
	wants(t, b.submit("#explain-path", "fabrikam"), "of network fabrikam", "behind path /dns-query/fabrikam")
	b.write("#explain-path", "")
	wants(t, b.submit("#explain-certificate", "gw.fabrikam.com"), "of network fabrikam", "behind certificate gw.fabrikam.com")
	wants(t, b.submit("#explain-certificate", "gw.stranger.com"), "of no network gets REFUSED")
	wants(t, b.submit("#explain-link-id", "many"), "is no link id")
	wants(t, b.visit("/explain?name=mydb.database.windows.net&network=fabrikam"), "Explain")
	wants(t, b.submit("#explain-type", "A"), "of network fabrikam gets NOERROR")
	wants(t, b.visit("/explain?name=ill.blob.core.windows.net&client=127.0.5.1"), "is not healthy: probe tls:", "connection refused", "no address is healthy")
	b.visit("/endpoints?search=server-00007")
	b.follow("tbody a")
	wants(t, b.submit("#explain-type", "A"), "of network crowd gets NOERROR", "10.8.0.8")
}

// lookAtTraffic shows that what is asked is drawn, in both colours, and is in the table
// behind the chart and in the lists.
func lookAtTraffic(t *testing.T, b *browser, r served) {
	for range 20 {
		r.ask("udp", europe, "momenta-eun.database.windows.net", dns.TypeA)
	}
	resolvertest.Until(t, "what was asked is shown", func() bool {
		return strings.Contains(b.visit("/networks/europe?span=minute"), "momenta-eun.database.windows.net")
	})
	wants(t, b.text(), "Last minute", europe, "Queries a second", "Explain a name")
	if b.number("document.querySelectorAll('.chart svg[role=img][aria-label] polyline').length") < 4 {
		t.Error("not every chart has a line")
	}
	const drawn = "[...document.querySelectorAll('.chart svg')].every(e => e.getBoundingClientRect().width > 250 && e.getBoundingClientRect().height > 80)"
	if b.number(drawn) != 1 {
		t.Error("charts are too small to be seen")
	}
	const shade = "getComputedStyle(document.querySelector('.chart polyline')).stroke.match(/\\d+/)[0]"
	bright := b.number(shade)
	b.do(command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}}))
	if dark := b.number(shade); bright > 100 || dark < 150 {
		t.Errorf("the line has shade %v on a bright page and %v on a dark one", bright, dark)
	}
	b.do(command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{}))
	if b.number("document.querySelectorAll('.chart details[open]').length") != 0 {
		t.Error("the tables are open before anybody wants them")
	}
	b.do(chromedp.Click(chromedp.CSS(".chart summary")))
	if b.number("document.querySelector('.chart tbody').getBoundingClientRect().height") < 100 {
		t.Error("the table behind the chart does not open")
	}
	b.shoot("network-table")
	wants(t, b.follow(".tabs a[href$='span=day']"), "Last day")
	b.visit("/networks?search=europe")
	wants(t, b.follow("tbody th a"), "Names waited for longest")
}

func lookWithoutToken(t *testing.T, b *browser, r served) {
	b.visit("/operate")
	wants(t, b.submit("#reload-token", "open sesame"), "Not done", "this is not the token")
	b.shoot("wrong-token")
	b.visit("/live")
	wants(t, b.submit("#live-token", "open sesame"), "this is not the token")
	b.visit("/operate")
	wants(t, b.submit("#reload-token", adminToken), "Reloaded", "The configuration of now is served")
	r.ask("udp", europe, "www.contoso.com", dns.TypeA)
	b.visit("/operate")
	b.do(chromedp.Click(chromedp.CSS("#flush-subtree")))
	wants(t, b.submit("#flush-name", "contoso.com"), "Flushed", "remembered answer") // the token is known by now
	wants(t, b.visit("/operate"), "served")
}

func lookAtHostileNames(t *testing.T, b *browser, r served) {
	r.ask("udp", europe, "momenta-eun.database.windows.net", dns.TypeA) // remembered before the list is on
	b.visit("/live")
	wants(t, b.follow("form[action='/-/live'] button"), "On until", "No query yet")
	for range 3 {
		r.ask("udp", europe, "momenta-eun.database.windows.net", dns.TypeA)
	}
	r.ask("udp", europe, hostile, dns.TypeA)
	r.ask("udp", europe, "bad.internal.contoso.com", dns.TypeTXT)
	r.ask("udp", europe, `\226\128\174moc\000\027[31m.internal.contoso.com.`, dns.TypeA)
	r.ask("tcp", unlisted, "www.contoso.com", dns.TypeAAAA)
	if got := r.askHTTPS("https://fabrikam.dns.contoso.net/dns-query/fabrikam", "gw.fabrikam.com", "mydb.database.windows.net"); got != "10.0.7.4" {
		t.Errorf("over HTTPS: %s", got)
	}
	text := b.visit("/live")
	wants(t, text, "1 to 8 of 8", "certificate gw.fabrikam.com", "path /dns-query/fabrikam", "server name fabrikam.dns.contoso.net", "><script>alert`1`</script><svg/onload=alert`2`>", `\226\128\174moc\000\027[31m`, "<script>alert(3)</script>", "REFUSED", "10.0.1.4")
	if n := strings.Count(text, "momenta-eun.database.windows.net A"); n != 3 {
		t.Errorf("the list shows %d of 3 equal questions", n)
	}
	if b.number("document.querySelectorAll('main script, main svg, main img').length") != 0 {
		t.Error("a name became a part of the page")
	}
	b.shoot("live-hostile")
	b.submit("#network", "fabrikam")
	wants(t, b.follow("tbody a"), "of network fabrikam gets NOERROR", "behind certificate gw.fabrikam.com")
	b.visit("/live")
	wants(t, b.submit("#name", "<script>"), "1 to 1 of 1")
	b.follow("tbody a")
	wants(t, b.text(), "Hop by hop", "<script>alert`1`</script>")
	b.shoot("explain-hostile")
	wants(t, b.visit("/explain?name=%3Cscript%3Ealert(4)%3C%2Fscript%3E&client=%3Cscript%3E"), "is no IP address")
	b.visit("/live")
	wants(t, b.follow("form[action='/-/live'] button"), "shown to you alone")
	if got := r.get("/api/recent"); strings.TrimSpace(got) != "[]" {
		t.Errorf("switched off, it still shows %s", got)
	}
}

func lookWithoutMouse(t *testing.T, b *browser, _ served) {
	b.visit("/")
	b.do(chromedp.KeyEvent("\t"))
	if b.number("document.activeElement.matches('.skip')") != 1 {
		t.Error("the first stop is not the link to the content")
	}
	b.do(chromedp.KeyEvent("\r"))
	if b.number("document.activeElement.id === 'main'") != 1 {
		t.Error("the link does not lead to the content")
	}
	b.visit("/operate")
	const unlabelled = "[...document.querySelectorAll('input:not([type=hidden]), select')].filter(e => e.labels.length === 0).length"
	for _, path := range []string{"/", "/traffic", "/networks", "/networks/europe", "/endpoints", "/unmapped", "/shadow", "/explain",
		"/live", "/operate"} {
		b.visit(path)
		if b.number(unlabelled) != 0 {
			t.Errorf("%s has fields without a label", path)
		}
		if b.number("new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size === document.querySelectorAll('[id]').length") != 1 {
			t.Errorf("%s has an id twice", path)
		}
	}
}
