package main

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/redact"
)

// eventFilter chooses events. It looks at what the reader is shown of them, so
// that no answer tells more than that: where policy writes a pseudonym, only the
// pseudonym fits.
type eventFilter struct {
	only   map[string][]test // by name of the filter: one test of each must fit
	hidden []test            // none of these may
}

// test tells whether an event fits one value of a filter.
type test func(r *redact.Record) bool

// eventFilters are the filters by name, and how a value becomes a test.
var eventFilters = map[string]func(value string) (test, error){
	"type":       typeTest,
	"reason":     reasonTest,
	"group":      groupTest,
	"source":     sourceTest,
	"subscriber": subscriberTest,
	"interface":  interfaceTest,
}

// add adds a value of a filter. With not, events that fit are hidden.
func (f *eventFilter) add(name, value string, not bool) error {
	made, err := eventFilters[name](value)
	switch {
	case err != nil:
		return err
	case not:
		f.hidden = append(f.hidden, made)
		return nil
	case f.only == nil:
		f.only = map[string][]test{}
	}
	f.only[name] = append(f.only[name], made)
	return nil
}

func (f *eventFilter) passes(r *redact.Record) bool {
	fits := func(t test) bool { return t(r) }
	for _, tests := range f.only {
		if !slices.ContainsFunc(tests, fits) {
			return false
		}
	}
	return !slices.ContainsFunc(f.hidden, fits)
}

// The fields of records that are looked at.
var (
	inKind      = redact.FieldNamed("kind")
	inAction    = redact.FieldNamed("action")
	inReason    = redact.FieldNamed("reason")
	inGroup     = redact.FieldNamed("group")
	inSource    = redact.FieldNamed("source")
	inHost      = redact.FieldNamed("host")
	inInterface = redact.FieldNamed("interface")
	inTime      = redact.FieldNamed("time")
)

// typeTest reads a kind, or kind/action.
func typeTest(value string) (test, error) {
	kind, action, both := strings.Cut(value, "/")
	i := slices.IndexFunc(bpf.Kinds(), func(k bpf.Kind) bool { return k.String() == kind })
	if i < 0 {
		return nil, fmt.Errorf("no kind of events %q; want one of %v, or KIND/ACTION", kind, bpf.Kinds())
	}
	if known := redact.Actions(bpf.Kinds()[i]); both && !slices.Contains(known, action) {
		return nil, fmt.Errorf("%s has no action %q; want one of %s", kind, action, strings.Join(known, ", "))
	}
	return func(r *redact.Record) bool {
		return r.Text(inKind) == kind && (!both || r.Text(inAction) == action)
	}, nil
}

// reasonTest reads a reason, or a glob: reasons are many, and grow.
func reasonTest(value string) (test, error) { return fieldTest(value, globMatch, inReason) }

func interfaceTest(value string) (test, error) { return fieldTest(value, globMatch, inInterface) }

func groupTest(value string) (test, error) {
	if p, ok := parsePrefix(value); ok && !p.Addr().IsMulticast() {
		return nil, fmt.Errorf("%s holds no group", value)
	}
	return fieldTest(value, addressMatch, inGroup)
}

// sourceTest looks at who sends, and at the source lists of members.
func sourceTest(value string) (test, error) {
	match, err := addressMatch(value)
	if err != nil {
		return nil, err
	}
	return func(r *redact.Record) bool {
		return match(r.Text(inSource)) || slices.ContainsFunc(r.Texts(), match)
	}, nil
}

// subscriberTest looks at the host that reported, and at the port of events
// about a subscriber.
func subscriberTest(value string) (test, error) {
	host, err := fieldTest(value, addressMatch, inHost)
	if _, isPrefix := parsePrefix(value); err != nil || isPrefix {
		return host, err
	}
	port, err := interfaceTest(value)
	if err != nil {
		return nil, err
	}
	return func(r *redact.Record) bool {
		about := r.Text(inKind) == bpf.KindMembership.String() || r.Text(inAction) == "copy"
		return host(r) || about && port(r)
	}, nil
}

// fieldTest looks at one field.
func fieldTest(value string, reads func(string) (match, error), field redact.FieldID) (test, error) {
	fits, err := reads(value)
	if err != nil {
		return nil, err
	}
	return func(r *redact.Record) bool { return fits(r.Text(field)) }, nil
}

// match tells whether a text fits a value. The empty text, of a field that is
// not there, never does.
type match func(text string) bool

func globMatch(glob string) (match, error) {
	if _, err := path.Match(glob, ""); err != nil || glob == "" {
		return nil, fmt.Errorf("%q is no name or glob", glob)
	}
	return func(text string) bool {
		ok, err := path.Match(glob, text)
		return text != "" && err == nil && ok
	}, nil
}

// addressMatch reads an address, a prefix, or what policy writes instead: a word
// or a glob.
func addressMatch(value string) (match, error) {
	if prefix, ok := parsePrefix(value); ok {
		return func(text string) bool {
			a, err := netip.ParseAddr(text)
			return err == nil && prefix.Contains(a)
		}, nil
	}
	if strings.ContainsAny(value, "/: ") {
		return nil, fmt.Errorf("%q is no address, prefix, pseudonym or glob", value)
	}
	return globMatch(value)
}

// parsePrefix reads an address as the prefix that holds it alone.
func parsePrefix(value string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(value); err == nil {
		return netip.PrefixFrom(a.WithZone(""), a.BitLen()), true
	}
	p, err := netip.ParsePrefix(value)
	return p.Masked(), err == nil
}
