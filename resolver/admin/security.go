package admin

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// policy lets the page load its own script, style sheet and icon, ask for itself anew, and
// send its forms to itself. Nothing else: no script in a page, no frame, no other origin.
const policy = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'"

// secured says to browsers what they may do with the answers, and refuses what
// only a page of somebody else makes them ask.
func (s *Server) secured(next http.Handler) http.Handler {
	// What changes something is not for pages of other origins to ask.
	next = http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Frame-Options", "DENY")
		header.Set("X-Content-Type-Options", "nosniff")
		// Not "no-referrer": under that browsers send the page's own forms with the
		// origin "null", which cannot be told from a stranger's.
		header.Set("Referrer-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		if host := r.Host; !called(host, s.access().Hosts) {
			http.Error(w, fmt.Sprintf("nobody calls this server %q: ask for its address, or write the name into listen.admin_hosts",
				host), http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// called tells whether a server is called so: by an address, by localhost, or by
// a name from the configuration. Under any other name a browser may have been led
// here by a page whose name was made to point to this address (DNS rebinding),
// and would let that page read everything. A request without a name comes from no
// browser.
func called(host string, names []string) bool {
	if host == "" {
		return true
	}
	if bare, _, err := net.SplitHostPort(host); err == nil {
		host = bare
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || slices.Contains(names, host)
}
