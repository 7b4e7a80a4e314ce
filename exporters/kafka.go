package exporters

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/fanlight-io/fanlight/bytesize"
)

// KafkaConfig configures an exporter that produces to a topic of Apache Kafka.
//
// The broker has always to confirm a batch with all its in-sync replicas: fewer
// can't be asked for.
type KafkaConfig struct {
	Type string `yaml:"type"`
	// Brokers are host:port of some brokers; the others are learnt from them.
	Brokers []string `yaml:"brokers"`
	// Topic must exist: it is never created.
	Topic string `yaml:"topic"`
	// Format is what the value of a record is; native by default.
	Format Format `yaml:"format"`
	// Key says by what records keep their order: group, flow (source and group),
	// domain, or none.
	Key string `yaml:"key"`
	// Compression of batches is none, gzip, snappy, lz4 or zstd.
	Compression string `yaml:"compression"`
	// CompressionLevel is as the compression numbers it; 0 means its default.
	CompressionLevel int `yaml:"compression_level"`
	// MaxBatchBytes is how large a batch may be before compression. It should be
	// no more than the topic's max.message.bytes.
	MaxBatchBytes bytesize.Size `yaml:"max_batch_bytes"`
	// MaxRecordBytes is how large a record may be. Larger ones go to DeadLetter.
	MaxRecordBytes bytesize.Size `yaml:"max_record_bytes"`
	// Timeout bounds connecting, and each request.
	Timeout time.Duration `yaml:"timeout"`
	// ClientID names us in the broker's logs and quotas.
	ClientID string `yaml:"client_id"`
	// MetadataRefresh is how often leaders are asked for without a reason.
	MetadataRefresh time.Duration `yaml:"metadata_refresh"`

	TLS        KafkaTLS         `yaml:"tls"`
	SASL       KafkaSASL        `yaml:"sasl"`
	DeadLetter DeadLetterConfig `yaml:"dead_letter"`
}

// KafkaTLS is TLS that is off unless it is enabled.
type KafkaTLS struct {
	Enabled   bool `yaml:"enabled"`
	TLSConfig `yaml:",inline"`
}

func defaultKafka() *KafkaConfig {
	return &KafkaConfig{
		Key: keyGroup, Compression: "lz4", MaxBatchBytes: 1e6, MaxRecordBytes: 900e3,
		Timeout: 10 * time.Second, ClientID: product, MetadataRefresh: 5 * time.Minute,
	}
}

// Bounds of a batch: Kafka counts bytes in 31 bits, and a batch has to hold a
// record with its headers.
const (
	minBatchBytes = 1 << 10
	maxBatchBytes = 100 << 20
)

// Validate checks everything but brokers and files.
func (c *KafkaConfig) Validate() error {
	if err := errors.Join(c.validateBrokers(), validateTopic(c.Topic)); err != nil {
		return err
	}
	switch {
	case !slices.Contains(kafkaKeys, c.Key):
		return fmt.Errorf("key %q: want one of %s", c.Key, strings.Join(kafkaKeys, ", "))
	case c.MaxBatchBytes < minBatchBytes || c.MaxBatchBytes > maxBatchBytes:
		return fmt.Errorf("max_batch_bytes %s: want %s to %s", c.MaxBatchBytes, bytesize.Size(minBatchBytes), bytesize.Size(maxBatchBytes))
	case c.MaxRecordBytes < 1 || c.MaxRecordBytes > c.MaxBatchBytes-batchHeaderBytes:
		return fmt.Errorf("max_record_bytes %s: want 1 to %d bytes less than max_batch_bytes", c.MaxRecordBytes, batchHeaderBytes)
	case c.Timeout < minKafkaTimeout:
		return fmt.Errorf("timeout %s: want %s or more", c.Timeout, minKafkaTimeout)
	case c.MetadataRefresh < time.Second:
		return fmt.Errorf("metadata_refresh %s: want 1s or more", c.MetadataRefresh)
	case !c.TLS.Enabled && c.TLS.TLSConfig != (TLSConfig{}):
		return errors.New("tls: has keys, but enabled is false")
	case c.SASL.Mechanism == saslPlain && !c.TLS.Enabled:
		return errors.New("sasl: mechanism PLAIN sends the password in clear: enable tls, or use SCRAM-SHA-512")
	}
	if err := c.TLS.Validate(); err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	if err := c.SASL.validate(); err != nil {
		return fmt.Errorf("sasl: %w", err)
	}
	if err := c.DeadLetter.validate(); err != nil {
		return fmt.Errorf("dead_letter: %w", err)
	}
	if err := validateCompression(c.Compression, c.CompressionLevel); err != nil {
		return err
	}
	return c.Format.Validate()
}

// minKafkaTimeout leaves the broker time to wait for its replicas.
const minKafkaTimeout = 100 * time.Millisecond

func (c *KafkaConfig) validateBrokers() error {
	if len(c.Brokers) == 0 {
		return errors.New("brokers is missing")
	}
	for _, b := range c.Brokers {
		if host, port, err := net.SplitHostPort(b); err != nil || host == "" || port == "" {
			return fmt.Errorf("brokers: %q: want host:port", b)
		}
	}
	return nil
}

// validateTopic checks a name by the rules of Kafka.
func validateTopic(name string) error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	switch {
	case name == "":
		return errors.New("topic is missing")
	case name == "." || name == ".." || len(name) > 249 || strings.Trim(name, letters) != "":
		return fmt.Errorf("topic %q: want up to 249 letters, digits, dots, underscores and dashes", name)
	}
	return nil
}

// Open checks the files of secrets and certificates. It does not connect: the
// first batch does.
func (c *KafkaConfig) Open() (Exporter, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	k := &kafkaExporter{config: *c, lanes: map[int32]*lane{}}
	k.config.Brokers = slices.Clone(c.Brokers)
	if err := k.config.checkFiles(); err != nil {
		return nil, err
	}
	pack, err := newBatchPacker(c.Compression, c.CompressionLevel)
	if err != nil {
		return nil, err
	}
	k.batches = newBatchEncoder(&k.config, pack)
	k.links = newKafkaLinks(&k.config, &k.counts)
	if k.dead, err = c.DeadLetter.open(c.Format); err != nil {
		return nil, fmt.Errorf("dead_letter: %w", err)
	}
	return k, nil
}

// checkFiles reads what each connection will read again.
func (c *KafkaConfig) checkFiles() error {
	if c.TLS.Enabled {
		if _, err := c.TLS.load(); err != nil {
			return fmt.Errorf("tls: %w", err)
		}
	}
	if _, err := c.SASL.mechanism(); err != nil {
		return fmt.Errorf("sasl: %w", err)
	}
	return nil
}

// Counts yields the counters that [Counter] promises.
func (k *kafkaExporter) Counts() iter.Seq2[string, uint64] { return k.counts.all() }

// Reopen checks secrets and certificates, and makes the next Export connect
// anew with them. It does not wait for an Export that is under way.
func (k *kafkaExporter) Reopen() error {
	if k.shut.Load() {
		return ErrClosed
	}
	k.renew.Store(true)
	return errors.Join(k.config.checkFiles(), k.dead.Reopen())
}

// Close waits for an Export that is under way, and closes the connections.
func (k *kafkaExporter) Close(ctx context.Context) error {
	k.shut.Store(true)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.links.close()
	return k.dead.Close(ctx)
}
