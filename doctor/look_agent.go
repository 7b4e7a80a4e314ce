package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// agentKnows reports whether a running agent has the group in its tables.
func (s *Snapshot) agentKnows() bool { return s.Agent != nil && s.Agent.Known }

// lookAgentMember: the agent forwards the group, and not to this host.
func lookAgentMember(s *Snapshot) verdict {
	if !s.agentKnows() || s.joinedAt(s.Link.Index) == nil {
		return unknown
	}
	var hosts []string
	for _, sub := range s.Agent.Subscribers {
		if sub.Interface == s.Link.Name || slices.ContainsFunc(s.Addresses, func(a netip.Addr) bool { return slices.Contains(sub.Hosts, a.String()) }) {
			return well
		}
		hosts = append(hosts, sub.Hosts...)
	}
	if packets(s.arriving()) > 0 {
		return well
	}
	if len(s.Agent.Subscribers) > 0 && len(hosts) == 0 {
		return unknown // its policy hides them
	}
	seen := fmt.Sprintf("the agent forwards %s to %s, and this host is not among them", s.Question.Group, plural(uint64(len(s.Agent.Subscribers)), "port"))
	if len(hosts) > 0 {
		seen += ": " + strings.Join(hosts, ", ")
	}
	return found(Suspect, seen)
}

func lookAgentDrops(s *Snapshot) verdict {
	if !s.agentKnows() {
		return unknown
	}
	if s.Agent.NewDropped == 0 {
		return well
	}
	grade := Suspect
	if packets(s.arriving()) > 0 {
		grade = Risk
	}
	return found(grade, fmt.Sprintf("the agent dropped %s of %s in %v", plural(s.Agent.NewDropped, "packet"), s.Question.Group, s.Wire.Window))
}

func lookAgentFailures(s *Snapshot) verdict {
	if !s.agentKnows() {
		return unknown
	}
	if s.Agent.NewFailed == 0 {
		return well
	}
	return found(Risk, fmt.Sprintf("%s of %s to some port failed in %v", copies(s.Agent.NewFailed), s.Question.Group, s.Wire.Window))
}

func copies(n uint64) string {
	if n == 1 {
		return "1 copy"
	}
	return fmt.Sprintf("%d copies", n)
}
