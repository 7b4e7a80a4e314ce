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
	if !s.agentKnows() || !s.Link.Up || s.joinedAt(s.Link.Index) == nil || s.agentPort() {
		return unknown
	}
	var hosts []string
	for _, sub := range s.Agent.Subscribers {
		if slices.ContainsFunc(s.Addresses, func(a netip.Addr) bool { return slices.Contains(sub.Hosts, a.String()) }) {
			return well
		}
		hosts = append(hosts, sub.Hosts...)
	}
	if packets(s.arriving()) > 0 {
		return well
	}
	if len(hosts) == 0 {
		return unknown // nobody, or its policy hides them
	}
	return found(Suspect, fmt.Sprintf("the agent forwards %s to %s, of the hosts %s, and this one is not among them",
		s.Question.Group, plural(uint64(len(s.Agent.Subscribers)), "port"), strings.Join(hosts, ", "))).where(s.agentPairs()...)
}

// agentPort reports whether an agent forwards by the interface, so that the group
// is for somebody behind it.
func (s *Snapshot) agentPort() bool {
	return slices.ContainsFunc(s.Programs, func(p Program) bool { return p.Hook != "xdp" && p.Name == agentProgram })
}

// agentProgram is what the agent attaches at the ingress of its ports.
const agentProgram = "replicate"

// lookAgentPort: the interface is a port of the agent, and nobody behind it has
// joined, as far as the agent saw.
func lookAgentPort(s *Snapshot) verdict {
	if s.Agent == nil || !s.agentPort() {
		return unknown
	}
	var others []string
	for _, sub := range s.Agent.Subscribers {
		if sub.Interface == s.Link.Name {
			return well
		}
		others = append(others, sub.Interface)
	}
	seen := fmt.Sprintf("the agent knows no subscriber to %s behind %s", s.Question.Group, s.Link.Name)
	if len(others) > 0 {
		seen += "; it knows some behind " + strings.Join(others, ", ")
	}
	return found(Cause, seen).where(s.agentPairs()...)
}

// agentPairs complete the commands that ask the agent.
func (s *Snapshot) agentPairs() []string { return []string{"{agent}", s.Agent.Flags} }

func lookAgentDrops(s *Snapshot) verdict {
	if !s.agentKnows() {
		return unknown
	}
	if s.Agent.NewDropped == 0 {
		return well
	}
	grade := Suspect
	if packets(s.arriving()) > 0 || packets(s.sent()) > 0 && s.agentPort() {
		grade = Risk // others get it, or this one did
	}
	return found(grade, fmt.Sprintf("the agent dropped %s of %s in %v", plural(s.Agent.NewDropped, "packet"), s.Question.Group, s.Wire.Window)).
		where(s.agentPairs()...)
}

func lookAgentFailures(s *Snapshot) verdict {
	if !s.agentKnows() {
		return unknown
	}
	if s.Agent.NewFailed == 0 {
		return well
	}
	return found(Risk, fmt.Sprintf("%s of %s to some port failed in %v", copies(s.Agent.NewFailed), s.Question.Group, s.Wire.Window)).
		where(s.agentPairs()...)
}

func copies(n uint64) string {
	if n == 1 {
		return "1 copy"
	}
	return fmt.Sprintf("%d copies", n)
}
