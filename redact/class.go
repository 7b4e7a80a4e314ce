package redact

// Class says what a field or a metric label can give away. The zero value is
// Secret, so whatever nobody classified stays inside.
type Class uint8

// The classes of fields and labels.
const (
	Secret         Class = iota // never leaves
	Public                      // fixed vocabulary: kinds, reasons, versions of protocols
	Time                        // when something happened
	Counter                     // how much
	Sequence                    // numbering of events
	Node                        // this host's own name and boot
	Build                       // what software runs here
	Domain                      // configured name of a segment
	Segment                     // VLAN ids
	Interface                   // names of this host's interfaces
	Group                       // multicast group addresses
	GroupName                   // what groups are called; leaves only with the address in clear
	SourceAddress               // who sends to a group
	HostAddress                 // who listens to a group
	HostMAC                     // Ethernet address of a listener
	QuerierAddress              // routers and switches that query: infrastructure, not hosts
	QuerierMAC                  // their Ethernet addresses
	numClasses
)

var classNames = [numClasses]string{
	Secret:         "secret",
	Public:         "public",
	Time:           "time",
	Counter:        "counter",
	Sequence:       "sequence",
	Node:           "node",
	Build:          "build",
	Domain:         "domain",
	Segment:        "segment",
	Interface:      "interface",
	Group:          "group",
	GroupName:      "groupname",
	SourceAddress:  "source",
	HostAddress:    "host",
	HostMAC:        "mac",
	QuerierAddress: "querier",
	QuerierMAC:     "queriermac",
}

// String returns the class's name, which is also the first part of its
// pseudonyms.
func (c Class) String() string {
	if c < numClasses {
		return classNames[c]
	}
	return classNames[Secret]
}

func classNamed(name string) (Class, bool) {
	for c := Secret + 1; c < numClasses; c++ {
		if classNames[c] == name {
			return c, true
		}
	}
	return Secret, false
}

// Classes returns every class, in order.
func Classes() []Class {
	all := make([]Class, numClasses)
	for c := range all {
		all[c] = Class(c)
	}
	return all
}
