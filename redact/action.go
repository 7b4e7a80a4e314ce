package redact

import (
	"fmt"
	"slices"
	"strings"
)

// action is what a policy does with a value. The zero value lets nothing out.
type action uint8

const (
	drop             action = iota
	keep                    // as it is
	mask                    // cut to a prefix, zeros behind it
	prefixPreserving        // another address of its kind, by Crypto-PAn; the key holder can undo it
	pseudonym               // keyed HMAC: the same for the same value, and nothing else
	bucket                  // rounded down
	replace                 // a fixed text or number
	numActions
)

var actionNames = [numActions]string{
	drop: "drop", keep: "keep", mask: "mask", prefixPreserving: "prefix_preserving", pseudonym: "pseudonym",
	bucket: "bucket", replace: "replace",
}

func (a action) String() string { return actionNames[a] }

// refusedActions are those that only look as if they hid something.
var refusedActions = []string{"hash", "md5", "sha1", "sha256", "sha512", "crc32", "fnv", "xxhash", "murmur", "base64", "salted_hash"}

func parseAction(s string) (action, error) {
	if i := slices.Index(actionNames[:], s); i >= 0 && s != "" {
		return action(i), nil
	}
	if slices.Contains(refusedActions, strings.ToLower(s)) {
		return 0, fmt.Errorf("action %s is refused: without a key it is undone by trying all addresses, four billion for IPv4; use pseudonym, which has a key", s)
	}
	return 0, fmt.Errorf("action %q: want one of %s", s, strings.Join(actionNames[:], ", "))
}

// Which actions make sense for which values.
var (
	forAddresses = []action{drop, keep, mask, prefixPreserving, pseudonym, replace}
	forNames     = []action{drop, keep, pseudonym, replace}
	forNumbers   = []action{drop, keep, bucket, replace}
)

var actionsFor = [numClasses][]action{
	Secret:         {drop},
	Public:         {drop, keep},
	Time:           {keep, bucket},
	Counter:        forNumbers,
	Sequence:       {keep},
	Node:           forNames,
	Build:          {drop, keep},
	Domain:         forNames,
	Segment:        {drop, keep},
	Interface:      forNames,
	Group:          forAddresses,
	GroupName:      {drop, keep},
	SourceAddress:  forAddresses,
	HostAddress:    forAddresses,
	HostMAC:        forAddresses,
	QuerierAddress: forAddresses,
	QuerierMAC:     forAddresses,
}

// isAddress reports whether values of the class are IP addresses.
func (c Class) isAddress() bool {
	return c == Group || c == SourceAddress || c == HostAddress || c == QuerierAddress
}

// isMAC reports whether values of the class are Ethernet addresses.
func (c Class) isMAC() bool { return c == HostMAC || c == QuerierMAC }

// isName reports whether values of the class are free text.
func (c Class) isName() bool { return c == Node || c == Domain || c == Interface || c == GroupName }
