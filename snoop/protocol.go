package snoop

// Protocol is a protocol and its version.
type Protocol uint8

// The protocols. The numbers may be stored; they are only ever appended to.
const (
	ProtocolOther Protocol = 0
	IGMPv1        Protocol = 1
	IGMPv2        Protocol = 2
	IGMPv3        Protocol = 3
	MLDv1         Protocol = 4
	MLDv2         Protocol = 5
	PIMv2         Protocol = 6
	MRD           Protocol = 7 // multicast router discovery, RFC 4286
	numProtocols           = 8
)

var protocolNames = [numProtocols]string{"other", "igmpv1", "igmpv2", "igmpv3", "mldv1", "mldv2", "pimv2", "mrd"}

// String returns the protocol's name as in events and metrics, such as "igmpv3".
func (p Protocol) String() string {
	if p < numProtocols {
		return protocolNames[p]
	}
	return protocolNames[ProtocolOther]
}

// sourceAware reports whether the protocol carries source lists.
func (p Protocol) sourceAware() bool { return p == IGMPv3 || p == MLDv2 }

// messageType is what a message does, whatever its protocol calls it.
type messageType uint8

const (
	messageOther messageType = iota
	messageQuery
	messageReport
	messageLeave // the "done" of MLDv1 too
	messageHello
	messageAdvertisement
	messageSolicitation
	messageTermination
	numMessageTypes
)

var messageNames = [numMessageTypes]string{
	"other", "query", "report", "leave", "hello", "advertisement", "solicitation", "termination",
}

// FilterMode says how a source list is meant.
type FilterMode uint8

// The filter modes.
const (
	Include FilterMode = 0 // only the listed sources
	Exclude FilterMode = 1 // every source but the listed ones
)

// String returns "include" or "exclude".
func (m FilterMode) String() string {
	if m == Exclude {
		return "exclude"
	}
	return "include"
}

// recordType is the type of a group record, RFC 9776 section 4.2.13.
type recordType uint8

const (
	isInclude recordType = 1
	isExclude recordType = 2
	toInclude recordType = 3
	toExclude recordType = 4
	allow     recordType = 5
	block     recordType = 6
)

func (r recordType) known() bool    { return r >= isInclude && r <= block }
func (r recordType) excludes() bool { return r == isExclude || r == toExclude }
