package doctor

import "fmt"

// lookDropRule: a rule that drops, and counted while the group came.
func lookDropRule(s *Snapshot) verdict {
	if s.lacks(FacilityFirewall) || s.lacks(FacilityWire) {
		return unknown
	}
	if s.lostInIP() == 0 {
		return well
	}
	for _, r := range s.DropRules {
		if r.Packets == 0 || outward(r.Hook) {
			continue
		}
		return found(Cause, fmt.Sprintf("%s dropped %s", r.name(), plural(r.Packets, "packet")), s.arrivedText()).
			where(s.chainPairs(r.Family, r.Table, r.Chain)...)
	}
	return well
}

func (r *DropRule) name() string {
	return fmt.Sprintf("rule %d of chain %s %s %s", r.Handle, r.Family, r.Table, r.Chain)
}

func (p *DropPolicy) name() string {
	return fmt.Sprintf("chain %s %s %s, at hook %s", p.Family, p.Table, p.Chain, p.Hook)
}

// chainPairs complete the command that accepts the group, or messages about it.
func (s *Snapshot) chainPairs(family, table, chain string) []string {
	ip, control := "ip", "igmp"
	if s.v6() {
		ip, control = "ip6", "ipv6-icmp"
	}
	return []string{"{family}", family, "{table}", table, "{chain}", chain, "{ip}", ip, "{control}", control}
}

// lookFirewall is for when nothing else explains the loss: rules without
// counters, and chains that drop what no rule accepts.
func lookFirewall(s *Snapshot) verdict {
	if s.lacks(FacilityFirewall) || s.lacks(FacilityWire) {
		return unknown
	}
	if s.lostInIP() == 0 {
		return well
	}
	return s.blame(false, s.arrivedText())
}

// blame names a chain that drops by policy, or else a rule that may have.
func (s *Snapshot) blame(out bool, seen ...string) verdict {
	for _, p := range s.DropPolicies {
		if outward(p.Hook) != out {
			continue
		}
		return found(Suspect, append(seen, p.name()+", drops what no rule accepts")...).where(s.chainPairs(p.Family, p.Table, p.Chain)...)
	}
	for _, r := range s.DropRules {
		if outward(r.Hook) != out || r.Counted && r.Packets == 0 && !out {
			continue
		}
		text := r.name() + " drops, and has no counter to tell what"
		if r.Counted {
			text = fmt.Sprintf("%s drops, %s in %v", r.name(), plural(r.Packets, "packet"), s.Wire.Window)
		}
		return found(Suspect, append(seen, text)...).where(s.chainPairs(r.Family, r.Table, r.Chain)...)
	}
	return well
}

// lookQueriesDropped: queries reach the interface, and IP drops them.
func lookQueriesDropped(s *Snapshot) verdict {
	if s.lacks(FacilityWire) || s.lacks(FacilityDelivery) || !s.receives() {
		return unknown
	}
	arrived, delivered := s.queries(s.Wire.Queries), s.queries(s.Heard)
	if arrived == 0 || delivered > 0 {
		return well
	}
	v := s.blame(false, fmt.Sprintf("%d queries reached %s, and none got through IP", arrived, s.Link.Name))
	if v.grade == "" {
		v = found(Suspect, fmt.Sprintf("%d queries reached %s, and none got through IP", arrived, s.Link.Name))
	}
	if packets(s.arriving()) > 0 {
		v.grade = Risk // until the others forget this host
	}
	return v
}

func (s *Snapshot) queries(list []Query) (n int) {
	for _, q := range list {
		if q.Index == s.Link.Index && !q.Outgoing {
			n++
		}
	}
	return n
}

// lookReportsDropped: nothing comes, and a firewall is on the way out of reports.
func lookReportsDropped(s *Snapshot) verdict {
	if s.lacks(FacilityFirewall) || s.lacks(FacilityWire) || !s.receives() {
		return unknown
	}
	if packets(s.arriving()) > 0 {
		return well
	}
	for _, r := range s.Wire.Reports {
		if r.Outgoing && r.Index == s.Link.Index {
			return well // they get out
		}
	}
	return s.blame(true, fmt.Sprintf("nothing of %s arrives at %s, and no report of this host was seen", s.Question.Group, s.Link.Name))
}
