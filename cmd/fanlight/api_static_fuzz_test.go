package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/collector"
)

// FuzzStaticRequest: whatever is sent, the answer is JSON with a status that
// blames the right one. The agent does not run, so nothing is ever in force.
func FuzzStaticRequest(f *testing.F) {
	c := controller{&sharedAgent{Agent: collector.New(collector.Config{}, collector.Deps{})}, true}
	f.Add([]byte(`{"group":"239.1.1.1","interface":"p0","source":"192.0.2.1","vlan":"100.7","domain":"lab"}`), "239.1.1.1", "interface=p0&source=192.0.2.1")
	f.Add([]byte(`{"group":"VRRP"} {}`), "ff15::1", "vlan=9999&group=x")
	f.Add([]byte(`{"grup":1}`), "a/b %", "%zz")
	f.Fuzz(func(t *testing.T, body []byte, path, query string) {
		for _, x := range []struct {
			method string
			do     http.HandlerFunc
		}{{"POST", c.addGroup}, {"POST", c.addSubscriber}, {"DELETE", c.deleteGroup}, {"DELETE", c.deleteSubscriber}} {
			r := httptest.NewRequest(x.method, "/v1/groups", strings.NewReader(string(body)))
			r.URL.RawQuery = query
			r.SetPathValue("group", path)
			w := httptest.NewRecorder()
			x.do(w, r)
			var e apiError
			if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || e.Error == "" {
				t.Errorf("%s: answer %q, %v", x.method, w.Body, err)
			}
			if w.Code != http.StatusBadRequest && w.Code != http.StatusServiceUnavailable {
				t.Errorf("%s: status %d: %s", x.method, w.Code, e.Error)
			}
		}
		if q, err := url.ParseQuery(query); err == nil {
			if s, err := selectionOf(q); err == nil && s.limit < 0 {
				t.Errorf("limit %d", s.limit)
			}
		}
	})
}

// TestStaticRequestIsRead: what the parts of a request become.
func TestStaticRequestIsRead(t *testing.T) {
	c := controller{&sharedAgent{Agent: collector.New(collector.Config{}, collector.Deps{})}, true}
	got, err := c.parse(staticRequest{Domain: "lab", VLAN: "100.7", Group: "MCAST-Test", Interface: "p*", Source: "192.0.2.1"})
	if err == nil {
		t.Errorf("an unknown name is %+v", got)
	}
	got, err = c.parse(staticRequest{Domain: "lab", VLAN: "100.7", Group: "ptp-primary", Interface: "p*", Source: "192.0.2.1"})
	want := collector.Static{Domain: "lab", VLAN: bpf.MakeVLAN(100, 7), Group: addr("224.0.1.129"), Interface: "p*", Source: addr("192.0.2.1")}
	if err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}
