package bpf

import (
	"fmt"
	"log/slog"
)

// See print.go. MemberKey has the methods of its GroupKey.

// Format prints the name of the type only.
func (GroupKey) Format(s fmt.State, _ rune) { hide(s, "bpf.GroupKey") }

// LogValue returns the name of the type only.
func (GroupKey) LogValue() slog.Value { return slog.StringValue("bpf.GroupKey") }

// MarshalJSON returns the name of the type only.
func (GroupKey) MarshalJSON() ([]byte, error) { return hiddenJSON("bpf.GroupKey") }

// MarshalText returns the name of the type only: keys of maps are written by it.
func (GroupKey) MarshalText() ([]byte, error) { return []byte("bpf.GroupKey"), nil }

// Format prints the name of the type only.
func (Forwarding) Format(s fmt.State, _ rune) { hide(s, "bpf.Forwarding") }

// LogValue returns the name of the type only.
func (Forwarding) LogValue() slog.Value { return slog.StringValue("bpf.Forwarding") }

// MarshalJSON returns the name of the type only.
func (Forwarding) MarshalJSON() ([]byte, error) { return hiddenJSON("bpf.Forwarding") }

// Format prints the name of the type only.
func (SourcePorts) Format(s fmt.State, _ rune) { hide(s, "bpf.SourcePorts") }

// LogValue returns the name of the type only.
func (SourcePorts) LogValue() slog.Value { return slog.StringValue("bpf.SourcePorts") }

// MarshalJSON returns the name of the type only.
func (SourcePorts) MarshalJSON() ([]byte, error) { return hiddenJSON("bpf.SourcePorts") }

// Format prints the name of the type only.
func (Stream) Format(s fmt.State, _ rune) { hide(s, "bpf.Stream") }

// LogValue returns the name of the type only.
func (Stream) LogValue() slog.Value { return slog.StringValue("bpf.Stream") }

// MarshalJSON returns the name of the type only.
func (Stream) MarshalJSON() ([]byte, error) { return hiddenJSON("bpf.Stream") }

// Format prints the name of the type only.
func (DropCount) Format(s fmt.State, _ rune) { hide(s, "bpf.DropCount") }

// LogValue returns the name of the type only.
func (DropCount) LogValue() slog.Value { return slog.StringValue("bpf.DropCount") }

// MarshalJSON returns the name of the type only.
func (DropCount) MarshalJSON() ([]byte, error) { return hiddenJSON("bpf.DropCount") }

// Format prints the name of the type only.
func (FailureCount) Format(s fmt.State, _ rune) { hide(s, "bpf.FailureCount") }

// LogValue returns the name of the type only.
func (FailureCount) LogValue() slog.Value { return slog.StringValue("bpf.FailureCount") }

// MarshalJSON returns the name of the type only.
func (FailureCount) MarshalJSON() ([]byte, error) { return hiddenJSON("bpf.FailureCount") }

// Format prints the name of the type only.
func (PairCount) Format(s fmt.State, _ rune) { hide(s, "bpf.PairCount") }

// LogValue returns the name of the type only.
func (PairCount) LogValue() slog.Value { return slog.StringValue("bpf.PairCount") }

// MarshalJSON returns the name of the type only.
func (PairCount) MarshalJSON() ([]byte, error) { return hiddenJSON("bpf.PairCount") }

// Format prints the name of the type only.
func (*Tables) Format(s fmt.State, _ rune) { hide(s, "bpf.Tables") }

// LogValue returns the name of the type only.
func (*Tables) LogValue() slog.Value { return slog.StringValue("bpf.Tables") }

// MarshalJSON returns the name of the type only.
func (*Tables) MarshalJSON() ([]byte, error) { return hiddenJSON("bpf.Tables") }

// Format prints the name of the type only.
func (*Datapath) Format(s fmt.State, _ rune) { hide(s, "bpf.Datapath") }

// LogValue returns the name of the type only.
func (*Datapath) LogValue() slog.Value { return slog.StringValue("bpf.Datapath") }

// MarshalJSON returns the name of the type only.
func (*Datapath) MarshalJSON() ([]byte, error) { return hiddenJSON("bpf.Datapath") }

// Format prints the name of the type only.
func (*Journal) Format(s fmt.State, _ rune) { hide(s, "bpf.Journal") }

// LogValue returns the name of the type only.
func (*Journal) LogValue() slog.Value { return slog.StringValue("bpf.Journal") }

// MarshalJSON returns the name of the type only.
func (*Journal) MarshalJSON() ([]byte, error) { return hiddenJSON("bpf.Journal") }

// Format prints the name of the type only.
func (WatchKey) Format(s fmt.State, _ rune) { hide(s, "bpf.WatchKey") }

// LogValue returns the name of the type only.
func (WatchKey) LogValue() slog.Value { return slog.StringValue("bpf.WatchKey") }

// MarshalJSON returns the name of the type only.
func (WatchKey) MarshalJSON() ([]byte, error) { return hiddenJSON("bpf.WatchKey") }
