package exporters

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"github.com/google/go-cmp/cmp"
	"github.com/segmentio/kafka-go"
)

// groupsOf returns n records, numbered from first on, of some groups in turn.
func groupsOf(t testing.TB, first, n, groups int) []redact.Record {
	t.Helper()
	events := redacttest.Busy(first, n)
	for i := range events {
		events[i].Group = netip.AddrFrom4([4]byte{233, 252, 1, byte((first + i) % groups)})
	}
	return redacttest.Policy(t, redact.DefaultProfile).Apply(nil, events)
}

// openKafka opens an exporter that the test may change the configuration of.
func openKafka(t testing.TB, address, topic string, change ...func(*KafkaConfig)) *kafkaExporter {
	t.Helper()
	c := defaultKafka()
	c.Type, c.Brokers, c.Topic, c.Timeout = "kafka", []string{address}, topic, 5*time.Second
	for _, f := range change {
		f(c)
	}
	e, err := c.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close(context.Background()) })
	return e.(*kafkaExporter)
}

func countsOf(c Counter) map[string]uint64 { return maps.Collect(c.Counts()) }

// eventIDOf is what the record of an event is known by.
func eventIDOf(r *redact.Record) string { return string(r.AppendText(nil, fieldEventID)) }

// wantRecords checks what came in, record by record: value, key, headers, time,
// partition, and the order in each partition.
func wantRecords(t *testing.T, batch []redact.Record, f Format, partitions int, got []kcatRecord) {
	t.Helper()
	want := make([][]kcatRecord, partitions)
	enc := f.encoder()
	for i := range batch {
		r := &batch[i]
		p := partitionOf([]byte(r.Key()), partitions)
		want[p] = append(want[p], kcatRecord{
			Partition: p, Offset: int64(len(want[p])), TS: int64(r.Number(fieldTime) / 1e6), Key: r.Key(), Payload: string(enc.append(nil, r)),
			Headers: []string{
				"schema", "fanlight.event", "schema_version", strconv.Itoa(redact.SchemaVersion), "content-type", contentTypes[f],
				"kind", r.Kind(), "event_id", eventIDOf(r),
			},
		})
	}
	have := make([][]kcatRecord, partitions)
	for _, r := range got {
		have[r.Partition] = append(have[r.Partition], r)
	}
	if d := cmp.Diff(want, have); d != "" {
		t.Errorf("records by partition (-want +got):\n%s", d)
	}
}

func TestKafkaDeliversEachRecord(t *testing.T) {
	b := needBroker(t)
	const partitions = 3
	for _, compression := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		for _, level := range []int{0, levels[compression]} {
			t.Run(fmt.Sprint(compression, level), func(t *testing.T) {
				topic := b.topic(t, partitions)
				k := openKafka(t, b.plain, topic, func(c *KafkaConfig) {
					c.Compression, c.CompressionLevel, c.MaxBatchBytes, c.MaxRecordBytes = compression, level, 20e3, 10e3
				})
				batch := groupsOf(t, 0, 300, 20) // several requests, for the size of batches
				mustExport(t, k, batch)
				wantRecords(t, batch, Native, partitions, b.read(t, topic))
			})
		}
	}
}

func TestKafkaFormats(t *testing.T) {
	b := needBroker(t)
	batch := redacttest.Records(t)
	for _, f := range Formats() {
		topic := b.topic(t, 2)
		k := openKafka(t, b.plain, topic, func(c *KafkaConfig) { c.Format = f })
		mustExport(t, k, batch)
		wantRecords(t, batch, f, 2, b.read(t, topic))
	}
}

// librdkafka puts the same keys into the same partitions.
func TestKafkaPartitionsAgreeWithOthers(t *testing.T) {
	b := needBroker(t)
	const partitions = 7
	topic := b.topic(t, partitions)
	batch := groupsOf(t, 0, 100, 100)
	lines := ""
	for i := range batch {
		lines += batch[i].Key() + "=" + strconv.Itoa(i) + "\n"
	}
	cmd := exec.Command("kcat", "-b", b.plain, "-P", "-t", topic, "-K", "=", "-X", "partitioner=murmur2_random")
	cmd.Stdin = strings.NewReader(lines)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("kcat: %v: %s", err, out)
	}
	used := map[int32]bool{}
	got := b.read(t, topic)
	for _, r := range got {
		used[r.Partition] = true
		if p := partitionOf([]byte(r.Key), partitions); p != r.Partition {
			t.Errorf("key %s: partition %d, for librdkafka %d", r.Key, p, r.Partition)
		}
	}
	if len(got) != len(batch) || len(used) != partitions {
		t.Errorf("%d records in %d partitions", len(got), len(used))
	}
}

func TestKafkaKeys(t *testing.T) {
	b := needBroker(t)
	batch := groupsOf(t, 0, 4, 2)
	group := batch[0].Text(fieldGroup)
	for key, want := range map[string]string{
		keyGroup: group, keyFlow: batch[0].Text(fieldSource) + " " + group, keyDomain: "lab", keyNone: "",
	} {
		topic := b.topic(t, 2)
		k := openKafka(t, b.plain, topic, func(c *KafkaConfig) { c.Key = key })
		for range 2 {
			mustExport(t, k, batch)
		}
		got := b.read(t, topic)
		partitions, keys := map[int32]int{}, map[string]bool{}
		for _, r := range got {
			partitions[r.Partition]++
			keys[r.Key] = true
		}
		if len(got) != 2*len(batch) || !keys[want] {
			t.Errorf("key %s: got %v of %d records, want %q", key, keys, len(got), want)
		}
		if key == keyNone && (partitions[0] != 4 || partitions[1] != 4) {
			t.Errorf("records without a key by partition: %v", partitions)
		}
	}
}

// Each way in; and the wrong password, certificate or topic, until it is right.
func TestKafkaWaysIn(t *testing.T) {
	b := needBroker(t)
	trust := func(c *KafkaConfig) { c.TLS = KafkaTLS{Enabled: true, TLSConfig: TLSConfig{CAFile: b.ca}} }
	password := filepath.Join(t.TempDir(), "password")
	user := func(mechanism string) func(*KafkaConfig) {
		return func(c *KafkaConfig) {
			c.SASL = KafkaSASL{Mechanism: mechanism, Username: brokerUser, PasswordFile: password}
		}
	}
	for name, way := range map[string]struct {
		address string
		change  []func(*KafkaConfig)
	}{
		"plain":             {b.plain, nil},
		"tls":               {b.tls, []func(*KafkaConfig){trust}},
		"mtls":              {b.mtls, []func(*KafkaConfig){trust, func(c *KafkaConfig) { c.TLS.CertFile, c.TLS.KeyFile = b.cert, b.key }}},
		"scram-256":         {b.scram, []func(*KafkaConfig){user(saslScram256)}},
		"scram-512":         {b.scram, []func(*KafkaConfig){user(saslScram512)}},
		"sasl_tls plain":    {b.sasl, []func(*KafkaConfig){trust, user(saslPlain)}},
		"sasl_tls scram512": {b.sasl, []func(*KafkaConfig){trust, user(saslScram512)}},
	} {
		t.Run(name, func(t *testing.T) {
			writeFile(t, password, brokerPassword+"\n", 0o600)
			topic := b.topic(t, 1)
			k := openKafka(t, way.address, topic, way.change...)
			batch := redacttest.Many(t, 0, 3)
			mustExport(t, k, batch)
			wantRecords(t, batch, Native, 1, b.read(t, topic))
			if k.config.SASL.Mechanism != "" {
				wantMended(t, b, k, topic, errAuthentication, "authentication_failed",
					func() { writeFile(t, password, "wrong", 0o600) }, func() { writeFile(t, password, brokerPassword, 0o600) })
			}
		})
	}
}

// wantMended breaks something, sees the error and its count, mends it, and sees
// delivery without a restart.
func wantMended(t *testing.T, b *broker, k *kafkaExporter, topic string, want error, count string, ruin, mend func()) {
	t.Helper()
	before, batch := len(b.read(t, topic)), redacttest.Many(t, 10, 2)
	counted := countsOf(k)[count]
	ruin()
	k.Reopen() // what was agreed before would go on
	for range 2 {
		err := k.Export(t.Context(), batch)
		if !errors.Is(err, want) || IsPermanent(err) {
			t.Fatalf("error: want %v, got %v", want, err)
		}
		if strings.Contains(err.Error(), brokerPassword) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error with a password, or of several lines: %v", err)
		}
	}
	if n := countsOf(k)[count]; n != counted+2 {
		t.Errorf("%s: counted %d, want 2 more than %d", count, n, counted)
	}
	mend()
	mustExport(t, k, batch)
	if got := len(b.read(t, topic)); got != before+len(batch) {
		t.Errorf("records: want %d, got %d", before+len(batch), got)
	}
}

func TestKafkaCertificates(t *testing.T) {
	b := needBroker(t)
	dir := t.TempDir()
	ca, cert, key := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	copyFile := func(to, from string) { writeFile(t, to, string(readFile(t, from)), 0o600) }
	good := func() { copyFile(ca, b.ca); copyFile(cert, b.cert); copyFile(key, b.key) }
	good()
	topic := b.topic(t, 1)
	k := openKafka(t, b.mtls, topic, func(c *KafkaConfig) {
		c.TLS = KafkaTLS{Enabled: true, TLSConfig: TLSConfig{CAFile: ca, CertFile: cert, KeyFile: key}}
	})
	t.Run("ours is not trusted any more", func(t *testing.T) {
		wantMended(t, b, k, topic, errAuthentication, "authentication_failed",
			func() { copyFile(cert, b.foreignCert); copyFile(key, b.foreignKey) }, good)
	})
	t.Run("the broker revokes its trust", func(t *testing.T) {
		dial := func() error {
			link, err := dialKafka(t.Context(), &k.config, b.mtls)
			if err == nil {
				link.conn.Close()
			}
			return err
		}
		wantMended(t, b, k, topic, errAuthentication, "authentication_failed",
			func() { b.trust(t, b.at("other.pem")); waitFor(t, func() bool { return dial() != nil }) },
			func() { b.trust(t, b.ca); waitFor(t, func() bool { return dial() == nil }) })
	})
	t.Run("the broker's is of an unknown authority", func(t *testing.T) {
		wantMended(t, b, k, topic, errAuthentication, "authentication_failed", func() { copyFile(ca, b.at("other.pem")) }, good)
	})
	t.Run("a file is gone", func(t *testing.T) {
		writeFile(t, ca, "", 0o600)
		if err := k.Reopen(); err == nil || !strings.Contains(err.Error(), "ca_file") {
			t.Errorf("reopen: %v", err)
		}
		good()
		if err := k.Reopen(); err != nil {
			t.Error(err)
		}
		mustExport(t, k, redacttest.Many(t, 0, 1))
	})
}

// The broker would create topics, but we don't ask for that.
func TestKafkaWrongTopic(t *testing.T) {
	b := needBroker(t)
	k := openKafka(t, b.plain, "no-such-topic")
	batch := redacttest.Many(t, 0, 5)
	for range 2 {
		err := k.Export(t.Context(), batch)
		if !errors.Is(err, kafka.UnknownTopicOrPartition) || IsPermanent(err) || !strings.Contains(err.Error(), `topic "no-such-topic"`) {
			t.Fatalf("error: %v", err)
		}
	}
	if n := countsOf(k)["topic_missing"]; n != 2 {
		t.Errorf("topic_missing: %d", n)
	}
	b.create(t, "no-such-topic", 1)
	mustExport(t, k, batch)
	wantRecords(t, batch, Native, 1, b.read(t, "no-such-topic"))
}

// The topic takes less than we would send at once, and less than one record.
func TestKafkaOversize(t *testing.T) {
	b := needBroker(t)
	topic := b.topic(t, 1, kafka.ConfigEntry{ConfigName: "max.message.bytes", ConfigValue: "4000"})
	path := filepath.Join(t.TempDir(), "refused.jsonl")
	k := openKafka(t, b.plain, topic, func(c *KafkaConfig) {
		c.Compression, c.MaxRecordBytes, c.DeadLetter.Path = "none", 20e3, path
	})
	events := redacttest.Busy(0, 40)
	events[7].Domain = strings.Repeat("large", 1000)   // the broker says so
	events[23].Domain = strings.Repeat("larger", 9000) // we do
	batch := redacttest.Policy(t, redact.DefaultProfile).Apply(nil, events)

	err := k.Export(t.Context(), batch)
	var u *Undelivered
	if !errors.As(err, &u) || len(u.Retry) > 0 || !maps.Equal(u.Refused, map[string]int{"oversize": 2}) {
		t.Fatalf("error: %v, %+v", err, u)
	}
	refused := append(append([]redact.Record{}, batch[23]), batch[7]) // as they were found, in any order
	lines := appendLines(nil, native{}, refused)
	back := appendLines(nil, native{}, []redact.Record{batch[7], batch[23]})
	if got := readFile(t, path); !bytes.Equal(got, lines) && !bytes.Equal(got, back) {
		t.Errorf("dead letters: %d bytes, want %d", len(got), len(lines))
	}
	var rest []redact.Record
	for i := range batch {
		if i != 7 && i != 23 {
			rest = append(rest, batch[i])
		}
	}
	wantRecords(t, rest, Native, 1, b.read(t, topic))
	if c := countsOf(k); c["dead_lettered"] != 2 || c["split"] == 0 {
		t.Errorf("counts: %v", c)
	}
}

// A compacted topic takes no record without a key: the broker names it, and
// the others of its batch are stored.
func TestKafkaRejectedRecord(t *testing.T) {
	b := needBroker(t)
	topic := b.topic(t, 1, kafka.ConfigEntry{ConfigName: "cleanup.policy", ConfigValue: "compact"})
	k := openKafka(t, b.plain, topic)
	events := redacttest.Busy(0, 5)
	events[2].Group, events[2].Domain = netip.Addr{}, ""
	batch := redacttest.Policy(t, redact.DefaultProfile).Apply(nil, events)
	if batch[2].Key() != "" {
		t.Fatalf("the record has the key %q", batch[2].Key())
	}
	err := k.Export(t.Context(), batch)
	var u *Undelivered
	if !errors.As(err, &u) || len(u.Retry) > 0 || !maps.Equal(u.Refused, map[string]int{"rejected": 1}) {
		t.Fatalf("error: %v", err)
	}
	wantRecords(t, append(batch[:2:2], batch[3:]...), Native, 1, b.read(t, topic))
}

// A topic may refuse old times; a wrong clock is no reason to lose an event.
func TestKafkaRefusedTimes(t *testing.T) {
	b := needBroker(t)
	topic := b.topic(t, 1, kafka.ConfigEntry{ConfigName: "message.timestamp.before.max.ms", ConfigValue: "1000"})
	k := openKafka(t, b.plain, topic)
	batch := redacttest.Many(t, 0, 5)
	mustExport(t, k, batch)
	got := b.read(t, topic)
	if len(got) != len(batch) || got[4].TS != noTimestamp || countsOf(k)["timeless"] != 1 {
		t.Errorf("got %+v, counts %v", got, countsOf(k))
	}
}

// What the dead letters can't take comes again.
func TestKafkaDeadLetterFails(t *testing.T) {
	b := needBroker(t)
	path := filepath.Join(t.TempDir(), "refused.jsonl")
	k := openKafka(t, b.plain, b.topic(t, 1), func(c *KafkaConfig) { c.MaxRecordBytes, c.DeadLetter.Path = 100, path })
	k.dead.file.Close(t.Context())
	var u *Undelivered
	if err := k.Export(t.Context(), redacttest.Many(t, 0, 2)); !errors.As(err, &u) || len(u.Retry) != 2 || len(u.Refused) > 0 {
		t.Fatalf("error: %v", err)
	}
}
