package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/exporters"
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
	typ          string
	QueueRecords int
	own          exporters.Config
}

// UnmarshalYAML reads the type first, because it says which keys there may be.
func (e *eventConfig) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: an exporter is a mapping with a type", node.Line)
	}
	own := *node
	own.Content = nil
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		switch key.Value {
		case "type":
			e.typ = value.Value
		case "queue_records":
			if err := value.Decode(&e.QueueRecords); err != nil || e.QueueRecords < 1 {
				return fmt.Errorf("line %d: queue_records: want a number above 0", value.Line)
			}
		default:
			own.Content = append(own.Content, key, value)
		}
	}
	var err error
	if e.own, err = exporters.NewConfig(e.typ); err != nil {
		return fmt.Errorf("line %d: %w", node.Line, err)
	}
	if err := checkKeys(&own, e.own, "type", "queue_records"); err != nil {
		return err
	}
	if err := own.Decode(e.own); err != nil {
		return nameKey(err, &own, e.typ)
	}
	return nil
}

// nameKey adds line and key to an error of a value that reads itself, to which
// the library adds nothing.
func nameKey(err error, node *yaml.Node, typ string) error {
	var types *yaml.TypeError
	if errors.As(err, &types) {
		return err
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		fresh, newErr := exporters.NewConfig(typ)
		if newErr != nil {
			return err
		}
		one := *node
		one.Content = []*yaml.Node{key, value}
		if err := one.Decode(fresh); err != nil {
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
	return c, c.validate()
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
		errs = append(errs, fmt.Errorf("redact: %w", err))
	}
	if err := c.Metrics.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("metrics: %w", err))
	}
	for i, e := range c.Events {
		if err := e.own.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("events[%d]: %w", i, err))
		}
	}
	return errors.Join(errs...)
}
