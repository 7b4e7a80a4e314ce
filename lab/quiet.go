package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A sysctl is one setting under /proc/sys. Those with optional set are missing
// on some kernels, or belong to the whole machine there.
type sysctl struct {
	name, value string
	optional    bool
}

// quietSysctls keep a namespace from sending by itself. They are the defaults
// that interfaces take over when they appear, so they are set before any does.
var quietSysctls = []sysctl{
	{name: "net/ipv6/conf/default/addr_gen_mode", value: "1"}, // none: link-local addresses are ours
	{name: "net/ipv6/conf/default/accept_ra", value: "0"},
	{name: "net/ipv6/conf/default/autoconf", value: "0"},
	{name: "net/ipv6/conf/default/router_solicitations", value: "0"},
	{name: "net/ipv6/conf/default/accept_dad", value: "0"},
	{name: "net/ipv6/conf/default/dad_transmits", value: "0"},
	{name: "net/ipv4/conf/all/rp_filter", value: "0"},
	{name: "net/ipv4/conf/default/rp_filter", value: "0"},
	{name: "net/ipv4/conf/all/force_igmp_version", value: "0"},
	{name: "net/ipv4/conf/default/arp_notify", value: "0"},
	{name: "net/ipv4/ip_forward", value: "0"},
	{name: "net/ipv4/igmp_max_memberships", value: "100000"},
	{name: "net/ipv4/igmp_max_msf", value: "1000"},
	{name: "net/core/optmem_max", value: "4194304", optional: true}, // memory of memberships; per namespace since 6.9
}

// quieten sets the sysctls above, then more.
func (ns *Namespace) quieten(more []sysctl) error {
	return ns.Do(func() error {
		for _, list := range [][]sysctl{quietSysctls, more} {
			for _, s := range list {
				if err := s.set(); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// SetSysctl sets a sysctl of the namespace, such as "net/ipv4/igmp_qrv".
func (ns *Namespace) SetSysctl(name, value string) error {
	return ns.Do(func() error { return sysctl{name: name, value: value}.set() })
}

// set writes the value for the namespace of the calling thread.
func (s sysctl) set() error {
	if !strings.HasPrefix(s.name, "net/") {
		return fmt.Errorf("set sysctl %s: not of a network namespace", s.name)
	}
	// Without O_CREATE: a name that the kernel lacks is "not found".
	file, err := os.OpenFile("/proc/sys/"+s.name, os.O_WRONLY, 0)
	if err == nil {
		_, err = file.WriteString(s.value)
		err = errors.Join(err, file.Close())
	}
	if s.optional && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EINVAL)) {
		return nil
	}
	return wrap(err, "set sysctl %s=%s", s.name, s.value)
}

// membershipSysctls choose the versions that a host speaks, and how soon it
// repeats a report.
func membershipSysctls(igmp, mld int, repeat time.Duration) []sysctl {
	ms := strconv.FormatInt(repeat.Milliseconds(), 10)
	return []sysctl{
		{name: "net/ipv4/conf/default/force_igmp_version", value: strconv.Itoa(igmp)},
		{name: "net/ipv6/conf/default/force_mld_version", value: strconv.Itoa(mld)},
		{name: "net/ipv4/conf/default/igmpv2_unsolicited_report_interval", value: ms},
		{name: "net/ipv4/conf/default/igmpv3_unsolicited_report_interval", value: ms},
		{name: "net/ipv6/conf/default/mldv1_unsolicited_report_interval", value: ms},
		{name: "net/ipv6/conf/default/mldv2_unsolicited_report_interval", value: ms},
	}
}
