package live

import (
	"net"
	"net/http"
	"net/netip"
)

// guard lets only pages of this server's own talk to it. A browser sends
// requests for any page that it shows: the name in Host tells one whose name was
// made to point here (DNS rebinding), and Sec-Fetch-Site one of another site.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		if !namesThisHost(r.Host) {
			fail(w, http.StatusMisdirectedRequest, "Host: want localhost or a loopback address, as in http://127.0.0.1:9465/")
			return
		}
		switch r.Header.Get("Sec-Fetch-Site") {
		case "", "none", "same-origin":
			next.ServeHTTP(w, r)
		default:
			fail(w, http.StatusForbidden, "requests from other sites are refused: open the page itself")
		}
	})
}

// namesThisHost accepts any port: the other end of a tunnel has one of its own.
func namesThisHost(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host // the default port is left out
	}
	if name == "localhost" {
		return true
	}
	if n := len(name); n > 2 && name[0] == '[' && name[n-1] == ']' {
		name = name[1 : n-1]
	}
	a, err := netip.ParseAddr(name)
	return err == nil && a.IsLoopback()
}
