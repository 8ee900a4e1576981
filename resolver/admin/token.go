package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"time"
)

// Access says who may do what at the admin address.
type Access struct {
	// Token is what whoever changes something must know; empty when nobody may.
	Token string
	// Hosts are the names that the address is called by, in lower case and without
	// final dot, besides IP addresses and localhost.
	Hosts []string
}

// maxForm bounds the body of a request, in octets.
const maxForm = 64 << 10

// wrongToken is what is said to those who send something else.
const wrongToken = "this is not the token: the file that listen.admin_token_file names holds it"

// access is who may do what now: it may change with every reload.
func (s *Server) access() Access {
	if s.options.Access == nil {
		return Access{}
	}
	return s.options.Access()
}

// guarded lets only those who know the token do something. Programs send it as
// "Authorization: Bearer TOKEN" (RFC 6750 section 2.1), the page as a form field, after
// which the browser has a cookie for some hours; in an address, which is logged and shown,
// it does not count.
func (s *Server) guarded(do http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		want := s.access().Token
		if want == "" {
			s.outcome(w, r, http.StatusForbidden, refusal("there is no token, so nobody may do this here: name a file "+
				"that holds one in listen.admin_token_file"))
			return
		}
		given, is := bearer(r)
		if !is {
			given = strings.TrimSpace(r.PostFormValue("token"))
		}
		switch {
		case sameToken(given, want):
			if !is {
				s.keepSession(w, r, s.sessions.begin(want, time.Now()))
			}
		case given == "" && !is && s.signedIn(r):
		default:
			s.unlogged.Add(1)
			s.refusals.Do(func() {
				s.options.Log.Warn("somebody without the token was turned away from the admin address", "from", r.RemoteAddr, "path",
					r.URL.Path,
					"unlogged", s.unlogged.Swap(0)-1)
			})
			w.Header().Set("WWW-Authenticate", `Bearer realm="pldns"`)
			text := wrongToken
			if given == "" {
				text = `this needs the token: send it as "Authorization: Bearer TOKEN"; ` +
					`the file that listen.admin_token_file names holds it`
			}
			s.outcome(w, r, http.StatusUnauthorized, refusal(text))
			return
		}
		do(w, r)
	}
}

// warningPause is how far apart two warnings of the same kind are: whoever causes them
// must not be able to fill the disk.
const warningPause = time.Minute

// sameToken compares in a time that tells nothing about the token, nor about its
// length.
func sameToken(given, want string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
