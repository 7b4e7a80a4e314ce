package exporters

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/redact/redacttest"
	"github.com/google/go-cmp/cmp"
)

// rsyslog is Debian's rsyslogd, with every input that we can send to and one
// file for all that it has understood.
type rsyslog struct {
	t              *testing.T
	program, dir   string
	plain, tls     string // addresses
	stream, dgram  string // paths
	out            string
	ca, cert, key  string // for us
	other, foreign string // an authority that the server does not trust, and a certificate by it
	cmd            *exec.Cmd
	said           strings.Builder
}

func newRsyslog(t *testing.T) *rsyslog {
	program := needTool(t, "rsyslogd", "rsyslog")
	if found, _ := filepath.Glob("/usr/lib/*/rsyslog/lmnsd_ossl.so"); len(found) == 0 {
		needTool(t, "lmnsd_ossl.so", "rsyslog-openssl")
	}
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	r := &rsyslog{
		t: t, program: program, dir: dir, out: at("out"), stream: at("stream"), dgram: at("dgram"),
		plain: freeAddress(t), tls: freeAddress(t),
		ca: at("ca.pem"), cert: at("client.pem"), key: at("client.key"), other: at("other.pem"), foreign: at("foreign.pem"),
	}
	authority := newAuthority(t, r.ca)
	authority.issue(t, "logs.example.com", at("server.pem"), at("server.key"))
	authority.issue(t, "fanlight", r.cert, r.key)
	newAuthority(t, r.other).issue(t, "fanlight", r.foreign, at("foreign.key"))
	port := func(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }
	writeFile(t, at("conf"), fmt.Sprintf(`
global(workDirectory="%[1]s" maxMessageSize="64k"
  defaultNetstreamDriverCAFile="%[1]s/ca.pem"
  defaultNetstreamDriverCertFile="%[1]s/server.pem"
  defaultNetstreamDriverKeyFile="%[1]s/server.key")
module(load="imptcp")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
module(load="imuxsock" sysSock.use="off")
input(type="imptcp" address="127.0.0.1" port="%[2]s")
input(type="imptcp" path="%[4]s")
input(type="imtcp" address="127.0.0.1" port="%[3]s")
input(type="imuxsock" socket="%[5]s" useSpecialParser="off" parseHostname="on" useSysTimeStamp="off" ignoreTimestamp="off" rateLimit.interval="0")
template(name="parsed" type="list" option.jsonf="on") {
  property(outname="pri" name="pri" format="jsonf")
  property(outname="severity" name="syslogseverity" format="jsonf")
  property(outname="facility" name="syslogfacility-text" format="jsonf")
  property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="app" name="app-name" format="jsonf")
  property(outname="id" name="msgid" format="jsonf")
  property(outname="sd" name="structured-data" format="jsonf")
  property(outname="msg" name="msg" format="jsonf")
}
action(type="omfile" file="%[6]s" template="parsed" asyncWriting="off" ioBufferSize="1")
`, dir, port(r.plain), port(r.tls), r.stream, r.dgram, r.out), 0o600)
	r.start()
	t.Cleanup(func() {
		r.stop(syscall.SIGTERM)
		if t.Failed() {
			t.Log(r.said.String())
		}
	})
	return r
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (r *rsyslog) start() {
	r.t.Helper()
	os.Remove(r.stream)
	r.cmd = exec.Command(r.program, "-n", "-f", filepath.Join(r.dir, "conf"), "-i", filepath.Join(r.dir, "pid"))
	r.cmd.Stdout, r.cmd.Stderr = &r.said, &r.said
	r.cmd.Env = append(os.Environ(), "TZ=UTC")
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	waitFor(r.t, func() bool {
		for network, address := range map[string]string{"tcp": r.plain, "unix": r.stream} {
			c, err := net.Dial(network, address)
			if err != nil {
				return false
			}
			c.Close()
		}
		c, err := net.Dial("tcp", r.tls)
		if err != nil {
			return false
		}
		c.Close()
		_, err = os.Stat(r.dgram)
		return err == nil
	})
}

func (r *rsyslog) stop(how syscall.Signal) {
	r.cmd.Process.Signal(how)
	r.cmd.Wait()
}

type understood struct {
	Pri, Severity, Facility, Time, Host, App, ID, SD, Msg string
}

// got returns the first n messages that came in, when they are there.
func (r *rsyslog) got(n int) (all []understood) {
	r.t.Helper()
	waitFor(r.t, func() bool {
		raw, err := os.ReadFile(r.out)
		return err == nil && strings.Count(string(raw), "\n") >= n
	})
	for line := range strings.Lines(string(readFile(r.t, r.out))) {
		var u understood
		if err := json.Unmarshal([]byte(line), &u); err != nil {
			r.t.Fatalf("%v: %s", err, line)
		}
		all = append(all, u)
	}
	return all
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, path string) *authority {
	t.Helper()
	a := &authority{cert: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}}
	a.key = newKey(t)
	writePEM(t, path, "CERTIFICATE", a.sign(t, a.cert, a.key))
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) sign(t testing.TB, cert *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (a *authority) issue(t testing.TB, name, certPath, keyPath string) {
	t.Helper()
	key := newKey(t)
	writePEM(t, certPath, "CERTIFICATE", a.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, key))
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, keyPath, "PRIVATE KEY", der)
}

func writePEM(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	writeFile(t, path, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})), 0o600)
}

// exportUntil tries again as the queue would.
func exportUntil(t *testing.T, e Exporter, try func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		if IsPermanent(err) {
			t.Fatal(err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
}

// Each way to rsyslog, each format: it understands every header field and gets
// every byte of the message.
func TestRsyslogUnderstands(t *testing.T) {
	r := newRsyslog(t)
	ways := map[string]func(*SyslogConfig){
		"tcp":      func(c *SyslogConfig) { c.Network, c.Address = "tcp", r.plain },
		"newline":  func(c *SyslogConfig) { c.Network, c.Address, c.Framing = "tcp", r.plain, "newline" },
		"unix":     func(c *SyslogConfig) { c.Network, c.Address = "unix", r.stream },
		"unixgram": func(c *SyslogConfig) { c.Network, c.Address = "unixgram", r.dgram },
		"tls": func(c *SyslogConfig) {
			c.Network, c.Address = "tls", r.tls
			c.TLS = TLSConfig{CAFile: r.ca, CertFile: r.cert, KeyFile: r.key, ServerName: "logs.example.com"}
		},
	}
	records := redacttest.Records(t)
	total := 0
	for name, way := range ways {
		for _, f := range append(Formats(), "structured_data") {
			t.Run(name+"/"+string(f), func(t *testing.T) {
				s := openSyslog(t, func(c *SyslogConfig) {
					way(c)
					if c.Format = f; f == "structured_data" {
						c.Format, c.StructuredData = "", true
					}
				})
				mustExport(t, s, records)
				s.Close(t.Context())
				got := r.got(total + len(records))[total:]
				total += len(records)
				for i := range records {
					checkUnderstood(t, s, i, got[i])
				}
			})
		}
	}
}

func checkUnderstood(t *testing.T, s *syslogger, i int, got understood) {
	t.Helper()
	record := redacttest.Records(t)[i]
	sub := subject{kind: record.Kind(), action: record.Text(fieldAction)}
	severity := syslogSeverity[sub.meaning().level]
	want := understood{
		Pri: fmt.Sprint(16*8 + severity), Severity: fmt.Sprint(severity), Facility: "local0",
		Time: fmt.Sprintf("2026-11-22T21:34:05.%06dZ", 123456+1000*i),
		Host: "node-1", App: "fanlight", ID: sub.event(), SD: "-",
	}
	if s.config.StructuredData {
		want.Msg = sub.meaning().title
		want.SD, got.SD = "", checkSD(t, got.SD, sub)
	} else {
		want.Msg = string(s.config.Format.encoder().append(nil, &record))
	}
	got.Msg = strings.TrimPrefix(got.Msg, " ")
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", sub.event(), d)
	}
}

func checkSD(t *testing.T, sd string, s subject) string {
	t.Helper()
	if !strings.HasPrefix(sd, "[fanlight@32473 ") || !strings.Contains(sd, ` kind="`+s.kind+`"`) || !strings.HasSuffix(sd, `"]`) {
		t.Errorf("structured data: %s", sd)
	}
	return ""
}

// rsyslog goes away, gently or not, and comes back.
func TestRsyslogRestarts(t *testing.T) {
	r := newRsyslog(t)
	s := openSyslog(t, func(c *SyslogConfig) {
		c.Network, c.Address = "tls", r.tls
		c.TLS = TLSConfig{CAFile: r.ca, CertFile: r.cert, KeyFile: r.key, ServerName: "logs.example.com"}
	})
	const rounds, perRound = 4, 20
	for i := range rounds {
		batch := redacttest.Many(t, i*perRound, perRound)
		exportUntil(t, s, func(ctx context.Context) error { return s.Export(ctx, batch) })
		r.got((i + 1) * perRound) // what rsyslog has not written when it dies is its own loss
		r.stop([]syscall.Signal{syscall.SIGTERM, syscall.SIGKILL}[i%2])
		if err := s.Export(t.Context(), batch); err == nil {
			t.Error("no error without rsyslog")
		}
		r.start()
	}
	seen := map[string]int{}
	for _, u := range r.got(rounds * perRound) {
		seen[u.Msg]++
	}
	if len(seen) != rounds*perRound || s.connects.Load() != rounds {
		t.Errorf("want %d records over %d connections, got %d over %d", rounds*perRound, rounds, len(seen), s.connects.Load())
	}
}

func TestRsyslogRefusesAndIsRefused(t *testing.T) {
	r := newRsyslog(t)
	good := TLSConfig{CAFile: r.ca, CertFile: r.cert, KeyFile: r.key, ServerName: "logs.example.com"}
	tests := map[string]struct {
		change func(*TLSConfig)
		want   func(error) bool
	}{
		"another authority": {func(c *TLSConfig) { c.CAFile = r.other }, func(err error) bool {
			var unknown x509.UnknownAuthorityError
			return errors.As(err, &unknown)
		}},
		"another name": {func(c *TLSConfig) { c.ServerName = "other.example.com" }, func(err error) bool {
			var wrong x509.HostnameError
			return errors.As(err, &wrong)
		}},
		"no name": {func(c *TLSConfig) { c.ServerName = "" }, func(err error) bool { // that of the address counts
			var wrong x509.HostnameError
			return errors.As(err, &wrong)
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := openSyslog(t, func(c *SyslogConfig) {
				c.Network, c.Address, c.TLS = "tls", r.tls, good
				tt.change(&c.TLS)
			})
			if err := s.Export(t.Context(), redacttest.Many(t, 0, 1)); err == nil || !tt.want(err) || IsPermanent(err) {
				t.Errorf("error: got %v", err)
			}
		})
	}
	t.Run("our certificate is replaced by a good one", func(t *testing.T) {
		dir := t.TempDir()
		cert, key := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
		writeFile(t, cert, string(readFile(t, r.foreign)), 0o600)
		writeFile(t, key, string(readFile(t, strings.TrimSuffix(r.foreign, "pem")+"key")), 0o600)
		s := openSyslog(t, func(c *SyslogConfig) {
			c.Network, c.Address, c.TLS = "tls", r.tls, TLSConfig{CAFile: r.ca, CertFile: cert, KeyFile: key, ServerName: "logs.example.com"}
		})
		for i := range 3 {
			if err := s.Export(t.Context(), redacttest.Many(t, i, 1)); err == nil || IsPermanent(err) {
				t.Errorf("refused: got %v", err)
			}
		}
		writeFile(t, cert, string(readFile(t, r.cert)), 0o600)
		writeFile(t, key, string(readFile(t, r.key)), 0o600)
		exportUntil(t, s, func(ctx context.Context) error { return s.Export(ctx, redacttest.Many(t, 7, 1)) })
		for _, u := range r.got(1) {
			if !strings.Contains(u.Msg, `"seq":7`) {
				t.Errorf("arrived although refused: %s", u.Msg)
			}
		}
	})
}
