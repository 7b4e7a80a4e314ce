package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/exporters"
	"github.com/fanlight-io/fanlight/history"
	"github.com/fanlight-io/fanlight/live"
	"github.com/fanlight-io/fanlight/redact"
)

// errConfig marks every error in a configuration.
var errConfig = errors.New("configuration")

// config is the whole file.
type config struct {
	collector.Config `yaml:",inline"`
	Metrics          metricsConfig `yaml:"metrics"`
	Events           []eventConfig `yaml:"events"`
	Redact           redact.Config `yaml:"redact"`
	API              apiConfig     `yaml:"api"`
	// History is what the API keeps of the events.
	History history.Config `yaml:"history"`
	Live    live.Config    `yaml:"live"`
}

type metricsConfig struct {
	// Listen is the address of the metrics page; empty means none.
	Listen               string `yaml:"listen"`
	redact.MetricsConfig `yaml:",inline"`
	// OTLP are receivers that metrics are sent to.
	OTLP []exporters.OTLPMetricsConfig `yaml:"otlp"`
}

// Validate checks what can be checked without touching anything.
func (c metricsConfig) Validate() error {
	errs := []error{c.MetricsConfig.Validate()}
	for i, o := range c.OTLP {
		if err := o.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("otlp[%d]: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

// eventConfig is one exporter: its type, what every exporter has, and its own
// keys.
type eventConfig struct {
	typ string
	collector.SinkConfig
	own exporters.Config
}

// sinkKeys are the keys that every exporter has.
var sinkKeys = func() map[string]reflect.Type {
	keys := map[string]reflect.Type{}
	keysOf(reflect.TypeFor[collector.SinkConfig](), keys)
	return keys
}()

// UnmarshalYAML reads the type first, because it says which keys there may be.
func (e *eventConfig) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: an exporter is a mapping with a type", node.Line)
	}
	own, common := *node, *node
	own.Content, common.Content = nil, nil
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		switch _, shared := sinkKeys[key.Value]; {
		case key.Value == "type":
			e.typ = value.Value
		case shared:
			common.Content = append(common.Content, key, value)
		default:
			own.Content = append(own.Content, key, value)
		}
	}
	var err error
	if e.own, err = exporters.NewConfig(e.typ); err != nil {
		return fmt.Errorf("line %d: %w", node.Line, err)
	}
	e.SinkConfig = collector.DefaultSinkConfig()
	if err := decodePart(&common, &e.SinkConfig, func() any { return new(collector.SinkConfig) }); err != nil {
		return err
	}
	fresh := func() any { c, _ := exporters.NewConfig(e.typ); return c }
	return decodePart(&own, e.own, fresh, append(slices.Collect(maps.Keys(sinkKeys)), "type")...)
}

// decodePart reads some keys of an exporter into a configuration of their own;
// also are the keys of the others.
func decodePart(node *yaml.Node, into any, fresh func() any, also ...string) error {
	if err := checkKeys(node, into, also...); err != nil {
		return err
	}
	if err := node.Decode(into); err != nil {
		return nameKey(err, node, fresh)
	}
	return nil
}

// nameKey adds line and key to an error of a value that reads itself, to which
// the library adds nothing.
func nameKey(err error, node *yaml.Node, fresh func() any) error {
	var types *yaml.TypeError
	if errors.As(err, &types) {
		return err
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		one := *node
		one.Content = []*yaml.Node{key, value}
		if err := one.Decode(fresh()); err != nil {
			return fmt.Errorf("line %d: %s: %w", value.Line, key.Value, err)
		}
	}
	return err
}

// loadConfig reads and validates the file. Every error wraps errConfig and
// names the file.
func loadConfig(path string) (config, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return config{}, fmt.Errorf("%w: %w", errConfig, err)
	}
	c, err := parseConfig(bytes.NewReader(raw))
	if err != nil {
		return config{}, fmt.Errorf("%w: %s: %w", errConfig, path, err)
	}
	return c, nil
}

func parseConfig(r io.Reader) (config, error) {
	var doc yaml.Node
	var c config
	if err := yaml.NewDecoder(r).Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return c, errors.New("the file is empty")
		}
		return c, err
	}
	if err := checkKeys(doc.Content[0], &c); err != nil {
		return c, err
	}
	if err := doc.Decode(&c); err != nil {
		return c, tidyYAML(err)
	}
	return c, addLines(c.validate(), doc.Content[0])
}

// tidyYAML takes the library's prefixes off its errors.
func tidyYAML(err error) error {
	var types *yaml.TypeError
	if errors.As(err, &types) {
		return errors.New(strings.Join(types.Errors, "; "))
	}
	return err
}

func (c config) validate() error {
	errs := []error{c.Config.Validate()}
	if err := c.Redact.Validate(); err != nil {
		errs = append(errs, each("redact", err)...)
	}
	if err := c.Metrics.Validate(); err != nil {
		errs = append(errs, each("metrics", err)...)
	}
	errs = append(errs, c.API.validate())
	if err := c.History.Validate(); err != nil {
		errs = append(errs, each("history", err)...)
	}
	if err := c.Live.Validate(); err != nil {
		errs = append(errs, each("live", err)...)
	}
	return errors.Join(append(errs, c.validateEvents()...)...)
}

// each puts the key in front of each error that was joined.
func each(key string, err error) (all []error) {
	for _, e := range flatten(err) {
		all = append(all, fmt.Errorf("%s: %w", key, e))
	}
	return all
}

func (c config) validateEvents() (errs []error) {
	names := map[string]bool{live.SinkName: c.Live.Listen != ""}
	if c.API.enabled() {
		names[historySink], names[revealSink] = true, true
	}
	for i, e := range c.Events {
		bad := func(err error) { errs = append(errs, each(fmt.Sprintf("events[%d]", i), err)...) }
		bad(e.own.Validate())
		bad(e.SinkConfig.Validate())
		bad(e.Policy().Validate())
		if err := c.Redact.With(e.Policy()).Validate(); err != nil && c.Redact.Validate() == nil {
			bad(errors.Join(each("redact", err)...))
		}
		name := exporterName(i, e)
		if names[name] {
			bad(fmt.Errorf("name: %q is used twice, or by the API", name))
		}
		names[name] = true
	}
	return errs
}
