package bpf

import "fmt"

// Settings are the sizes of the kernel tables and the budgets of events. They
// are fixed when the datapath is first loaded; pinned tables keep their size.
type Settings struct {
	Domains  int // broadcast domains
	Ports    int // interfaces, all domains together
	VLANs    int // (domain, VLAN) segments
	Groups   int // (domain, VLAN, group) with subscribers
	Sources  int // (domain, VLAN, source, group) that subscribers name
	Pairs    int // (group, port) with counters
	Streams  int // (domain, VLAN, source, group) counted apart
	Drops    int // (domain, VLAN, group, reason)
	Failures int // (domain, VLAN, group, port, reason)

	EventRingBytes   int // per CPU, a power of two
	ControlRingBytes int // a power of two
}

// DefaultSettings returns the sizes that README.md documents.
func DefaultSettings() Settings {
	return Settings{
		Domains:          64,
		Ports:            1024,
		VLANs:            256,
		Groups:           4096,
		Sources:          16384,
		Pairs:            65536,
		Streams:          16384,
		Drops:            8192,
		Failures:         16384,
		EventRingBytes:   1 << 20,
		ControlRingBytes: 4 << 20,
	}
}

// LeastSettings make maps that cost nothing: to try whether they can be made, and
// where nothing is forwarded.
func LeastSettings() Settings {
	return Settings{
		Domains: 1, Ports: 2, VLANs: 1, Groups: 1, Sources: 1, Pairs: chunkPorts, Streams: 1, Drops: 64, Failures: 64,
		EventRingBytes: 4096, ControlRingBytes: 65536,
	}
}

// MaxPortsPerGroup is the most ports that one group can be copied to.
const MaxPortsPerGroup = chunkPorts * listChunks

// MaxAllowed is the most prefixes that all allow lists hold together, while one
// domain's are replaced.
const MaxAllowed = 2048

const (
	chunkPorts = 16 // CHUNK_PORTS
	listChunks = 64 // LIST_CHUNKS
)

// Validate returns an error that names the first setting that is out of range.
func (s Settings) Validate() error {
	for _, c := range []struct {
		name     string
		value    int
		min, max int
	}{
		{"domains", s.Domains, 1, 4096},
		{"ports", s.Ports, 2, 65536},
		{"vlans", s.VLANs, 1, 1 << 20},
		{"groups", s.Groups, 1, 1 << 20},
		{"sources", s.Sources, 1, 1 << 22},
		{"pairs", s.Pairs, chunkPorts, 1 << 24},
		{"streams", s.Streams, 1, 1 << 22},
		{"drops", s.Drops, 64, 1 << 20},
		{"failures", s.Failures, 64, 1 << 20},
		{"event_ring_bytes", s.EventRingBytes, 4096, 1 << 30},
		{"control_ring_bytes", s.ControlRingBytes, 65536, 1 << 30},
	} {
		if c.value < c.min || c.value > c.max {
			return fmt.Errorf("%s is %d, must be from %d to %d", c.name, c.value, c.min, c.max)
		}
	}
	for name, n := range map[string]int{"event_ring_bytes": s.EventRingBytes, "control_ring_bytes": s.ControlRingBytes} {
		if n&(n-1) != 0 {
			return fmt.Errorf("%s is %d, must be a power of two", name, n)
		}
	}
	return nil
}

// statsChunks is how many chunks of counters there are: each group may leave
// its last chunk partly empty, and each domain's flood list holds every port.
func (s Settings) statsChunks() int {
	return 1 + s.Groups + s.Pairs/chunkPorts + s.Domains + s.Ports/chunkPorts
}

// listChunkCount is how many chunks of port lists there are: those in use, and
// as many again, because a list is replaced and never edited.
func (s Settings) listChunkCount() int {
	return 1 + 2*(s.statsChunks()+s.Sources+s.VLANs)
}

// maxEntries returns the size of each map whose size is a setting.
func (s Settings) maxEntries(cpus int) map[string]uint32 {
	return map[string]uint32{
		"ports":         uint32(s.Ports),
		"domains":       uint32(s.Domains),
		"segments":      uint32(s.VLANs),
		"groups":        uint32(s.Groups + s.Sources),
		"chunks":        uint32(s.listChunkCount()),
		"pairs":         uint32(s.Pairs + s.Ports),
		"members":       uint32(4 * s.Pairs),
		"pair_stats":    uint32(s.statsChunks()),
		"port_stats":    uint32(s.Ports + 1),
		"port_rate":     uint32(s.Ports + 1),
		"streams":       uint32(s.Streams + s.Groups + s.Domains),
		"drops":         uint32(s.Drops),
		"copy_failures": uint32(s.Failures),
		"events":        uint32(cpus),
		"control":       uint32(s.ControlRingBytes),
	}
}
