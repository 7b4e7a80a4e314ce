package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/collector"
)

const (
	udpGRO = "rx-udp-gro-forwarding"
	// pollPackets is how many packets a NAPI poll hands on at once: each
	// becomes a copy per port in the queue of one CPU.
	pollPackets = 64
	backlogPath = "/proc/sys/net/core/netdev_max_backlog"

	otherPrograms  = "; one that comes first may take packets before fanlight sees them, one that comes later misses what is forwarded"
	bridgeConflict = "the bridge never sees the groups that fanlight forwards, but shows hosts the IGMP and MLD reports of others"
)

// checkPorts looks at the interfaces that the configuration names.
func checkPorts(cfg collector.Config) (all []finding, err error) {
	ports := 0
	err = collector.InNamespace(cfg, func() error {
		links, err := netlink.LinkList()
		if err != nil {
			return fmt.Errorf("list interfaces: %w", err)
		}
		found := map[string]int{}
		for _, l := range links {
			domain, ok := cfg.DomainOf(l.Attrs().Name)
			if !ok {
				continue
			}
			found[domain]++
			ports++
			all = append(all, checkPort(l, enterPrefix(cfg.Netns))...)
		}
		for _, d := range cfg.Domains {
			if found[d.Name] == 0 {
				all = append(all, finding{statusAdvice, "domain " + d.Name, fmt.Sprintf(
					"no interface matches %s now; those that appear later are attached", strings.Join(d.Ports, " ")), ""})
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	limit, err := readNumber(backlogPath)
	return append(all, checkBacklog(limit, ports, err)), nil
}

// enterPrefix begins a command that must run in the namespace.
func enterPrefix(netns string) string {
	switch {
	case netns == "":
		return ""
	case strings.Contains(netns, "/"):
		return "nsenter --net=" + netns + " "
	default:
		return "nsenter --net=/run/netns/" + netns + " "
	}
}

// checkPort looks at one port; the thread is in its namespace.
func checkPort(l netlink.Link, enter string) (all []finding) {
	name := l.Attrs().Name
	add := func(what, detail, remedy string) {
		all = append(all, finding{statusAdvice, "port " + name + ": " + what, detail, remedy})
	}
	others, err := bpf.OtherPrograms(l.Attrs().Index)
	if err != nil {
		add("programs", "unknown: "+firstLine(err), "")
	}
	if len(others) > 0 {
		add("other programs", strings.Join(others, ", ")+otherPrograms, "")
	}
	if master, err := netlink.LinkByIndex(l.Attrs().MasterIndex); l.Attrs().MasterIndex != 0 && err == nil && master.Type() == "bridge" {
		add("in bridge "+master.Attrs().Name, bridgeConflict, "")
	}
	switch on, err := bpf.Feature(name, udpGRO); {
	case err != nil:
		add("UDP GRO", "unknown: "+firstLine(err), "")
	case !on:
		add("UDP GRO", "off: bursts are forwarded packet by packet instead of as one",
			enter+"ethtool -K "+name+" gro on "+udpGRO+" on")
	}
	if len(all) == 0 {
		all = append(all, finding{statusOK, "port " + name, "", ""})
	}
	return all
}

func checkBacklog(limit, ports int, err error) finding {
	f := finding{Status: statusOK, Subject: "netdev_max_backlog", Detail: strconv.Itoa(limit)}
	need := pollPackets * ports
	switch {
	case err != nil:
		f.Status, f.Detail = statusAdvice, "unknown: "+err.Error()
	case limit < need:
		f.Status = statusAdvice
		f.Detail = fmt.Sprintf("%d: a burst of %d packets to %d ports overflows it, and copies are lost (backlog_full)",
			limit, pollPackets, ports)
		f.Remedy = fmt.Sprintf("sysctl -w net.core.netdev_max_backlog=%d", need)
	}
	return f
}

func readNumber(path string) (int, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(raw)))
}
