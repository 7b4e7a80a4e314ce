package redact

import (
	"net/netip"
	"strings"
)

// Profile names a built-in policy.
type Profile string

// The built-in profiles.
const (
	// DefaultProfile replaces addresses of sources and hosts by pseudonyms and
	// keeps groups, interfaces, queriers and amounts, so dashboards stay useful.
	DefaultProfile Profile = "default"
	// StrictProfile replaces groups and names too, and keeps what happened,
	// when and how much.
	StrictProfile Profile = "strict"
	// SIEMProfile keeps every address an address, for systems whose schema
	// demands one: those of hosts become others, in the same subnets. It is an
	// example to adapt.
	SIEMProfile Profile = "siem"
	// RevealProfile keeps everything. It must be asked for by name.
	RevealProfile Profile = "reveal"
)

var profileNames = []Profile{DefaultProfile, StrictProfile, SIEMProfile, RevealProfile}

// Profiles returns the built-in profiles.
func Profiles() []Profile { return append([]Profile(nil), profileNames...) }

func profileList() string {
	names := make([]string, len(profileNames))
	for i, p := range profileNames {
		names[i] = string(p)
	}
	return strings.Join(names, ", ")
}

// profiles lists each profile's action per class. A class that a profile does
// not list is dropped.
//
// A querier's address stays in clear by default because it is a router or a
// switch that an operator must find. Its Ethernet address has a class of its
// own: were it tokenised like a host's, it would link the clear address to
// what the same machine joined.
var profiles = map[Profile][numClasses]action{
	DefaultProfile: {
		Public: keep, Time: keep, Counter: keep, Sequence: keep, Node: keep, Build: keep,
		Domain: keep, Segment: keep, Interface: keep, Group: keep, GroupName: keep,
		SourceAddress: pseudonym, HostAddress: pseudonym, HostMAC: pseudonym,
		QuerierAddress: keep, QuerierMAC: pseudonym,
	},
	StrictProfile: {
		Public: keep, Time: keep, Counter: keep, Sequence: keep, Node: pseudonym, Build: keep,
		Domain: pseudonym, Segment: drop, Interface: pseudonym, Group: pseudonym, GroupName: drop,
		SourceAddress: pseudonym, HostAddress: pseudonym, HostMAC: pseudonym,
		QuerierAddress: pseudonym, QuerierMAC: pseudonym,
	},
	SIEMProfile: {
		Public: keep, Time: keep, Counter: keep, Sequence: keep, Node: keep, Build: keep,
		Domain: keep, Segment: keep, Interface: keep, Group: keep, GroupName: keep,
		SourceAddress: prefixPreserving, HostAddress: prefixPreserving, HostMAC: prefixPreserving,
		QuerierAddress: keep, QuerierMAC: prefixPreserving,
	},
	RevealProfile: {
		Public: keep, Time: keep, Counter: keep, Sequence: keep, Node: keep, Build: keep,
		Domain: keep, Segment: keep, Interface: keep, Group: keep, GroupName: keep,
		SourceAddress: keep, HostAddress: keep, HostMAC: keep,
		QuerierAddress: keep, QuerierMAC: keep,
	},
}

// hostsInGroups: every IPv6 host joins the solicited-node group of each of its
// addresses, which ends in the address's last 24 bits. A profile that keeps
// groups must not let them out that way.
var hostsInGroups = Rule{
	Name: "solicited_node", Classes: []string{"group"}, Groups: []netip.Prefix{solicitedNode}, Action: prefixPreserving.String(),
}

// rules returns the rules that come after the operator's own.
func (p Profile) rules() []Rule {
	if p == DefaultProfile || p == SIEMProfile {
		return []Rule{hostsInGroups}
	}
	return nil
}

// Treatment returns what a profile does with a class: the name of an action.
func Treatment(p Profile, c Class) string {
	if c >= numClasses {
		return drop.String()
	}
	return profiles[p][c].String()
}
