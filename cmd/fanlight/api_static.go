package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/collector"
)

// staticRequest is the body of POST /v1/groups and POST /v1/subscribers, and in
// query parameters of the same names what DELETE takes back.
type staticRequest struct {
	Domain    string `json:"domain,omitempty"`
	VLAN      string `json:"vlan,omitempty"`
	Group     string `json:"group"` // address, or a name that one group has for itself
	Interface string `json:"interface,omitempty"`
	Source    string `json:"source,omitempty"`
}

// staticAnswer says what became of a request.
type staticAnswer struct {
	Changed bool     `json:"changed"` // false: all was so already
	Ports   int      `json:"ports"`   // that are there and that the interface names
	Notes   []string `json:"notes"`
}

// controller changes static groups. allowed is the configuration's api.control.
type controller struct {
	agent   *sharedAgent
	allowed bool
}

func (c controller) addGroup(w http.ResponseWriter, r *http.Request) {
	c.change(w, func() (staticAnswer, error) {
		s, err := c.fromBody(w, r)
		if err == nil && s.Interface != "" {
			err = errBadRequest("interface: a group has none; POST /v1/subscribers takes one")
		}
		return c.add(s, err)
	})
}

func (c controller) addSubscriber(w http.ResponseWriter, r *http.Request) {
	c.change(w, func() (staticAnswer, error) {
		s, err := c.fromBody(w, r)
		if err == nil && s.Interface == "" {
			err = errBadRequest("interface: want the name or glob of a port")
		}
		return c.add(s, err)
	})
}

func (c controller) deleteGroup(w http.ResponseWriter, r *http.Request) {
	c.change(w, func() (staticAnswer, error) {
		q := r.URL.Query()
		return c.delete(c.parse(staticRequest{Domain: q.Get("domain"), VLAN: q.Get("vlan"), Group: r.PathValue("group")}))
	})
}

func (c controller) deleteSubscriber(w http.ResponseWriter, r *http.Request) {
	c.change(w, func() (staticAnswer, error) {
		q := r.URL.Query()
		s, err := c.parse(staticRequest{q.Get("domain"), q.Get("vlan"), q.Get("group"), q.Get("interface"), q.Get("source")})
		if err == nil && s.Interface == "" {
			err = errBadRequest("interface: want the one to delete")
		}
		return c.delete(s, err)
	})
}

// change answers with what do did.
func (c controller) change(w http.ResponseWriter, do func() (staticAnswer, error)) {
	if !c.allowed {
		answer(w, http.StatusForbidden, apiError{"the agent takes no changes: api.control is false in its configuration"})
		return
	}
	a, err := do()
	if err != nil {
		answerStaticError(w, err)
		return
	}
	answer(w, http.StatusOK, a)
}

func (c controller) add(s collector.Static, err error) (a staticAnswer, _ error) {
	if err != nil {
		return a, err
	}
	done, err := c.agent.AddStatic(s)
	a = staticAnswer{Changed: done.Changed > 0, Ports: done.Ports, Notes: []string{}}
	if err == nil && s.Interface != "" && done.Ports == 0 {
		a.Notes = append(a.Notes, "the domain has no such port now: it takes effect when one appears")
	}
	return a, err
}

func (c controller) delete(s collector.Static, err error) (a staticAnswer, _ error) {
	if err != nil {
		return a, err
	}
	done, err := c.agent.DeleteStatic(s)
	a = staticAnswer{Changed: done.Changed > 0, Ports: done.Ports, Notes: []string{}}
	if err == nil && done.Configured > 0 {
		a.Notes = append(a.Notes, "what 'static' in the configuration says stays")
	}
	return a, err
}

// maxStaticBody bounds a request.
const maxStaticBody = 16 << 10

func (c controller) fromBody(w http.ResponseWriter, r *http.Request) (s collector.Static, err error) {
	var in staticRequest
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxStaticBody))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return s, errBadRequest("body: want one JSON object with group, domain, vlan, interface or source: " + err.Error())
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return s, errBadRequest("body: want one JSON object, and nothing behind it")
	}
	return c.parse(in)
}

func (c controller) parse(in staticRequest) (s collector.Static, err error) {
	s.Domain, s.Interface = in.Domain, in.Interface
	if s.VLAN, err = bpf.ParseVLAN(in.VLAN); err != nil {
		return s, errBadRequest("vlan: " + err.Error())
	}
	var name string
	if s.Group, name, err = groupOrName(in.Group); err != nil {
		return s, errBadRequest(err.Error())
	}
	if name != "" || in.Group == "" {
		if s.Group, err = c.named(in.Group); err != nil {
			return s, err
		}
	}
	if in.Source != "" {
		if s.Source, err = netip.ParseAddr(in.Source); err != nil {
			return s, errBadRequest(fmt.Sprintf("source: %q is no address", in.Source))
		}
	}
	return s, nil
}

// named returns the one group that has the name for itself.
func (c controller) named(name string) (netip.Addr, error) {
	groups := c.agent.GroupsNamed(name)
	switch {
	case name == "":
		return netip.Addr{}, errBadRequest("group: want an address such as 239.1.1.1, or a name")
	case len(groups) == 0:
		return netip.Addr{}, errBadRequest(fmt.Sprintf("group: %q is neither a group, such as 239.1.1.1 or ff15::1, nor the name of one", name))
	case len(groups) > 1:
		return netip.Addr{}, errBadRequest(fmt.Sprintf("group: %d groups are called %q; say which by its address", len(groups), name))
	}
	return groups[0], nil
}

// errBadRequest is what is wrong with a request.
type errBadRequest string

func (e errBadRequest) Error() string { return string(e) }

// answerStaticError gives each error its status: 400 for what can't be meant,
// 409 for what the configuration or a limit is against.
func answerStaticError(w http.ResponseWriter, err error) {
	var bad errBadRequest
	code := http.StatusInternalServerError
	switch {
	case errors.As(err, &bad), errors.Is(err, collector.ErrInvalidStatic), errors.Is(err, collector.ErrUnknownDomain):
		code = http.StatusBadRequest
	case errors.Is(err, collector.ErrStaticRefused), errors.Is(err, collector.ErrStaticConfigured):
		code = http.StatusConflict
	case errors.Is(err, collector.ErrNotRunning):
		code = http.StatusServiceUnavailable
	}
	answer(w, code, apiError{err.Error()})
}
