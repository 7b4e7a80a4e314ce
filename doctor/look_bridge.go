package doctor

import (
	"fmt"
	"strings"
)

// lookBridgeMember: a bridge that snoops keeps the group from a port that did
// not ask for it.
func lookBridgeMember(s *Snapshot) verdict {
	if s.lacks(FacilityBridge) || s.Bridge == nil || !s.behindPort() {
		return unknown
	}
	b := s.Bridge
	if !b.Snooping || !b.Querier || b.Member || b.RouterPort || s.floods() {
		return well
	}
	seen := []string{fmt.Sprintf("%s snoops, and has no entry for %s at %s", b.Name, s.Question.Group, s.Link.Name)}
	if len(b.Entries) > 0 {
		seen = append(seen, "it has one at "+strings.Join(b.Entries, ", "))
	}
	return found(Cause, seen...).where("{bridge}", b.Name)
}

// floods reports whether a bridge lets the group through everywhere: RFC 4541
// section 2.1.2.
func (s *Snapshot) floods() bool {
	a := s.Question.Group.As16()
	return s.Question.Group.IsLinkLocalMulticast() && (s.Question.Group.Is4() || a[15] == 1)
}

func lookBridgeQuerier(s *Snapshot) verdict {
	if s.lacks(FacilityBridge) || s.Bridge == nil {
		return unknown
	}
	b := s.Bridge
	if !b.Snooping || b.Querier {
		return well
	}
	return found(Risk, fmt.Sprintf("%s snoops, and knows no querier: it floods every group to every port", b.Name)).where("{bridge}", b.Name)
}
