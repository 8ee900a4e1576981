package admin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net"
	"net/http"
	"strings"
	"time"
)

// sessionTime is how long a browser need not be told the token again.
const sessionTime = 12 * time.Hour

// sessions know which browsers have been told the token. What a browser keeps says until
// when, and is signed with a key that dies with the program, so that nothing is remembered
// here and nothing about the token can be learned from it.
type sessions struct{ key [sha256.Size]byte }

// newSessions are sessions of which there is none yet.
func newSessions() (s sessions) {
	_, _ = rand.Read(s.key[:]) // it never fails
	return s
}

// sign is the signature of a session that ends then, for those who know a token.
func (s *sessions) sign(token string, ends []byte) []byte {
	mac := hmac.New(sha256.New, s.key[:])
	digest := sha256.Sum256([]byte(token))
	mac.Write(digest[:])
	mac.Write(ends)
	return mac.Sum(nil)
}

// begin is what a browser keeps of a session that begins now.
func (s *sessions) begin(token string, now time.Time) string {
	ends := binary.BigEndian.AppendUint64(nil, uint64(now.Add(sessionTime).Unix()))
	return base64.RawURLEncoding.EncodeToString(append(ends, s.sign(token, ends)...))
}

// valid tells whether what a browser keeps is of a session that has not ended.
func (s *sessions) valid(kept, token string, now time.Time) bool {
	raw, err := base64.RawURLEncoding.DecodeString(kept)
	if err != nil || len(raw) != 8+sha256.Size || token == "" {
		return false
	}
	ends := time.Unix(int64(binary.BigEndian.Uint64(raw)), 0)
	return hmac.Equal(raw[8:], s.sign(token, raw[:8])) && now.Before(ends)
}

// cookieName is the name of the cookie with a session. Browsers do not tell the ports of a
// host apart, and several of these servers may be reached at one host.
func cookieName(r *http.Request) string {
	_, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		port = "80"
	}
	return "pldns-" + port
}

// keepSession has the browser keep a session; an empty one ends it.
func (s *Server) keepSession(w http.ResponseWriter, r *http.Request, kept string) {
	age := int(sessionTime / time.Second)
	if kept == "" {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName(r), Value: kept, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

// signedIn tells whether the browser has been told the token before.
func (s *Server) signedIn(r *http.Request) bool {
	cookie, err := r.Cookie(cookieName(r))
	return err == nil && s.sessions.valid(cookie.Value, s.access().Token, time.Now())
}

// bearer is the token that a program sends (RFC 6750 section 2.1).
func bearer(r *http.Request) (token string, given bool) {
	token, given = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return strings.TrimSpace(token), given
}

// knowsToken tells whether a request without a form comes from somebody who knows it.
func (s *Server) knowsToken(r *http.Request, want string) bool {
	if given, is := bearer(r); is {
		return sameToken(given, want)
	}
	return s.signedIn(r)
}

// leave answers POST /-/leave: the browser has to be told the token again.
func (s *Server) leave(w http.ResponseWriter, r *http.Request) {
	s.keepSession(w, r, "")
	s.outcome(w, r, http.StatusOK, result{
		OK: true, Title: "Forgotten", Text: "The token has to be given again.", value: map[string]bool{"left": true},
	})
}
