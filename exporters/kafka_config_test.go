package exporters

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestKafkaConfig(t *testing.T) {
	for want, change := range map[string]func(*KafkaConfig){
		"":                                   func(*KafkaConfig) {},
		"brokers is missing":                 func(c *KafkaConfig) { c.Brokers = nil },
		`brokers: "kafka": want host:port`:   func(c *KafkaConfig) { c.Brokers = []string{"kafka"} },
		"topic is missing":                   func(c *KafkaConfig) { c.Topic = "" },
		`topic "a b"`:                        func(c *KafkaConfig) { c.Topic = "a b" },
		`topic ".."`:                         func(c *KafkaConfig) { c.Topic = ".." },
		`format "xml"`:                       func(c *KafkaConfig) { c.Format = "xml" },
		`key "host": want one of group`:      func(c *KafkaConfig) { c.Key = "host" },
		`compression "rar"`:                  func(c *KafkaConfig) { c.Compression = "rar" },
		"compression_level 10: want 0 to 9":  func(c *KafkaConfig) { c.CompressionLevel = 10 },
		"compression_level 1: want 0 to 0":   func(c *KafkaConfig) { c.Compression, c.CompressionLevel = "snappy", 1 },
		"max_batch_bytes 10":                 func(c *KafkaConfig) { c.MaxBatchBytes = 10 },
		"max_record_bytes 1000000":           func(c *KafkaConfig) { c.MaxRecordBytes = 1e6 },
		"timeout 1ms":                        func(c *KafkaConfig) { c.Timeout = time.Millisecond },
		"metadata_refresh 0s":                func(c *KafkaConfig) { c.MetadataRefresh = 0 },
		"tls: has keys, but enabled":         func(c *KafkaConfig) { c.TLS.CAFile = "ca.pem" },
		"tls: cert_file and key_file":        func(c *KafkaConfig) { c.TLS.Enabled, c.TLS.CertFile = true, "c" },
		"sasl: mechanism is missing":         func(c *KafkaConfig) { c.SASL.Username = "u" },
		`sasl: mechanism "GSSAPI"`:           func(c *KafkaConfig) { c.SASL.Mechanism = "GSSAPI" },
		"sasl: mechanism PLAIN sends":        func(c *KafkaConfig) { c.SASL.Mechanism = saslPlain },
		"sasl: username and username_file":   func(c *KafkaConfig) { c.SASL.Mechanism = saslScram256 },
		"sasl: password_file is missing":     func(c *KafkaConfig) { c.SASL.Mechanism, c.SASL.Username = saslScram512, "u" },
		"dead_letter: path is missing":       func(c *KafkaConfig) { c.DeadLetter.Keep = 1 },
		"dead_letter: keep, keep_bytes and ": func(c *KafkaConfig) { c.DeadLetter.Path, c.DeadLetter.Keep = "p", 1 },
	} {
		c := defaultKafka()
		c.Brokers, c.Topic = []string{"kafka:9092"}, "events"
		change(c)
		err := c.Validate()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// Secrets are for their owner, and checked before anything starts.
func TestKafkaSecrets(t *testing.T) {
	dir := t.TempDir()
	password, user := filepath.Join(dir, "password"), filepath.Join(dir, "user")
	open := func() error {
		c := defaultKafka()
		c.Brokers, c.Topic = []string{"kafka:9092"}, "events"
		c.SASL = KafkaSASL{Mechanism: saslScram512, UsernameFile: user, PasswordFile: password}
		e, err := c.Open()
		if err == nil {
			e.Close(t.Context())
		}
		return err
	}
	wantError := func(want string) {
		t.Helper()
		if err := open(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter") {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	wantError("username_file: ")
	writeFile(t, user, "me\r\n", 0o600)
	wantError("password_file: ")
	writeFile(t, password, "\nhunter", 0o600)
	wantError("first line is empty")
	writeFile(t, password, "hunter2\nnotes", 0o600)
	if err := open(); err != nil {
		t.Error(err)
	}
	if err := os.Chmod(password, 0o644); err != nil {
		t.Fatal(err)
	}
	wantError("may be read by others")
}
