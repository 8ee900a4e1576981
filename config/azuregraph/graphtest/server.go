package graphtest

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Secret is what a managed identity shows: the value of IDENTITY_HEADER.
const Secret = "the-header-of-this-machine"

// ArcKeys is where the agent of a server elsewhere keeps keys: whoever can read there may
// have a token.
const ArcKeys = "/var/opt/azcmagent/tokens"

// Server is an Azure. Its methods may be called while it is asked.
type Server struct {
	*Estate
	// URL is its address, for endpoint and authority; Identity is that of
	// IDENTITY_ENDPOINT, and Arc what it is on a server elsewhere; CA is a file with the
	// authority of its certificate.
	URL, Identity, Arc, CA string

	t      testing.TB
	mutex  sync.Mutex
	faults []Fault
	life   time.Duration // of tokens
	since  time.Time     // tokens of before are refused
	calls  []Call
	tenant string
}

// Call is a call that was made.
type Call struct {
	What  string // "token" or "graph"
	Query string
	At    time.Time
	// Subscriptions and Groups are the scope of a query.
	Subscriptions, Groups []string
	Status                int
}

// Fault is what one call meets instead of its answer; the next call meets the next
// fault. It gives false where it wants the answer to be given.
type Fault struct {
	// Of is "token" or "graph"; empty for either.
	Of string
	Do func(w http.ResponseWriter, answer func() []byte) bool
}

// New starts a server, which ends with the test.
func New(t testing.TB) *Server {
	s := &Server{Estate: newEstate(), t: t, life: 24 * time.Hour, tenant: Tenant}
	listening := httptest.NewTLSServer(http.HandlerFunc(s.serve))
	t.Cleanup(listening.Close)
	listening.Config.ErrorLog = nil
	s.URL, s.Identity, s.Arc = listening.URL, listening.URL+"/msi/token", listening.URL+arcPath
	s.CA = filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: listening.Certificate().Raw})
	if err := os.WriteFile(s.CA, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

const arcPath = "/metadata/identity/oauth2/token"

// ArcEnvironment sets the variables that a server elsewhere has, with the agent of Azure
// Arc. The key of the agent, which is [Secret], is for the test to put into [ArcKeys].
func (s *Server) ArcEnvironment(t *testing.T) {
	t.Setenv("IDENTITY_ENDPOINT", s.Arc)
	t.Setenv("IMDS_ENDPOINT", s.URL)
	t.Setenv("IDENTITY_HEADER", "")
}

// Environment sets the variables that a machine with a managed identity has.
func (s *Server) Environment(t *testing.T) {
	t.Setenv("IDENTITY_ENDPOINT", s.Identity)
	t.Setenv("IDENTITY_HEADER", Secret)
}

// Fail has the next calls meet faults, each one.
func (s *Server) Fail(faults ...Fault) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.faults = append(s.faults, faults...)
}

// Heal takes back the faults that nobody has met.
func (s *Server) Heal() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.faults = nil
}

// TokenLife says for how long tokens are good from now on.
func (s *Server) TokenLife(life time.Duration) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.life = life
}

// Revoke ends all tokens, as when a role or a key was changed.
func (s *Server) Revoke() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.since = time.Now()
}

// Calls are those that were made so far.
func (s *Server) Calls() []Call {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return append([]Call(nil), s.calls...)
}

// Status answers with a status and headers, as text of names and values in turn.
func Status(code int, headers ...string) Fault {
	return Fault{Of: "graph", Do: func(w http.ResponseWriter, _ func() []byte) bool {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"error":{"code":"Fault%d","message":"a fault of the test"}}`, code)
		return true
	}}
}

// NoToken answers a request for a token with a status.
func NoToken(code int) Fault {
	fault := Status(code)
	fault.Of = "token"
	return fault
}

// Cut breaks the connection in the middle of the answer.
func Cut() Fault {
	return Fault{Of: "graph", Do: func(w http.ResponseWriter, answer func() []byte) bool {
		body := answer()
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = w.Write(body[:len(body)/2])
		panic(http.ErrAbortHandler)
	}}
}

// Half answers with half of the rows, and says that these are all of the page.
func Half() Fault {
	return Fault{Of: "graph", Do: func(w http.ResponseWriter, answer func() []byte) bool {
		var page map[string]any
		if json.Unmarshal(answer(), &page) != nil {
			return false
		}
		rows, _ := page["data"].([]any)
		page["data"] = rows[:len(rows)/2]
		page["count"] = len(rows) / 2
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(page)
		return true
	}}
}

// After lets the answer be given, and then does something.
func After(do func()) Fault {
	return Fault{Of: "graph", Do: func(w http.ResponseWriter, answer func() []byte) bool {
		body := answer()
		do()
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
		return true
	}}
}

// serve answers a request.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	call := Call{What: "graph", At: time.Now()}
	answer, code := func() []byte { return nil }, http.StatusOK
	switch {
	case strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration"):
		s.openID(w)
		return
	case r.URL.Path == "/msi/token" || strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token"):
		call.What = "token"
		if r.URL.Path == "/msi/token" && r.Header.Get("X-Identity-Header") != Secret {
			code = http.StatusBadRequest
		}
		answer = s.token
	case r.URL.Path == arcPath:
		call.What = "token"
		answer = s.token
		if r.Header.Get("Authorization") != "Basic "+Secret {
			w.Header().Set("WWW-Authenticate", "Basic realm="+ArcKeys+"/test.key")
			code = http.StatusUnauthorized
		}
	case r.URL.Path == "/providers/Microsoft.ResourceGraph/resources" && r.Method == http.MethodPost:
		var q request
		if err := json.Unmarshal(body, &q); err != nil {
			code = http.StatusBadRequest
			break
		}
		call.Query, call.Subscriptions, call.Groups = q.Query, q.Subscriptions, q.ManagementGroups
		if !s.good(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")) {
			code = http.StatusUnauthorized
			break
		}
		answer = func() []byte {
			page, err := s.ask(q)
			if err != nil {
				s.t.Errorf("the query %s: %v", q.Query, err)
			}
			return page
		}
	default:
		code = http.StatusNotFound
	}
	fault := s.fault(call.What)
	call.Status = code
	s.mutex.Lock()
	s.calls = append(s.calls, call)
	s.mutex.Unlock()
	w.Header().Set("X-Ms-User-Quota-Remaining", "14")
	w.Header().Set("X-Ms-User-Quota-Resets-After", "00:00:05")
	if fault.Do != nil && fault.Do(w, answer) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if code == http.StatusOK {
		_, _ = w.Write(answer())
	}
}

// fault takes the next fault of a kind of call.
func (s *Server) fault(what string) Fault {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if len(s.faults) == 0 || s.faults[0].Of != "" && s.faults[0].Of != what {
		return Fault{}
	}
	next := s.faults[0]
	s.faults = s.faults[1:]
	return next
}

// CLIToken is a new token as the Azure command line prints it.
func (s *Server) CLIToken() []byte {
	token, until := s.fresh()
	return fmt.Appendf(nil, `{"accessToken":%q,"expires_on":%d,"tenant":%q,"tokenType":"Bearer"}`, token, until.Unix(), s.tenant)
}

// token is a new one, as both the managed identity of App Service and the identity
// platform give it.
func (s *Server) token() []byte {
	token, until := s.fresh()
	return fmt.Appendf(nil, `{"access_token":%q,"expires_on":"%d","expires_in":%d,"token_type":"Bearer",`+
		`"resource":"https://management.azure.com"}`,
		token, until.Unix(), int(time.Until(until).Round(time.Second).Seconds()))
}

// fresh is a new token, and when it ends.
func (s *Server) fresh() (token string, until time.Time) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	now := time.Now()
	until = now.Add(s.life)
	return fmt.Sprintf("%d-%d", now.UnixNano(), until.UnixNano()), until
}

// good tells whether a token is. The SDK keeps those of managed identities for the whole
// process, so that it may be of another server.
func (s *Server) good(token string) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	from, until, _ := strings.Cut(token, "-")
	a, err := strconv.ParseInt(from, 10, 64)
	b, err2 := strconv.ParseInt(until, 10, 64)
	return err == nil && err2 == nil && a > s.since.UnixNano() && time.Now().UnixNano() < b
}

// openID says where tokens are.
func (s *Server) openID(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"token_endpoint":"%s/%s/oauth2/v2.0/token","authorization_endpoint":"%[1]s/%[2]s/oauth2/v2.0/authorize",`+
		`"issuer":"%[1]s/%[2]s/v2.0"}`,
		s.URL, s.tenant)
}
