package main

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// errRights marks an error that more privileges would cure.
var errRights = errors.New("not permitted")

// A capability is a Linux capability and what fanlight does with it.
type capability struct {
	bit  uint
	name string
	use  string
}

var (
	capBPF      = capability{unix.CAP_BPF, "CAP_BPF", "load programs and tables"}
	capNetAdmin = capability{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN", "attach programs to ports"}
	capNetRaw   = capability{unix.CAP_NET_RAW, "CAP_NET_RAW", "send IGMP and MLD queries"}
	capPerfmon  = capability{unix.CAP_PERFMON, "CAP_PERFMON", "let programs read packets by pointer, and trace lost copies"}
	capSysAdmin = capability{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN", "enter another network namespace"}
)

// effective returns the capabilities that the process can use now, as bits.
func effective() (uint64, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return 0, fmt.Errorf("read capabilities: %w", err)
	}
	return uint64(sets[1].Effective)<<32 | uint64(sets[0].Effective), nil
}

// in reports whether a process with that set may do what the capability allows:
// the kernel takes CAP_SYS_ADMIN for CAP_BPF and CAP_PERFMON.
func (c capability) in(set uint64) bool {
	has := func(bit uint) bool { return set&(1<<bit) != 0 }
	return has(c.bit) || (c == capBPF || c == capPerfmon) && has(capSysAdmin.bit)
}

// runRights are the capabilities that an agent starts with.
func runRights(netns string) []capability {
	wanted := []capability{capBPF, capNetAdmin, capNetRaw, capPerfmon}
	if netns != "" {
		wanted = append(wanted, capSysAdmin)
	}
	return wanted
}

// need returns an error that names each capability that the process lacks.
func need(verb string, wanted ...capability) error {
	set, err := effective()
	if err != nil {
		return err
	}
	return lacks(verb, set, wanted...)
}

func lacks(verb string, set uint64, wanted ...capability) error {
	var lacking []string
	for _, c := range wanted {
		if !c.in(set) {
			lacking = append(lacking, fmt.Sprintf("%s (to %s)", c.name, c.use))
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	return fmt.Errorf("%w: '%s' lacks %s; run it as root, or grant exactly these", errRights, verb, strings.Join(lacking, ", "))
}
