package observe

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
)

// Config is what is observed. The zero value of a field stands for its default.
type Config struct {
	// Interfaces are names or globs of interfaces. Interfaces that appear later
	// are observed too. None: nothing is observed.
	Interfaces []string      `yaml:"interfaces"`
	Silence    SilenceConfig `yaml:"silence"`
	// Table is how many streams are counted apart: (interface, direction, VLAN,
	// source, group). Default 16384.
	Table int `yaml:"table"`

	// What a later version observes; true is refused.
	Flows   FlowsConfig `yaml:"flows"`
	Sockets bool        `yaml:"sockets"`
	Drops   bool        `yaml:"drops"`
}

// FlowsConfig is reserved.
type FlowsConfig struct {
	Enabled bool `yaml:"enabled"`
}

// SilenceConfig says after how long without a packet a stream is told silent.
type SilenceConfig struct {
	// Default is for groups that Groups does not name. 10s.
	Default time.Duration `yaml:"default"`
	// Groups are by prefix, of which the longest counts; 0 means never.
	Groups map[string]time.Duration `yaml:"groups"`
}

const (
	defaultSilence = 10 * time.Second
	leastSilence   = 100 * time.Millisecond
	leastTable     = 16
	mostTable      = 1 << 22
)

// Enabled reports whether anything is observed.
func (c Config) Enabled() bool { return len(c.Interfaces) > 0 }

// Wants reports whether an interface of that name is observed.
func (c Config) Wants(name string) bool {
	return slices.ContainsFunc(c.Interfaces, func(p string) bool {
		ok, err := path.Match(p, name)
		return err == nil && ok
	})
}

// Validate returns errors that name the key.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, p := range c.Interfaces {
		if _, err := path.Match(p, ""); err != nil || p == "" {
			bad("interfaces: %q is no name or glob", p)
		}
	}
	for key, on := range map[string]bool{"flows.enabled": c.Flows.Enabled, "sockets": c.Sockets, "drops": c.Drops} {
		if on {
			bad("%s: not in this version; leave it out", key)
		}
	}
	if c.Table != 0 && (c.Table < leastTable || c.Table > mostTable) {
		bad("table: %d, must be from %d to %d", c.Table, leastTable, mostTable)
	}
	if d := c.Silence.Default; d != 0 && d < leastSilence {
		bad("silence.default: %v is less than %v", d, leastSilence)
	}
	for text, d := range c.Silence.Groups {
		p, err := netip.ParsePrefix(text)
		switch {
		case err != nil:
			bad("silence.groups: %q is no prefix such as 239.1.0.0/16", text)
		case !p.Addr().IsMulticast() && p.Bits() > 0:
			bad("silence.groups: %v holds no multicast group", p)
		case d != 0 && d < leastSilence:
			bad("silence.groups: %v: %v is less than %v; 0 means never", p, d, leastSilence)
		}
	}
	return errors.Join(errs...)
}

func (c Config) table() int {
	if c.Table == 0 {
		return bpf.DefaultWatchStreams
	}
	return c.Table
}

// limits are a SilenceConfig, ready for use.
type limits struct {
	byDefault time.Duration
	prefixes  []prefixLimit // longest first
}

type prefixLimit struct {
	prefix netip.Prefix
	limit  time.Duration
}

// limits of a configuration that is valid.
func (c SilenceConfig) limits() limits {
	l := limits{byDefault: c.Default}
	if c.Default == 0 {
		l.byDefault = defaultSilence
	}
	for text, d := range c.Groups {
		if p, err := netip.ParsePrefix(text); err == nil {
			l.prefixes = append(l.prefixes, prefixLimit{p, d})
		}
	}
	slices.SortFunc(l.prefixes, func(a, b prefixLimit) int { return b.prefix.Bits() - a.prefix.Bits() })
	return l
}

// of returns after how long without a packet a group is silent; 0 means never.
// Link-local groups, of neighbour discovery and routing, are never told of
// unless a prefix names them.
func (l limits) of(group netip.Addr) time.Duration {
	for _, p := range l.prefixes {
		if p.prefix.Contains(group) {
			return p.limit
		}
	}
	if isLinkLocal(group) {
		return 0
	}
	return l.byDefault
}

// shortest returns the least threshold.
func (l limits) shortest() time.Duration {
	least := l.byDefault
	for _, p := range l.prefixes {
		if p.limit > 0 {
			least = min(least, p.limit)
		}
	}
	return least
}

// isLinkLocal reports whether the group stays on its link, or on its host.
func isLinkLocal(group netip.Addr) bool {
	return group.IsLinkLocalMulticast() || group.IsInterfaceLocalMulticast()
}
