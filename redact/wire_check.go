package redact

import (
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/fanlight-io/fanlight/bpf"
)

// check refuses what Apply would not have made. What the record before has too
// was checked there, but for the words that belong together.
func (r *Record) check(has, same uint64, list []field) error {
	if !oneOf(actionsNamed(r.values[fieldKind].text), r.values[fieldAction].text) {
		return errors.New("kind or action is not known")
	}
	for set := has &^ same; set != 0; set &= set - 1 {
		f := list[bits.TrailingZeros64(set)]
		if !r.holds(f) {
			return fmt.Errorf("field %s holds what it must not", fields[f].Name)
		}
	}
	return nil
}

func (r *Record) holds(f field) bool {
	text, number := r.values[f].text, r.values[f].number
	switch fields[f].Type {
	case TypeWord:
		return text != "" && fitsWord(f, text)
	case TypeAddress, TypeMAC:
		return isPlain(text)
	case TypeList:
		for _, s := range r.list {
			if !isPlain(s) {
				return false
			}
		}
	case TypeTime:
		return number <= math.MaxInt64
	}
	switch f {
	case fieldRing:
		return number <= math.MaxUint32
	case fieldVLAN, fieldInnerVLAN:
		return number <= math.MaxUint16
	}
	return true // names may hold any bytes, as those of interfaces do: encoders escape them
}

func fitsWord(f field, s string) bool {
	switch f {
	case fieldProtocol:
		return oneOf(protocols, s)
	case fieldFilterMode:
		return oneOf(filterModes, s)
	case fieldDirection:
		return oneOf(directions, s)
	}
	return isIdentifier(s)
}

// isPlain reports whether s can stand in a JSON string as it is.
func isPlain(s string) bool {
	for i := range len(s) {
		if !plainByte[s[i]] {
			return false
		}
	}
	return s != ""
}

// kinds are all that events may be of.
var kinds = bpf.Kinds()

// actionsNamed returns the actions that events of the named kind may have.
func actionsNamed(kind string) []string {
	for _, k := range kinds {
		if k.String() == kind {
			return wordTable[k]
		}
	}
	return nil
}
