package exporters

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"github.com/segmentio/kafka-go/protocol"
)

// The values that Kafka's own tests hold its clients against.
func TestMurmur2(t *testing.T) {
	for key, want := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536, "a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
	} {
		if got := int32(murmur2([]byte(key))); got != want {
			t.Errorf("murmur2 of %q: want %d, got %d", key, want, got)
		}
	}
}

func newTestEncoder(t testing.TB, compression string) *batchEncoder {
	t.Helper()
	pack, err := newBatchPacker(compression, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := defaultKafka()
	return newBatchEncoder(c, pack)
}

// readBatch reads a set with one batch as the library does, and checks its
// lengths and its sum.
func readBatch(t *testing.T, set []byte) (records []protocol.Record) {
	t.Helper()
	if n := int(binary.BigEndian.Uint32(set)); n != len(set)-setPrefix {
		t.Fatalf("length of the set: %d of %d bytes", n, len(set)-setPrefix)
	}
	batch := set[setPrefix:]
	if want, got := crc32.Checksum(batch[21:], castagnoli), binary.BigEndian.Uint32(batch[17:]); want != got {
		t.Errorf("sum: want %x, got %x", want, got)
	}
	var rs protocol.RecordSet
	if _, err := rs.ReadFrom(bytes.NewReader(set)); err != nil {
		t.Fatal(err)
	}
	for {
		r, err := rs.Records.ReadRecord()
		if errors.Is(err, io.EOF) {
			return records
		}
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, *r)
	}
}

func bytesOf(t *testing.T, b protocol.Bytes) string {
	t.Helper()
	raw, err := protocol.ReadAll(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// FuzzKafkaBatch encodes records with any text and reads them back.
func FuzzKafkaBatch(f *testing.F) {
	f.Add("lab", "p0", uint64(7), uint8(3), uint8(0))
	f.Add("", "", uint64(0), uint8(1), uint8(4))
	f.Add("\xff\x00\"", "long interface name of a container", ^uint64(0), uint8(200), uint8(3))
	names := []string{"none", "gzip", "snappy", "lz4", "zstd"}
	f.Fuzz(func(t *testing.T, domain, port string, seq uint64, n, how uint8) {
		events := redacttest.Busy(0, int(n))
		for i := range events {
			events[i].Domain, events[i].Interface, events[i].Seq = domain, port, seq+uint64(i)
			if i%3 == 0 {
				events[i].Group = netip.Addr{}
			}
		}
		records := redacttest.Policy(t, redact.RevealProfile).Apply(nil, events)
		var l lane
		l.reset(1, 0, brokerNode{})
		for i := range records {
			l.places = append(l.places, i)
		}
		enc := newTestEncoder(t, names[int(how)%len(names)])
		for next := 0; len(l.places) > 0; {
			taken, tooLarge, err := enc.fill(&l, records)
			if err != nil {
				t.Fatal(err)
			}
			if taken == 0 {
				if !tooLarge {
					t.Fatal("nothing taken for no reason")
				}
				next++
				l.settle(1)
				continue
			}
			got := readBatch(t, l.batch.Bytes())
			if len(got) != taken {
				t.Fatalf("records: want %d, got %d", taken, len(got))
			}
			for i, r := range got {
				want := &records[next+i]
				if v := bytesOf(t, r.Value); v != string(want.AppendJSON(nil)) || bytesOf(t, r.Key) != want.Key() {
					t.Errorf("record %d: %q", i, v)
				}
				if len(r.Headers) != 5 || string(r.Headers[4].Value) != eventIDOf(want) || r.Offset != int64(i) {
					t.Errorf("record %d: headers %v, offset %d", i, r.Headers, r.Offset)
				}
			}
			next += taken
			l.settle(taken)
		}
	})
}

// Encoding takes no memory per record, whatever the compression.
func TestKafkaBatchTakesNoMemory(t *testing.T) {
	records := groupsOf(t, 0, 1000, 10)
	for _, compression := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		enc := newTestEncoder(t, compression)
		var l lane
		fill := func() {
			l.reset(1, 0, brokerNode{})
			for i := range records {
				l.places = append(l.places, i)
			}
			if n, _, err := enc.fill(&l, records); err != nil || n != len(records) {
				t.Fatal(n, err)
			}
		}
		fill()
		if n := testing.AllocsPerRun(20, fill); n > 5 {
			t.Errorf("%s: %.0f allocations for %d records", compression, n, len(records))
		}
	}
}

// What the policy hides from the value is hidden from key and time too.
func TestKafkaKeyObeysThePolicy(t *testing.T) {
	policy, err := redact.NewPolicy(redact.Config{
		Profile: redact.DefaultProfile, KeyFile: redacttest.KeyFile(t),
		Rules: []redact.Rule{
			{Name: "nowhere", Fields: []string{"group", "domain"}, Action: "drop"},
			{Name: "some day", Fields: []string{"time"}, Action: "bucket", Bucket: redact.Bucket{Time: 24 * time.Hour}},
		},
	}, redacttest.Origin)
	if err != nil {
		t.Fatal(err)
	}
	records := policy.Apply(nil, redacttest.Busy(0, 1))
	var l lane
	l.reset(1, 0, brokerNode{})
	l.places = []int{0}
	if _, _, err := newTestEncoder(t, "none").fill(&l, records); err != nil {
		t.Fatal(err)
	}
	r := readBatch(t, l.batch.Bytes())[0]
	if r.Key != nil || !r.Time.Equal(r.Time.Truncate(24*time.Hour)) {
		t.Errorf("key %v, time %v", r.Key, r.Time)
	}
}

// However many partitions had a burst once, what is kept is bounded.
func TestKafkaKeepsLittleMemory(t *testing.T) {
	k := &kafkaExporter{lanes: map[int32]*lane{}}
	for p := range int32(2000) {
		l := new(lane)
		l.batch.Grow(900e3)
		k.lanes[p], k.active = l, []*lane{l}
		k.tidy()
	}
	kept := 0
	for _, l := range k.lanes {
		kept += l.batch.Cap()
	}
	if kept > 2*maxKept+2000*4<<10 {
		t.Errorf("%d bytes are kept", kept)
	}
}
