package snoop

import (
	"fmt"
	"io"
	"log/slog"
)

// Types that hold addresses print their name only, whatever the verb, in logs
// and in JSON: so none of them leaks by a careless line. MemberKey and Group have the
// methods of their GroupKey.

func hide(s fmt.State, name string) { io.WriteString(s, name) }

func hiddenJSON(name string) ([]byte, error) { return []byte(`"` + name + `"`), nil }

// Format prints the name of the type only.
func (GroupKey) Format(s fmt.State, _ rune) { hide(s, "snoop.GroupKey") }

// LogValue returns the name of the type only.
func (GroupKey) LogValue() slog.Value { return slog.StringValue("snoop.GroupKey") }

// MarshalJSON returns the name of the type only.
func (GroupKey) MarshalJSON() ([]byte, error) { return hiddenJSON("snoop.GroupKey") }

// MarshalText returns the name of the type only: keys of maps are written by it.
func (GroupKey) MarshalText() ([]byte, error) { return []byte("snoop.GroupKey"), nil }

// Format prints the name of the type only.
func (Event) Format(s fmt.State, _ rune) { hide(s, "snoop.Event") }

// LogValue returns the name of the type only.
func (Event) LogValue() slog.Value { return slog.StringValue("snoop.Event") }

// MarshalJSON returns the name of the type only.
func (Event) MarshalJSON() ([]byte, error) { return hiddenJSON("snoop.Event") }

// Format prints the name of the type only.
func (Packet) Format(s fmt.State, _ rune) { hide(s, "snoop.Packet") }

// LogValue returns the name of the type only.
func (Packet) LogValue() slog.Value { return slog.StringValue("snoop.Packet") }

// MarshalJSON returns the name of the type only.
func (Packet) MarshalJSON() ([]byte, error) { return hiddenJSON("snoop.Packet") }

// Format prints the name of the type only.
func (PortInfo) Format(s fmt.State, _ rune) { hide(s, "snoop.PortInfo") }

// LogValue returns the name of the type only.
func (PortInfo) LogValue() slog.Value { return slog.StringValue("snoop.PortInfo") }

// MarshalJSON returns the name of the type only.
func (PortInfo) MarshalJSON() ([]byte, error) { return hiddenJSON("snoop.PortInfo") }

// Format prints the name of the type only.
func (Member) Format(s fmt.State, _ rune) { hide(s, "snoop.Member") }

// LogValue returns the name of the type only.
func (Member) LogValue() slog.Value { return slog.StringValue("snoop.Member") }

// MarshalJSON returns the name of the type only.
func (Member) MarshalJSON() ([]byte, error) { return hiddenJSON("snoop.Member") }

// Format prints the name of the type only.
func (MemberSource) Format(s fmt.State, _ rune) { hide(s, "snoop.MemberSource") }

// LogValue returns the name of the type only.
func (MemberSource) LogValue() slog.Value { return slog.StringValue("snoop.MemberSource") }

// MarshalJSON returns the name of the type only.
func (MemberSource) MarshalJSON() ([]byte, error) { return hiddenJSON("snoop.MemberSource") }

// Format prints the name of the type only.
func (Host) Format(s fmt.State, _ rune) { hide(s, "snoop.Host") }

// LogValue returns the name of the type only.
func (Host) LogValue() slog.Value { return slog.StringValue("snoop.Host") }

// MarshalJSON returns the name of the type only.
func (Host) MarshalJSON() ([]byte, error) { return hiddenJSON("snoop.Host") }

// Format prints the name of the type only.
func (MemberState) Format(s fmt.State, _ rune) { hide(s, "snoop.MemberState") }

// LogValue returns the name of the type only.
func (MemberState) LogValue() slog.Value { return slog.StringValue("snoop.MemberState") }

// MarshalJSON returns the name of the type only.
func (MemberState) MarshalJSON() ([]byte, error) { return hiddenJSON("snoop.MemberState") }

// Format prints the name of the type only.
func (SourceState) Format(s fmt.State, _ rune) { hide(s, "snoop.SourceState") }

// LogValue returns the name of the type only.
func (SourceState) LogValue() slog.Value { return slog.StringValue("snoop.SourceState") }

// MarshalJSON returns the name of the type only.
func (SourceState) MarshalJSON() ([]byte, error) { return hiddenJSON("snoop.SourceState") }

// Format prints the name of the type only.
func (Querier) Format(s fmt.State, _ rune) { hide(s, "snoop.Querier") }

// LogValue returns the name of the type only.
func (Querier) LogValue() slog.Value { return slog.StringValue("snoop.Querier") }

// MarshalJSON returns the name of the type only.
func (Querier) MarshalJSON() ([]byte, error) { return hiddenJSON("snoop.Querier") }

// Format prints the name of the type only.
func (SourcePorts) Format(s fmt.State, _ rune) { hide(s, "snoop.SourcePorts") }

// LogValue returns the name of the type only.
func (SourcePorts) LogValue() slog.Value { return slog.StringValue("snoop.SourcePorts") }

// MarshalJSON returns the name of the type only.
func (SourcePorts) MarshalJSON() ([]byte, error) { return hiddenJSON("snoop.SourcePorts") }

// Format prints the name of the type only.
func (Forwarding) Format(s fmt.State, _ rune) { hide(s, "snoop.Forwarding") }

// LogValue returns the name of the type only.
func (Forwarding) LogValue() slog.Value { return slog.StringValue("snoop.Forwarding") }

// MarshalJSON returns the name of the type only.
func (Forwarding) MarshalJSON() ([]byte, error) { return hiddenJSON("snoop.Forwarding") }

// Format prints the name of the type only.
func (Transmit) Format(s fmt.State, _ rune) { hide(s, "snoop.Transmit") }

// LogValue returns the name of the type only.
func (Transmit) LogValue() slog.Value { return slog.StringValue("snoop.Transmit") }

// MarshalJSON returns the name of the type only.
func (Transmit) MarshalJSON() ([]byte, error) { return hiddenJSON("snoop.Transmit") }

// Format prints the name of the type only.
func (*Table) Format(s fmt.State, _ rune) { hide(s, "snoop.Table") }

// LogValue returns the name of the type only.
func (*Table) LogValue() slog.Value { return slog.StringValue("snoop.Table") }

// MarshalJSON returns the name of the type only.
func (*Table) MarshalJSON() ([]byte, error) { return hiddenJSON("snoop.Table") }

// Format prints the name of the type only.
func (StaticPort) Format(s fmt.State, _ rune) { hide(s, "snoop.StaticPort") }

// LogValue returns the name of the type only.
func (StaticPort) LogValue() slog.Value { return slog.StringValue("snoop.StaticPort") }

// MarshalJSON returns the name of the type only.
func (StaticPort) MarshalJSON() ([]byte, error) { return hiddenJSON("snoop.StaticPort") }
