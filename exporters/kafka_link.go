package exporters

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/apiversions"
)

// kafkaLinks keep one connection to each broker, and have no goroutine. They
// are the transport of a [kafka.Client], in the place of the library's own: that
// one routes by metadata that it refreshes in its own time, and hides why it
// can't connect.
//
// RoundTrip may be called concurrently, for one address by one goroutine.
type kafkaLinks struct {
	config *KafkaConfig
	counts *kafkaCounts

	mu    sync.Mutex
	links map[string]*kafkaLink
}

func newKafkaLinks(c *KafkaConfig, counts *kafkaCounts) *kafkaLinks {
	return &kafkaLinks{config: c, counts: counts, links: map[string]*kafkaLink{}}
}

// brokerAddress is a host:port.
type brokerAddress string

func (brokerAddress) Network() string  { return "tcp" }
func (a brokerAddress) String() string { return string(a) }

// RoundTrip sends a request to the broker at addr, to which it connects if need
// be. After an error the connection is closed: an answer that comes late would
// be taken for another's.
func (l *kafkaLinks) RoundTrip(ctx context.Context, addr net.Addr, req kafka.Request) (kafka.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, l.config.Timeout)
	defer cancel()
	link, err := l.get(ctx, addr.String())
	if err != nil {
		return nil, err
	}
	res, err := link.roundTrip(ctx, req)
	if err != nil {
		l.drop(addr.String())
		return nil, fmt.Errorf("%s: %w", req.ApiKey(), withoutAddress(err))
	}
	return res, nil
}

// get returns a connection that can be used now.
func (l *kafkaLinks) get(ctx context.Context, addr string) (*kafkaLink, error) {
	l.mu.Lock()
	link := l.links[addr]
	l.mu.Unlock()
	if link != nil && link.isFresh(time.Now()) {
		return link, nil
	}
	l.drop(addr)
	link, err := dialKafka(ctx, l.config, addr)
	if err != nil {
		l.counts.connectFailed.Add(1)
		if errors.Is(err, errAuthentication) {
			l.counts.authFailed.Add(1)
		}
		return nil, fmt.Errorf("connect: %w", withoutAddress(err))
	}
	l.counts.connected.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.links[addr] = link
	return link, nil
}

func (l *kafkaLinks) drop(addr string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if link := l.links[addr]; link != nil {
		link.conn.Close()
		delete(l.links, addr)
	}
}

// retain closes the connections to brokers that are not wanted any more.
func (l *kafkaLinks) retain(wanted func(addr string) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for addr, link := range l.links {
		if !wanted(addr) {
			link.conn.Close()
			delete(l.links, addr)
		}
	}
}

func (l *kafkaLinks) close() { l.retain(func(string) bool { return false }) }

// kafkaLink is a connection whose broker knows us.
type kafkaLink struct {
	conn     *protocol.Conn
	guard    *answerGuard
	versions map[protocol.ApiKey]int16

	until time.Time // when we would have to authenticate again, or zero
	used  time.Time
}

// maxIdle is less than brokers, firewalls and balancers let a connection rest:
// one that they forgot fails only when a batch is on it.
const maxIdle = 3 * time.Minute

func (k *kafkaLink) isFresh(now time.Time) bool {
	return now.Sub(k.used) < maxIdle && (k.until.IsZero() || now.Before(k.until))
}

func (k *kafkaLink) roundTrip(ctx context.Context, req kafka.Request) (res kafka.Response, err error) {
	k.used = time.Now()
	return bounded(ctx, k.conn, func() (kafka.Response, error) { return k.ask(req) })
}

func newKafkaLink(conn net.Conn, clientID string) *kafkaLink {
	guard := &answerGuard{Conn: conn}
	return &kafkaLink{conn: protocol.NewConn(guard, clientID), guard: guard, used: time.Now()}
}

// ask makes a request, without a bound of time.
func (k *kafkaLink) ask(req kafka.Request) (kafka.Response, error) {
	k.guard.shape = shapeOf(req.ApiKey(), k.versions[req.ApiKey()])
	return k.conn.RoundTrip(req)
}

// bounded runs an exchange that ends with ctx.
func bounded[T any](ctx context.Context, conn net.Conn, exchange func() (T, error)) (res T, err error) {
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return res, err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if res, err = exchange(); err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return res, err
}

func dialKafka(ctx context.Context, c *KafkaConfig, addr string) (link *kafkaLink, err error) {
	mechanism, err := c.SASL.mechanism() // anew, so that a new password needs no restart
	if err != nil {
		return nil, fmt.Errorf("sasl: %w", err)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()
	if c.TLS.Enabled {
		if conn, err = startKafkaTLS(ctx, conn, c, addr); err != nil {
			return nil, err
		}
	}
	link = newKafkaLink(conn, c.ClientID)
	_, err = bounded(ctx, conn, func() (struct{}, error) {
		if err := link.agreeOnVersions(); err != nil {
			return struct{}{}, asAuthentication(err)
		}
		if mechanism == nil {
			return struct{}{}, nil
		}
		if link.versions[protocol.SaslHandshake] < 1 {
			return struct{}{}, fmt.Errorf("%w: the broker is older than Kafka 1.0", errAuthentication)
		}
		lives, err := authenticate(ctx, link, mechanism)
		if !lives.IsZero() { // before the broker ends it
			link.until = lives.Add(-time.Until(lives) / 10)
		}
		return struct{}{}, err
	})
	return link, err
}

func startKafkaTLS(ctx context.Context, conn net.Conn, c *KafkaConfig, addr string) (net.Conn, error) {
	config, err := c.TLS.load()
	if err != nil {
		return conn, fmt.Errorf("tls: %w", err)
	}
	if config.ServerName == "" {
		if config.ServerName, _, err = net.SplitHostPort(addr); err != nil {
			return conn, err
		}
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return conn, asAuthentication(fmt.Errorf("tls: %w", err))
	}
	return secure, nil
}

// agreeOnVersions finds the newest versions that both sides know.
func (k *kafkaLink) agreeOnVersions() error {
	msg, err := k.ask(new(apiversions.Request))
	if err != nil {
		return err
	}
	res, ok := msg.(*apiversions.Response)
	if !ok {
		return fmt.Errorf("answer of type %T", msg)
	}
	if res.ErrorCode != 0 {
		return kafka.Error(res.ErrorCode)
	}
	k.versions = map[protocol.ApiKey]int16{}
	for _, r := range res.ApiKeys {
		key := protocol.ApiKey(r.ApiKey)
		k.versions[key] = key.SelectVersion(r.MinVersion, r.MaxVersion)
	}
	if k.versions[protocol.Produce] < minProduceVersion || k.versions[protocol.Metadata] < minMetadataVersion {
		return errors.New("the broker is older than Kafka 1.0")
	}
	k.conn.SetVersions(k.versions)
	return nil
}

// minProduceVersion takes batches of the second format, minMetadataVersion can
// be told not to create topics.
const (
	minProduceVersion  = 3
	minMetadataVersion = 4
)
