package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// eventOutputs are the formats of events, the default first.
var eventOutputs = []string{"compact", "json", "table", "dict"}

// eventPrinters make what prints lines of a stream.
var eventPrinters = map[string]func(w *bufio.Writer, colors bool) func(line []byte) error{
	"compact": compactPrinter,
	"json":    jsonPrinter,
	"table":   tablePrinter,
	"dict":    dictPrinter,
}

// jsonPrinter passes lines on.
func jsonPrinter(w *bufio.Writer, _ bool) func([]byte) error {
	return func(line []byte) error {
		_, err := w.Write(line)
		return err
	}
}

// tablePrinter writes columns of a constant width: nobody knows what comes.
func tablePrinter(w *bufio.Writer, _ bool) func([]byte) error {
	const row = "%-12s  %-22s  %-15s  %-18s  %-18s  %-10s  %-16s  %9s  %9s  %s\n"
	fmt.Fprintf(w, row, "TIME", "EVENT", "GROUP", "SOURCE", "SUBSCRIBER", "INTERFACE", "REASON", "PACKETS", "COPIES", "FAILED")
	var e shownEvent
	return func(line []byte) error {
		if err := e.parse(line); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w, row, clock(e.Time, time.Now()), e.Kind+"/"+e.Action, orDash(e.groupName()), orDash(shortName(e.Source)),
			orDash(shortName(e.Host)), orDash(shortName(e.Interface)), orDash(e.Reason), number(e.Packets), number(e.Copies), number(e.Failures))
		return err
	}
}

func number(n uint64) string {
	if n == 0 {
		return "-"
	}
	return strconv.FormatUint(n, 10)
}

// dictPrinter writes a line per field, in the order of the record, and an empty
// line behind each event.
func dictPrinter(w *bufio.Writer, _ bool) func([]byte) error {
	return func(line []byte) error {
		d := json.NewDecoder(bytes.NewReader(line))
		if _, err := d.Token(); err != nil { // the brace
			return fmt.Errorf("read the agent's answer: %w", err)
		}
		for d.More() {
			name, err := d.Token()
			var value json.RawMessage
			if err == nil {
				err = d.Decode(&value)
			}
			if err != nil {
				return fmt.Errorf("read the agent's answer: %w", err)
			}
			text := string(value)
			var plain string
			if json.Unmarshal(value, &plain) == nil {
				text = plain
			}
			fmt.Fprintf(w, "%18s: %s\n", name, text)
		}
		return w.WriteByte('\n')
	}
}
