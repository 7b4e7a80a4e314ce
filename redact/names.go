package redact

import (
	"fmt"
	"strings"
)

// Names says what a field is called in other formats. A name may list
// alternatives: of "a|b" the first is used that the format's type of the name
// and the kind of event admit, "a,b" means a and b both. An address that the
// policy replaced by a pseudonym is none any more, so a name that demands an
// address has an alternative that takes any text.
type Names struct {
	OTel  string // log attribute; empty where the log record has a field of its own
	ECS   string // Elastic Common Schema
	OCSF  string // path in OCSF's classes
	CEF   string // extension key
	LEEF  string // attribute
	IPFIX []Element
}

// Element is an information element of IPFIX by IANA's registry.
type Element struct {
	Name   string
	Number uint16
}

// String returns name and number.
func (e Element) String() string { return fmt.Sprintf("%s(%d)", e.Name, e.Number) }

// Alternatives splits a name into what is written together, each with its
// alternatives in order.
func Alternatives(name string) [][]string {
	if name == "" {
		return nil
	}
	var all [][]string
	for one := range strings.SplitSeq(name, ",") {
		all = append(all, strings.Split(one, "|"))
	}
	return all
}
