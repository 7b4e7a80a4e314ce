package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"github.com/fanlight-io/fanlight/snoop"
)

// withCanaries sets every address in a value, at any depth.
func withCanaries(v reflect.Value) {
	if !v.CanSet() {
		return
	}
	switch p := v.Addr().Interface().(type) {
	case *netip.Addr:
		*p = redacttest.HostCanary4
		return
	case *bpf.MAC:
		*p = redacttest.MACCanary
		return
	case *[6]byte:
		*p = redacttest.MACCanary
		return
	case *[]byte:
		*p = redacttest.SourceCanary6.AsSlice()
		return
	case *time.Time:
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			withCanaries(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			withCanaries(v.Index(i))
		}
	}
}

// filled returns a value of the type with a canary in each address.
func filled[T any]() any {
	var v T
	withCanaries(reflect.ValueOf(&v).Elem())
	return v
}

// No type that holds an address shows it, alone, in a list, as a key, in an
// error or in a log. That no type is forgotten, a test of the whole tree sees.
func TestTypesWithAddressesShowNone(t *testing.T) {
	values := []any{
		filled[bpf.Event](), filled[bpf.GroupKey](), filled[bpf.MemberKey](), filled[bpf.Message](), filled[bpf.MAC](),
		filled[bpf.Forwarding](), filled[bpf.SourcePorts](), filled[bpf.Stream](), filled[bpf.DropCount](),
		filled[bpf.FailureCount](), filled[bpf.PairCount](),
		filled[snoop.Event](), filled[snoop.GroupKey](), filled[snoop.MemberKey](), filled[snoop.Group](), filled[snoop.Packet](),
		filled[snoop.PortInfo](), filled[snoop.Member](), filled[snoop.MemberSource](), filled[snoop.Host](),
		filled[snoop.MemberState](), filled[snoop.SourceState](), filled[snoop.Querier](), filled[snoop.SourcePorts](),
		filled[snoop.Forwarding](), filled[snoop.Transmit](), redact.Addr(redacttest.HostCanary4),
		map[bpf.GroupKey]int{filled[bpf.GroupKey]().(bpf.GroupKey): 1},
		map[snoop.GroupKey]snoop.Querier{filled[snoop.GroupKey]().(snoop.GroupKey): filled[snoop.Querier]().(snoop.Querier)},
		snoopTable(t),
	}
	for _, v := range values {
		list := reflect.MakeSlice(reflect.SliceOf(reflect.TypeOf(v)), 0, 1)
		list = reflect.Append(list, reflect.ValueOf(v))
		for _, v := range []any{v, list.Interface(), struct{ V any }{v}} {
			if leaks := redacttest.Leaks(printed(t, v)); len(leaks) > 0 {
				t.Errorf("%T leaks %v", v, leaks)
			}
		}
	}
	// The same in clear is found.
	if len(redacttest.Leaks(printed(t, []any{redacttest.HostCanary4}))) == 0 {
		t.Error("this test is blind")
	}
}

func printed(t *testing.T, v any) []byte {
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+"\n", v)
	}
	fmt.Fprintln(&out, v, fmt.Errorf("wrapped: %w", errors.New(fmt.Sprint(v))))
	slog.New(slog.NewTextHandler(&out, nil)).Info("text", "v", v)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "v", v)
	if err := json.NewEncoder(&out).Encode(v); err != nil {
		t.Errorf("%T: %v", v, err)
	}
	return out.Bytes()
}

// snoopTable has a member whose addresses are canaries; restoring it where it
// can't be gives an error without any.
func snoopTable(t *testing.T) *snoop.Table {
	t.Helper()
	table := snoop.New(snoop.DefaultConfig(), 0)
	key := snoop.GroupKey{Group: redacttest.GroupCanary4}
	state := snoop.MemberState{
		Mode: snoop.Include, Protocol: snoop.IGMPv3,
		Sources: []snoop.SourceState{{Address: redacttest.SourceCanary4, Expires: time.Hour}},
	}
	err := table.Restore(key, 1, state, 0)
	if err == nil || len(redacttest.StrictLeaks([]byte(err.Error()))) > 0 {
		t.Errorf("no port: %v", err)
	}
	table.AddPort(1, snoop.PortInfo{Name: "p0", MAC: redacttest.MACCanary}, 0)
	if err := table.Restore(key, 1, state, 0); err != nil {
		t.Fatal(err)
	}
	key.Group = redacttest.HostCanary4
	if err := table.Restore(key, 1, state, 0); err == nil || len(redacttest.Leaks([]byte(err.Error()))) > 0 {
		t.Errorf("no group: %v", err)
	}
	return table
}
