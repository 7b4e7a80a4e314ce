package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/fanlight-io/fanlight/redact"
)

// namesInLogs are the attributes of log lines that hold names which policy may
// hide.
var namesInLogs = map[string]redact.Class{"domain": redact.Domain, "interface": redact.Interface, "to": redact.Interface}

// policyHandler shows names in log lines as the policy shows them in metrics,
// also where they stand in the line's error.
type policyHandler struct {
	slog.Handler
	policy *redact.Policy
}

// withPolicy returns a logger whose lines obey the policy.
func withPolicy(log *slog.Logger, p *redact.Policy) *slog.Logger {
	return slog.New(policyHandler{log.Handler(), p})
}

func (h policyHandler) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	var hidden []string // names and what stands for them, in turn
	r.Attrs(func(a slog.Attr) bool {
		if class, ok := namesInLogs[a.Key]; ok {
			hidden = append(hidden, a.Value.String(), h.policy.Show(class, a.Value.String()))
		}
		return true
	})
	texts := strings.NewReplacer(hidden...)
	r.Attrs(func(a slog.Attr) bool {
		if class, ok := namesInLogs[a.Key]; ok {
			a.Value = slog.StringValue(h.policy.Show(class, a.Value.String()))
		} else if err, ok := a.Value.Any().(error); ok {
			a.Value = slog.StringValue(texts.Replace(fmt.Sprint(err)))
		}
		out.AddAttrs(a)
		return true
	})
	return h.Handler.Handle(ctx, out)
}

// WithAttrs is for attributes that hold no names: those of exporters.
func (h policyHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return policyHandler{h.Handler.WithAttrs(attrs), h.policy}
}

func (h policyHandler) WithGroup(name string) slog.Handler {
	return policyHandler{h.Handler.WithGroup(name), h.policy}
}
