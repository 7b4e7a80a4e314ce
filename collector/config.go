package collector

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/observe"
	"github.com/fanlight-io/fanlight/snoop"
)

// Config is what an agent forwards. The zero value of a field stands for its
// default, as [DomainConfig] documents them.
type Config struct {
	Domains []DomainConfig `yaml:"domains"`
	// Observe is what is seen without being forwarded.
	Observe observe.Config `yaml:"observe"`
	// BPFFS is the directory, in a BPF file system, where the datapath outlives
	// the agent. Default /sys/fs/bpf/fanlight.
	BPFFS string `yaml:"bpffs"`
	// Netns is the network namespace that the ports are in: a name, as `ip
	// netns` knows it, or a path. Default: the agent's own.
	Netns  string       `yaml:"netns"`
	Tables TablesConfig `yaml:"tables"`
	Budget BudgetConfig `yaml:"event_budget"`
	// KeepIdle is how long the counters of a silent stream, and those of a group
	// that nobody wants any more, stay on the metrics page. Default 10m.
	KeepIdle time.Duration `yaml:"keep_idle"`
	// Names is a file of names of groups, see groupname.Load. Default: none but
	// those of IANA's registries and common use.
	Names string `yaml:"names"`
	// State is the directory that keeps the static groups of requests. Default
	// /var/lib/fanlight; "none" keeps none, and then no request is granted.
	State string `yaml:"state"`
	// Hook chooses where programs are attached: auto, tcx or clsact.
	Hook string `yaml:"hook"`
}

// DomainConfig is one multicast segment: ports that share groups.
type DomainConfig struct {
	Name string `yaml:"name"`
	// Ports are names or globs of interfaces. Interfaces that appear later are
	// attached, those that vanish are cleaned up.
	Ports       []string      `yaml:"ports"`
	RouterPorts []string      `yaml:"router_ports"`
	Querier     QuerierConfig `yaml:"querier"`
	Limits      LimitsConfig  `yaml:"limits"`
	// Unregistered says what happens to groups that nobody joined:
	// flood_without_querier (default), drop or flood.
	Unregistered string `yaml:"unregistered"`
	// Allow are the groups that may be joined and forwarded. Default: all.
	Allow []netip.Prefix `yaml:"allow"`
	// Static are groups that are known, and subscribers that no host has to
	// report.
	Static []StaticConfig `yaml:"static"`
	// FastLeave acts on a leave at once where no other host can want the
	// group. Default true.
	FastLeave *bool `yaml:"fast_leave"`
	// TTLCheck and RouterAlertCheck say what becomes of membership messages
	// without TTL 1 or Router Alert: off, count (default) or drop.
	TTLCheck         string `yaml:"ttl_check"`
	RouterAlertCheck string `yaml:"router_alert_check"`
	// QuerierGuard and RouterGuard are names or globs of ports on which no
	// querier is believed, and no router learnt.
	QuerierGuard []string `yaml:"querier_guard"`
	RouterGuard  []string `yaml:"router_guard"`
	// Sample sends an event for each Sample-th packet of every group of the
	// domain; 0 (default) sends them on change and by budget.
	Sample uint32 `yaml:"sample"`
}

// QuerierConfig is how the domain takes part in querier election.
type QuerierConfig struct {
	Mode    string        `yaml:"mode"` // auto (default), on or off
	Version VersionConfig `yaml:"version"`
	// The intervals of RFC 9776 section 8.
	Robustness              int           `yaml:"robustness"`                 // 2
	QueryInterval           time.Duration `yaml:"query_interval"`             // 125s
	QueryResponseInterval   time.Duration `yaml:"query_response_interval"`    // 10s
	LastMemberQueryInterval time.Duration `yaml:"last_member_query_interval"` // 1s
}

// VersionConfig are the versions of our own queries.
type VersionConfig struct {
	IGMP int `yaml:"igmp"` // 3
	MLD  int `yaml:"mld"`  // 2
}

// LimitsConfig bounds what hosts can make a domain remember.
type LimitsConfig struct {
	// Groups, Members (ports of groups, added up), Sources (that members list,
	// added up) and VLANs are those of the domain. All domains together must fit
	// the tables; those without a limit share what is left.
	Groups  int `yaml:"groups"`
	Members int `yaml:"members"`
	Sources int `yaml:"sources"`
	VLANs   int `yaml:"vlans"`

	PortsPerGroup            int `yaml:"ports_per_group"`              // 1024
	SourcesPerGroup          int `yaml:"sources_per_group"`            // 64
	HostsPerPort             int `yaml:"hosts_per_port"`               // 512
	MessagesPerSecondPerPort int `yaml:"messages_per_second_per_port"` // 1000
	// StreamsPerGroup is how many sources of a group are counted apart. 256
	StreamsPerGroup int `yaml:"streams_per_group"`
}

// TablesConfig are the sizes of the kernel tables, see bpf.Settings.
type TablesConfig struct {
	Domains          int `yaml:"domains"`
	Ports            int `yaml:"ports"`
	VLANs            int `yaml:"vlans"`
	Groups           int `yaml:"groups"`
	Sources          int `yaml:"sources"`
	Pairs            int `yaml:"pairs"`
	Streams          int `yaml:"streams"`
	Drops            int `yaml:"drops"`
	Failures         int `yaml:"failures"`
	EventRingBytes   int `yaml:"event_ring_bytes"`
	ControlRingBytes int `yaml:"control_ring_bytes"`
}

// BudgetConfig are the least times between two events of one subject.
type BudgetConfig struct {
	Change   time.Duration `yaml:"change"`   // 100ms
	Periodic time.Duration `yaml:"periodic"` // 10s
	Drop     time.Duration `yaml:"drop"`     // 1s
}

// DefaultBPFFS is where the datapath is pinned by default.
const DefaultBPFFS = "/sys/fs/bpf/fanlight"

var unregisteredModes = map[string]bpf.Unregistered{
	"":                      bpf.FloodWithoutQuerier,
	"flood_without_querier": bpf.FloodWithoutQuerier,
	"drop":                  bpf.DropUnregistered,
	"flood":                 bpf.FloodUnregistered,
}

// Validate checks everything that can be checked without touching anything.
// Its errors name the key.
func (c Config) Validate() error {
	var errs []error
	if len(c.Domains) == 0 && !c.Observe.Enabled() {
		errs = append(errs, errors.New("domains: none given; name one with its ports, as in domains: [{name: lab, ports: [eth1, eth2]}], or observe.interfaces"))
	}
	if err := c.Observe.Validate(); err != nil {
		errs = append(errs, prefixed("observe.", err)...)
	}
	seen := map[string]bool{}
	for i, d := range c.Domains {
		at := fmt.Sprintf("domains[%d]", i)
		if d.Name != "" {
			at = fmt.Sprintf("domains[%s]", d.Name)
		}
		if seen[d.Name] {
			errs = append(errs, fmt.Errorf("%s: name is used twice", at))
		}
		seen[d.Name] = true
		for _, err := range d.validate() {
			errs = append(errs, fmt.Errorf("%s.%w", at, err))
		}
	}
	if !slices.Contains([]string{"", "auto", "tcx", "clsact"}, c.Hook) {
		errs = append(errs, fmt.Errorf("hook: %q is none of auto, tcx, clsact", c.Hook))
	}
	if c.KeepIdle != 0 && c.KeepIdle < time.Second {
		errs = append(errs, fmt.Errorf("keep_idle: %v is less than a second", c.KeepIdle))
	}
	if err := c.Tables.settings().Validate(); err != nil {
		return errors.Join(append(errs, fmt.Errorf("tables.%w", err))...)
	}
	if most := c.Tables.settings().Domains - 1; len(c.Domains) > most {
		errs = append(errs, fmt.Errorf("domains: %d given, tables.domains has room for %d", len(c.Domains), most))
	}
	allowed := 0
	for _, d := range c.Domains {
		allowed += len(d.allow())
	}
	if allowed > bpf.MaxAllowed {
		errs = append(errs, fmt.Errorf("allow: the domains list %d prefixes, %d are the most", allowed, bpf.MaxAllowed))
	}
	if _, err := c.shareTables(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (d DomainConfig) validate() (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if d.Name == "" || len(d.Name) > 63 {
		bad("name: has %d bytes, must have 1 to 63", len(d.Name))
	}
	if len(d.Ports) == 0 {
		bad("ports: none given")
	}
	for key, patterns := range map[string][]string{
		"ports": d.Ports, "router_ports": d.RouterPorts, "querier_guard": d.QuerierGuard, "router_guard": d.RouterGuard,
	} {
		for _, p := range patterns {
			if _, err := path.Match(p, ""); err != nil {
				bad("%s: %q is no name or glob: %v", key, p, err)
			}
		}
	}
	if _, ok := unregisteredModes[d.Unregistered]; !ok {
		bad("unregistered: %q is none of flood_without_querier, drop, flood", d.Unregistered)
	}
	for _, p := range d.Allow {
		if !p.Addr().IsMulticast() && p.Bits() > 0 {
			bad("allow: %v holds no multicast group", p)
		}
	}
	if n := d.Limits.PortsPerGroup; n > bpf.MaxPortsPerGroup {
		bad("limits.ports_per_group: %d is more than %d", n, bpf.MaxPortsPerGroup)
	}
	for key, n := range map[string]int{
		"groups": d.Limits.Groups, "members": d.Limits.Members, "sources": d.Limits.Sources, "vlans": d.Limits.VLANs,
		"sources_per_group": d.Limits.SourcesPerGroup, "hosts_per_port": d.Limits.HostsPerPort,
		"messages_per_second_per_port": d.Limits.MessagesPerSecondPerPort, "streams_per_group": d.Limits.StreamsPerGroup,
		"ports_per_group": d.Limits.PortsPerGroup,
	} {
		if n < 0 {
			bad("limits.%s: %d is negative", key, n)
		}
	}
	errs = append(errs, d.validateStatic()...)
	if err := d.snooping().Validate(); err != nil {
		bad("%w", err)
	}
	return errs
}

// prefixed puts the key in front of each error that was joined.
func prefixed(key string, err error) (all []error) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{fmt.Errorf("%s%w", key, err)}
	}
	for _, e := range joined.Unwrap() {
		all = append(all, fmt.Errorf("%s%w", key, e))
	}
	return all
}

// snooping returns the configuration of the domain's membership table, but for
// what depends on the ports that are there.
func (d DomainConfig) snooping() snoop.Config {
	c := snoop.DefaultConfig()
	set(&c.Querier, snoop.QuerierMode(d.Querier.Mode))
	set(&c.IGMPVersion, d.Querier.Version.IGMP)
	set(&c.MLDVersion, d.Querier.Version.MLD)
	set(&c.Robustness, d.Querier.Robustness)
	set(&c.QueryInterval, d.Querier.QueryInterval)
	set(&c.QueryResponseInterval, d.Querier.QueryResponseInterval)
	set(&c.LastMemberQueryInterval, d.Querier.LastMemberQueryInterval)
	set(&c.Limits.Groups, d.Limits.Groups)
	set(&c.Limits.Members, d.Limits.Members)
	set(&c.Limits.TotalSources, d.Limits.Sources)
	set(&c.Limits.VLANs, d.Limits.VLANs)
	// One port alone never takes all of the groups.
	c.Limits.GroupsPerPort = max(1, c.Limits.Groups-c.Limits.Groups/4)
	set(&c.Limits.PortsPerGroup, d.Limits.PortsPerGroup)
	set(&c.Limits.SourcesPerGroup, d.Limits.SourcesPerGroup)
	set(&c.Limits.HostsPerPort, d.Limits.HostsPerPort)
	set(&c.TTLCheck, snoop.Check(d.TTLCheck))
	set(&c.RouterAlertCheck, snoop.Check(d.RouterAlertCheck))
	if d.FastLeave != nil {
		c.FastLeave = *d.FastLeave
	}
	c.Allow = d.Allow
	return c
}

// complete returns a valid configuration with what depends on all of it.
func (c Config) complete() Config {
	if c.BPFFS == "" {
		c.BPFFS = DefaultBPFFS
	}
	if c.KeepIdle == 0 {
		c.KeepIdle = defaultKeepIdle
	}
	if domains, err := c.shareTables(); err == nil {
		c.Domains = domains
	}
	return c
}

// allow returns the prefixes that the datapath may forward unregistered.
func (d DomainConfig) allow() []netip.Prefix {
	if len(d.Allow) > 0 {
		return d.Allow
	}
	return []netip.Prefix{netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("ff00::/8")}
}

func (t TablesConfig) settings() bpf.Settings {
	s := bpf.DefaultSettings()
	set(&s.Domains, t.Domains)
	set(&s.Ports, t.Ports)
	set(&s.VLANs, t.VLANs)
	set(&s.Groups, t.Groups)
	set(&s.Sources, t.Sources)
	set(&s.Pairs, t.Pairs)
	set(&s.Streams, t.Streams)
	set(&s.Drops, t.Drops)
	set(&s.Failures, t.Failures)
	set(&s.EventRingBytes, t.EventRingBytes)
	set(&s.ControlRingBytes, t.ControlRingBytes)
	return s
}

// set overrides a default with what the operator gave, if anything.
func set[T comparable](to *T, given T) {
	var zero T
	if given != zero {
		*to = given
	}
}

// matches reports whether one of the names or globs fits.
func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, name)
		return err == nil && ok
	})
}

// DomainOf names the domain that wants an interface of that name.
func (c Config) DomainOf(iface string) (name string, ok bool) {
	i := slices.IndexFunc(c.Domains, func(d DomainConfig) bool { return matches(d.Ports, iface) })
	if i < 0 {
		return "", false
	}
	return c.Domains[i].Name, true
}

// netnsPath returns where the namespace can be opened, "" for the agent's own.
func (c Config) netnsPath() string {
	if c.Netns == "" || strings.Contains(c.Netns, "/") {
		return c.Netns
	}
	return "/run/netns/" + c.Netns
}
