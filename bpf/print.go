package bpf

import (
	"fmt"
	"io"
	"log/slog"
)

// Types that hold addresses print their name only, whatever the verb, in logs
// and in JSON: so none of them leaks by a careless line.

func hide(s fmt.State, name string) { io.WriteString(s, name) }

func hiddenJSON(name string) ([]byte, error) { return []byte(`"` + name + `"`), nil }

// Format prints the kind only; see [Event].
func (e Event) Format(s fmt.State, _ rune) { hide(s, e.String()) }

// Format prints the name of the type only.
func (MAC) Format(s fmt.State, _ rune) { hide(s, "bpf.MAC") }

// LogValue returns the name of the type only.
func (MAC) LogValue() slog.Value { return slog.StringValue("bpf.MAC") }

// MarshalJSON returns the name of the type only.
func (MAC) MarshalJSON() ([]byte, error) { return hiddenJSON("bpf.MAC") }

// Format prints the name of the type only.
func (Message) Format(s fmt.State, _ rune) { hide(s, "bpf.Message") }

// LogValue returns the name of the type only.
func (Message) LogValue() slog.Value { return slog.StringValue("bpf.Message") }

// MarshalJSON returns the name of the type only.
func (Message) MarshalJSON() ([]byte, error) { return hiddenJSON("bpf.Message") }
