package collector

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/fanlight-io/fanlight/collector/spool"
	"github.com/fanlight-io/fanlight/redact"
)

// SinkConfig is what every exporter has besides its own keys.
type SinkConfig struct {
	// Name is what metrics, logs and `fanlight status` call the exporter; by
	// default its type, with a number from the second one on.
	Name string `yaml:"name"`
	// Filter says which events the exporter gets. Default: all.
	Filter FilterConfig `yaml:"filter"`
	// Redact is what the exporter's policy has of its own.
	Redact redact.Override `yaml:"redact"`
	// Fields are the fields that leave, besides those that records need; empty:
	// all that the policy lets out.
	Fields []string `yaml:"fields"`
	// QueueRecords bounds the records that wait in memory. Default 65536.
	QueueRecords int `yaml:"queue_records"`
	// WhenFull says which of them give way: drop_newest (default) or
	// drop_oldest.
	WhenFull string       `yaml:"when_full"`
	Batch    BatchConfig  `yaml:"batch"`
	Retry    RetryConfig  `yaml:"retry"`
	Spool    spool.Config `yaml:"spool"`
}

// BatchConfig says when records are exported.
type BatchConfig struct {
	// Records are the most that are exported at once. Default 2048.
	Records int `yaml:"records"`
	// Age is how long the first of them waits for others. Default 100ms.
	Age time.Duration `yaml:"age"`
}

// RetryConfig says when a failed export is tried again: after about First, then
// twice as long each time, up to Most; each time varies by a half.
type RetryConfig struct {
	First time.Duration `yaml:"first"` // 100ms
	Most  time.Duration `yaml:"most"`  // 30s
}

const (
	dropNewest = "drop_newest"
	dropOldest = "drop_oldest"
)

// DefaultSinkConfig returns the defaults.
func DefaultSinkConfig() SinkConfig {
	return SinkConfig{
		QueueRecords: 65536,
		WhenFull:     dropNewest,
		Batch:        BatchConfig{Records: 2048, Age: 100 * time.Millisecond},
		Retry:        RetryConfig{First: 100 * time.Millisecond, Most: 30 * time.Second},
	}
}

// validName fits a label of metrics.
var validName = regexp.MustCompile(`^[A-Za-z0-9_]{1,63}$`)

// maxBatchRecords keeps a batch in the tens of megabytes.
const maxBatchRecords = 65536

// Validate checks everything but the spool's directory. Its errors name the
// key.
func (c SinkConfig) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Name != "" && !validName.MatchString(c.Name) {
		bad("name: %q: want up to 63 letters, digits and underscores", c.Name)
	}
	if c.QueueRecords < 1 {
		bad("queue_records: %d: want a number above 0", c.QueueRecords)
	}
	if c.WhenFull != dropNewest && c.WhenFull != dropOldest {
		bad("when_full: %q is none of %s, %s", c.WhenFull, dropNewest, dropOldest)
	}
	if c.Batch.Records < 1 || c.Batch.Records > maxBatchRecords {
		bad("batch.records: %d: want 1 to %d", c.Batch.Records, maxBatchRecords)
	}
	if c.Batch.Age < 0 || c.Batch.Age > time.Minute {
		bad("batch.age: %v: want 0s to 1m", c.Batch.Age)
	}
	if c.Retry.First < time.Millisecond || c.Retry.Most < c.Retry.First {
		bad("retry: first %v, most %v: want 1ms or more, and most not below first", c.Retry.First, c.Retry.Most)
	}
	if err := c.Filter.Validate(); err != nil {
		bad("filter.%w", err)
	}
	if c.Spool.Dir != "" {
		if err := c.Spool.Validate(); err != nil {
			bad("spool: %w", err)
		}
	}
	return errors.Join(errs...)
}

// Policy returns what the exporter's policy has of its own, its choice of
// fields included.
func (c SinkConfig) Policy() redact.Override {
	o := c.Redact
	o.Fields = c.Fields
	return o
}
