package main

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/collector"
)

// selection is what a request for a list asks for. Domain and name are compared
// with what the policy shows.
type selection struct {
	address netip.Addr // of the group; invalid: any
	name    string     // of the group, in lower case; "": any
	domain  string     // "": any
	vlan    string     // "": any
	sort    string     // "": by domain, VLAN and address
	limit   int        // 0: all
}

func selectionOf(q url.Values) (s selection, err error) {
	s.domain, s.vlan, s.sort = q.Get("domain"), q.Get("vlan"), q.Get("sort")
	if s.address, s.name, err = groupOrName(q.Get("group")); err != nil {
		return s, err
	}
	if _, err := bpf.ParseVLAN(s.vlan); err != nil {
		return s, fmt.Errorf("vlan: %w", err)
	}
	if limit := q.Get("limit"); limit != "" {
		if s.limit, err = strconv.Atoi(limit); err != nil || s.limit < 0 {
			return s, fmt.Errorf("limit: %q is no number of lines", limit)
		}
	}
	return s, nil
}

// groupOrName reads what people call a group: its address or its name.
func groupOrName(text string) (address netip.Addr, name string, err error) {
	address, err = netip.ParseAddr(text)
	switch {
	case err == nil && !address.IsMulticast():
		return address, "", fmt.Errorf("group: %q is no group, such as 239.1.1.1 or ff15::1", text)
	case err == nil:
		return address.Unmap().WithZone(""), "", nil
	}
	return netip.Addr{}, strings.ToLower(text), nil
}

// fits reports whether a group of the domain at that place is asked for; its
// address was looked at already.
func (s selection) fits(domain string, at place) bool {
	return (s.domain == "" || s.domain == at.domain || s.domain == domain) &&
		(s.vlan == "" || s.vlan == at.vlan) &&
		(s.name == "" || s.name == strings.ToLower(at.name))
}

// members is the agent's view of the groups that may be asked for, with all that
// is known of them; streams only with their sources.
func (s selection) members(a *sharedAgent) (collector.View, error) {
	if s.address.IsValid() {
		return a.ViewGroup(s.address)
	}
	return a.View()
}

func (s selection) streams(a *sharedAgent) (collector.View, error) {
	return a.ViewStreams(s.address)
}

// orders are the ways to sort a list, by the value of --sort.
type orders[T any] map[string]func(a, b *T) int

func (o orders[T]) names() []string { return slices.Sorted(maps.Keys(o)) }

// answerList sorts and cuts the list as asked. A name that fits nothing is an
// error: it is more often misspelt than a group that is not there.
func answerList[T any](w http.ResponseWriter, q selection, list []T, by orders[T]) {
	compare, ok := by[q.sort]
	switch {
	case q.name != "" && len(list) == 0:
		answer(w, http.StatusNotFound, apiError{fmt.Sprintf("no group that is there is called %q; say its address, or see the names in 'fanlight groups list'", q.name)})
		return
	case q.sort != "" && !ok:
		answer(w, http.StatusBadRequest, apiError{fmt.Sprintf("sort: %q is none of %s", q.sort, strings.Join(by.names(), ", "))})
		return
	case ok:
		slices.SortStableFunc(list, func(a, b T) int { return compare(&a, &b) })
	}
	if q.limit > 0 {
		list = list[:min(q.limit, len(list))]
	}
	answer(w, http.StatusOK, list)
}

// compareNames puts what has no name last.
func compareNames(a, b string) int {
	if (a == "") != (b == "") {
		return cmp.Compare(b, a)
	}
	return cmp.Compare(strings.ToLower(a), strings.ToLower(b))
}
