package live

import (
	"fmt"
	"net/netip"
)

// Config says where the page is.
type Config struct {
	// Listen is the address of the page, on this host only; empty: no page.
	Listen string `yaml:"listen"`
}

// Validate refuses an address that other hosts can reach: the page asks nobody
// who they are.
func (c Config) Validate() error {
	if c.Listen == "" {
		return nil
	}
	at, err := netip.ParseAddrPort(c.Listen)
	if err != nil {
		return fmt.Errorf("listen: %q: want a loopback address and a port, such as 127.0.0.1:9465 or [::1]:9465", c.Listen)
	}
	if !at.Addr().Unmap().IsLoopback() {
		return fmt.Errorf("listen: %s can be reached from other hosts, and the page asks nobody who they are: "+
			"want 127.0.0.1:%d, and from elsewhere a tunnel such as 'ssh -L %d:127.0.0.1:%d HOST'", at.Addr(), at.Port(), at.Port(), at.Port())
	}
	return nil
}
