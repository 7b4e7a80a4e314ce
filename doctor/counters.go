package doctor

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
)

// totals are counters since the host or its namespace began.
type totals struct {
	counters       map[string]uint64
	softnetDropped uint64
}

func readTotals() (t totals, err error) {
	t.counters = map[string]uint64{}
	pairs, err1 := readNet("snmp", parseCounterPairs)
	more, err2 := readNet("netstat", parseCounterPairs)
	lines, err3 := readNet("snmp6", parseCounterLines)
	if os.IsNotExist(err3) {
		err3 = nil // a host without IPv6
	}
	for _, m := range []map[string]uint64{pairs, more, lines} {
		maps.Copy(t.counters, m)
	}
	t.softnetDropped, err = readSoftnet()
	return t, errors.Join(err1, err2, err3, err)
}

func readSoftnet() (dropped uint64, err error) {
	fs, err := procfs.NewFS(threadProc)
	if err != nil {
		return 0, err
	}
	cpus, err := fs.NetSoftnetStat()
	for _, c := range cpus {
		dropped += uint64(c.Dropped)
	}
	return dropped, err
}

// since returns what the counters rose by. Those that a wrap or a reload set
// back count as 0.
func (t totals) since(before totals) totals {
	d := totals{counters: map[string]uint64{}, softnetDropped: rise(before.softnetDropped, t.softnetDropped)}
	for name, n := range t.counters {
		if r := rise(before.counters[name], n); r > 0 {
			d.counters[name] = r
		}
	}
	return d
}

func rise(before, after uint64) uint64 {
	if after < before {
		return 0
	}
	return after - before
}

// readUDPMemory returns the pages that UDP uses and those that it may.
func readUDPMemory() (used, limit uint64, err error) {
	fs, err := procfs.NewFS(threadProc)
	if err != nil {
		return 0, 0, err
	}
	stat, err := fs.NetSockstat()
	if err != nil {
		return 0, 0, err
	}
	for _, p := range stat.Protocols {
		if p.Protocol == "UDP" && p.Mem != nil {
			used = uint64(*p.Mem)
		}
	}
	text, err := readSysctl("ipv4.udp_mem")
	if err != nil {
		return used, 0, err
	}
	words := strings.Fields(text)
	if len(words) != 3 {
		return used, 0, tooShort(words)
	}
	limit, err = strconv.ParseUint(words[2], 10, 64)
	return used, limit, err
}

// readSysctl reads net.NAME in the thread's namespace. An interface in the name
// may hold dots: see sysctlsOf.
func readSysctl(name string) (string, error) {
	b, err := os.ReadFile(filepath.Join("/proc/sys/net", strings.ReplaceAll(name, ".", "/")))
	return strings.TrimSpace(string(b)), err
}

// sysctlsOf reads the settings that the diagnosis looks at. Those that there are
// not, such as of IPv6 on a host without, are left out.
func sysctlsOf(iface string) map[string]string {
	all := map[string]string{}
	for _, name := range []string{"ipv4.igmp_max_memberships", "ipv4.igmp_max_msf", "ipv6.mld_max_msf", "core.netdev_max_backlog"} {
		if value, err := readSysctl(name); err == nil {
			all[name] = value
		}
	}
	for _, of := range []string{"all", iface} {
		for _, setting := range []string{"ipv4 rp_filter", "ipv4 accept_local", "ipv4 force_igmp_version", "ipv6 force_mld_version", "ipv6 disable_ipv6"} {
			family, name, _ := strings.Cut(setting, " ")
			b, err := os.ReadFile(filepath.Join("/proc/sys/net", family, "conf", of, name))
			if err == nil {
				all[family+".conf."+of+"."+name] = strings.TrimSpace(string(b))
			}
		}
	}
	return all
}
