package exporters

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// broker is a real Apache Kafka in one process: broker and controller, with a
// listener for each way to get in.
type broker struct {
	dir                     string
	plain, tls, mtls        string // addresses
	scram, sasl             string // SASL without and with TLS
	ca, cert, key           string // for us
	foreignCert, foreignKey string // by an authority that the broker does not trust
	cmd                     *exec.Cmd
	gone                    chan struct{} // closed when the process is gone
	said                    bytes.Buffer
}

const (
	brokerUser     = "fanlight"
	brokerPassword = "broker-canary-7"
)

var (
	sharedOnce   sync.Once
	sharedBroker *broker
)

// TestMain ends the broker that tests share.
func TestMain(m *testing.M) {
	code := m.Run()
	if sharedBroker != nil {
		sharedBroker.kill()
		os.RemoveAll(sharedBroker.dir)
		if code != 0 {
			fmt.Fprintf(os.Stderr, "the broker said:\n%s", sharedBroker.said.Bytes())
		}
	}
	os.Exit(code)
}

// needBroker returns the broker that tests share, and starts it for the first.
func needBroker(t testing.TB) *broker {
	t.Helper()
	jars := needJars(t)
	sharedOnce.Do(func() {
		dir, err := os.MkdirTemp("", "fanlight-kafka-")
		if err != nil {
			t.Fatal(err)
		}
		sharedBroker = &broker{dir: dir}
		sharedBroker.prepare(t, jars)
		sharedBroker.start(t, jars)
	})
	if sharedBroker == nil || sharedBroker.cmd == nil {
		t.Fatal("the broker did not start")
	}
	return sharedBroker
}

// needJars skips the test without a broker, kcat and Java. With REQUIRE_BPF=1,
// as in CI, it fails then.
func needJars(t testing.TB) string {
	t.Helper()
	jars, _ := filepath.Abs(filepath.Join("..", ".cache", "kafka"))
	found, _ := filepath.Glob(filepath.Join(jars, "kafka_2.13-*.jar"))
	missing := ""
	if len(found) == 0 {
		missing = "the jars of Kafka"
	}
	for _, tool := range []string{"java", "kcat"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing = tool
		}
	}
	switch {
	case missing == "":
		return jars
	case os.Getenv("REQUIRE_BPF") == "1":
		t.Fatalf("%s must be here: make deps", missing)
	default:
		t.Skipf("%s: not here; make deps gets it", missing)
	}
	return ""
}

func (b *broker) at(name string) string { return filepath.Join(b.dir, name) }

// prepare makes certificates and formats the log directory.
func (b *broker) prepare(t testing.TB, jars string) {
	t.Helper()
	b.ca, b.cert, b.key = b.at("ca.pem"), b.at("client.pem"), b.at("client.key")
	b.foreignCert, b.foreignKey = b.at("foreign.pem"), b.at("foreign.key")
	authority := newAuthority(t, b.ca)
	authority.issue(t, "localhost", b.at("server.pem"), b.at("server.key"))
	authority.issue(t, "fanlight", b.cert, b.key)
	newAuthority(t, b.at("other.pem")).issue(t, "fanlight", b.foreignCert, b.foreignKey)
	store := string(readFile(t, b.at("server.key"))) + string(readFile(t, b.at("server.pem")))
	writeFile(t, b.at("server.store"), store, 0o600)

	var free [6]string
	for i := range free {
		free[i] = quietAddress(t)
	}
	named := func(address string) string { return strings.Replace(address, "127.0.0.1", "localhost", 1) }
	b.plain, b.scram, b.tls, b.mtls, b.sasl = free[0], free[1], named(free[2]), named(free[3]), named(free[4])
	listeners := fmt.Sprintf("PLAIN://%s,SCRAM://%s,TLS://%s,MTLS://%s,SASL://%s", b.plain, b.scram, b.tls, b.mtls, b.sasl)
	writeFile(t, b.at("properties"), fmt.Sprintf(`
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@%[1]s
controller.listener.names=CONTROLLER
listeners=%[2]s,CONTROLLER://%[1]s
advertised.listeners=%[2]s
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAIN:PLAINTEXT,TLS:SSL,MTLS:SSL,SASL:SASL_SSL,SCRAM:SASL_PLAINTEXT
inter.broker.listener.name=PLAIN
log.dirs=%[3]s/log
num.io.threads=2
num.network.threads=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
auto.create.topics.enable=true
group.initial.rebalance.delay.ms=0
message.max.bytes=1048588
broker.session.timeout.ms=1000
broker.heartbeat.interval.ms=200
connection.failed.authentication.delay.ms=50
ssl.keystore.type=PEM
ssl.keystore.location=%[3]s/server.store
ssl.truststore.type=PEM
ssl.truststore.location=%[3]s/ca.pem
listener.name.mtls.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_%[4]s="%[5]s";
listener.name.sasl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512
listener.name.scram.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.scram.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
`, free[5], listeners, b.dir, brokerUser, brokerPassword), 0o600)
	writeFile(t, b.at("log4j2.properties"), "rootLogger.level=warn\nrootLogger.appenderRef.out.ref=out\nappender.out.type=Console\n"+
		"appender.out.name=out\nappender.out.layout.type=PatternLayout\nappender.out.layout.pattern=%p %c{1}: %m%n\n", 0o600)
	user := func(mechanism string) string {
		return fmt.Sprintf("%s=[name=%s,password=%s,iterations=4096]", mechanism, brokerUser, brokerPassword)
	}
	format := b.java(jars, "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", b.at("properties"),
		"--add-scram", user("SCRAM-SHA-256"), "--add-scram", user("SCRAM-SHA-512"))
	if out, err := format.CombinedOutput(); err != nil {
		t.Fatalf("format: %v: %s", err, out)
	}
}

func (b *broker) java(jars, class string, args ...string) *exec.Cmd {
	all := []string{
		"-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.configurationFile=" + b.at("log4j2.properties"),
		"-Djava.io.tmpdir=" + b.dir, "-cp", jars + "/*", class,
	}
	cmd := exec.Command("java", append(all, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // it must not outlive a test that crashed
	return cmd
}

// start returns when the broker takes requests on every listener.
func (b *broker) start(t testing.TB, jars string) {
	t.Helper()
	cmd := b.java(jars, "kafka.Kafka", b.at("properties"))
	cmd.Stdout, cmd.Stderr = &b.said, &b.said
	begun, gone := make(chan error, 1), make(chan struct{})
	go func() { // the signal comes when this thread ends, not when the process does
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(gone)
		err := cmd.Start()
		begun <- err
		if err == nil {
			cmd.Wait()
		}
	}()
	if err := <-begun; err != nil {
		t.Fatal(err)
	}
	b.cmd, b.gone = cmd, gone
	waitLong(t, 60*time.Second, func() bool {
		select {
		case <-gone:
			t.Fatalf("the broker ended: %s", b.said.Bytes())
		default:
		}
		for _, addr := range []string{b.plain, b.scram, b.tls, b.mtls, b.sasl} {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				return false
			}
			conn.Close()
		}
		res, err := b.client(t).Metadata(t.Context(), &kafka.MetadataRequest{Addr: brokerAddress(b.plain)})
		return err == nil && len(res.Brokers) == 1
	})
}

// quietAddress returns an address that nobody listens on, with a port that the
// kernel gives to no connection: not even to one to itself.
func quietAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(20000))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// kill ends the broker as a power cut would.
func (b *broker) kill() {
	if b.cmd != nil {
		b.cmd.Process.Kill()
		<-b.gone
		b.cmd = nil
	}
}

// client returns a client without goroutines.
func (b *broker) client(t testing.TB) *kafka.Client {
	links := newKafkaLinks(&KafkaConfig{Timeout: 10 * time.Second}, new(kafkaCounts))
	t.Cleanup(links.close)
	return &kafka.Client{Addr: brokerAddress(b.plain), Transport: links, Timeout: 10 * time.Second}
}

// trust makes the listener for certificates trust another authority, while it
// runs.
func (b *broker) trust(t testing.TB, authority string) {
	t.Helper()
	res, err := b.client(t).IncrementalAlterConfigs(t.Context(), &kafka.IncrementalAlterConfigsRequest{
		Resources: []kafka.IncrementalAlterConfigsRequestResource{{
			ResourceType: kafka.ResourceTypeBroker, ResourceName: "1",
			Configs: []kafka.IncrementalAlterConfigsRequestConfig{{
				Name: "listener.name.mtls.ssl.truststore.location", Value: authority, ConfigOperation: kafka.ConfigOperationSet,
			}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range res.Resources {
		if r.Error != nil {
			t.Fatal(r.Error)
		}
	}
}

var topics struct {
	sync.Mutex
	n int
}

// topic makes a topic of its own for a test.
func (b *broker) topic(t testing.TB, partitions int, config ...kafka.ConfigEntry) string {
	t.Helper()
	topics.Lock()
	topics.n++
	name := fmt.Sprintf("events.%d", topics.n)
	topics.Unlock()
	b.create(t, name, partitions, config...)
	return name
}

func (b *broker) create(t testing.TB, name string, partitions int, config ...kafka.ConfigEntry) {
	t.Helper()
	res, err := b.client(t).CreateTopics(t.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{
		{Topic: name, NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: config},
	}})
	if err != nil || res.Errors[name] != nil {
		t.Fatalf("create topic: %v, %v", err, res)
	}
	b.awaitTopic(t, name, true)
}

func (b *broker) delete(t testing.TB, name string) {
	t.Helper()
	res, err := b.client(t).DeleteTopics(t.Context(), &kafka.DeleteTopicsRequest{Topics: []string{name}})
	if err != nil || res.Errors[name] != nil {
		t.Fatalf("delete topic: %v, %v", err, res)
	}
	b.awaitTopic(t, name, false)
}

func (b *broker) awaitTopic(t testing.TB, name string, there bool) {
	t.Helper()
	client := b.client(t)
	waitLong(t, 20*time.Second, func() bool {
		res, err := client.Metadata(t.Context(), &kafka.MetadataRequest{Topics: []string{name}})
		if err != nil {
			return false
		}
		layout, err := layoutOf(res, name, time.Now())
		return (err == nil) == there && (err != nil || b.isReady(t, client, name, len(layout.leaders)))
	})
}

// isReady reports whether the leaders know that they lead.
func (b *broker) isReady(t testing.TB, client *kafka.Client, topic string, partitions int) bool {
	ask := &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{}}
	for p := range partitions {
		ask.Topics[topic] = append(ask.Topics[topic], kafka.LastOffsetOf(p))
	}
	res, err := client.ListOffsets(t.Context(), ask)
	if err != nil {
		return false
	}
	for _, p := range res.Topics[topic] {
		if p.Error != nil {
			return false
		}
	}
	return len(res.Topics[topic]) == partitions
}

// kcatRecord is a record as kcat's -J shows it.
type kcatRecord struct {
	Partition int32
	Offset    int64
	TS        int64
	Headers   []string
	Key       string
	Payload   string
}

func (r kcatRecord) header(name string) string {
	for i := 0; i+1 < len(r.Headers); i += 2 {
		if r.Headers[i] == name {
			return r.Headers[i+1]
		}
	}
	return ""
}

// read returns all of a topic, in the order per partition, as librdkafka reads it.
func (b *broker) read(t testing.TB, topic string) (all []kcatRecord) {
	t.Helper()
	kcat := exec.Command("kcat", "-b", b.plain, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-J",
		"-X", "check.crcs=true", "-X", "fetch.wait.max.ms=20")
	out, err := kcat.CombinedOutput()
	if err != nil {
		t.Fatalf("kcat: %v: %s", err, out)
	}
	for line := range bytes.Lines(out) {
		var r kcatRecord
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("kcat: %v: %s", err, line)
		}
		all = append(all, r)
	}
	return all
}

// waitLong waits for what takes a process, not a goroutine.
func waitLong(t testing.TB, limit time.Duration, done func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(limit); !done(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it does not happen")
		}
	}
}
