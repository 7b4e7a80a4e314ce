package main

import (
	"bytes"
	"strconv"
	"testing"

	"github.com/fanlight-io/fanlight/doctor"
)

func itoa(n int) string { return strconv.Itoa(n) }

// TestDoctorPage compares what people see.
func TestDoctorPage(t *testing.T) {
	for name, r := range map[string]doctor.Report{
		"well": {
			Group: "239.1.1.1", Interface: "eth0", WindowMS: 5000, Counts: doctor.Counts{Arrived: 1, Delivered: 1, Sockets: 1},
			Well: []doctor.Check{{ID: "link_down", Well: "the interface is up"}},
		},
		"findings": {
			Group: "ff15::1:1", Source: "2001:db8::1", Port: 5000, Interface: "eth0", WindowMS: 300,
			Counts: doctor.Counts{Arrived: 200, Sent: 3, Delivered: 200, Sockets: 2, Dropped: 7},
			Findings: []doctor.Finding{{
				ID: "socket_overflow", Grade: doctor.Cause, Title: "the socket's buffer is full", Evidence: []string{"feed[9] lost 7 datagrams in 300ms"},
				Remedy: "look whether the program runs", Commands: []string{"sysctl -w net.core.rmem_max=8388608"},
			}, {ID: "no_querier", Grade: doctor.Risk, Title: "no querier asks at eth0", Evidence: []string{"no query"}, Remedy: "turn one on"}},
			Unchecked: []doctor.Gap{{Subject: "nftables", Why: "operation not permitted: run as root"}},
		},
		"blind": {
			Group: "239.1.1.1", Interface: "eth0", WindowMS: 5000,
			Unchecked: []doctor.Gap{{Subject: string(doctor.FacilityWire), Why: "no"}, {Subject: string(doctor.FacilityDelivery), Why: "no"}},
		},
	} {
		var w bytes.Buffer
		if err := writeDiagnosis(&w, r, name == "well"); err != nil {
			t.Fatal(err)
		}
		golden(t, "testdata/doctor/"+name+".golden", w.String())
	}
}

func TestPaint(t *testing.T) {
	if got := paint(false).grade(doctor.Cause); got != "cause" {
		t.Errorf("plain: %q", got)
	}
	if got := paint(true).grade(doctor.Cause); got != "\x1b[31mcause\x1b[0m" {
		t.Errorf("coloured: %q", got)
	}
}
