package redact

import (
	"bufio"
	"bytes"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/Yawning/cryptopan"
)

// sampleKey is the key of the sample trace that comes with the reference
// implementation.
var sampleKey = []byte{
	21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16,
	216, 152, 143, 131, 121, 121, 101, 39, 98, 87, 76, 45, 42, 132, 34, 2,
}

func newSample(t testing.TB, key []byte) *cryptoPAn {
	t.Helper()
	c, err := newCryptoPAn(key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCryptoPAnVectors(t *testing.T) {
	f, err := os.Open("testdata/cryptopan.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	keys := map[string][]byte{"sample": sampleKey, "text": []byte("32-char-str-for-AES-key-and-pad.")}
	rows := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		row := strings.Fields(lines.Text())
		if len(row) == 0 || row[0] == "#" {
			continue
		}
		rows++
		c := newSample(t, keys[row[0]])
		value := netip.MustParseAddr(row[1]).AsSlice()
		c.hide(value, keepNone)
		if got, _ := netip.AddrFromSlice(value); got != netip.MustParseAddr(row[2]) {
			t.Errorf("%s with key %s: want %s, got %s", row[1], row[0], row[2], got)
		}
		c.reveal(value, keepNone)
		if got, _ := netip.AddrFromSlice(value); got != netip.MustParseAddr(row[1]) {
			t.Errorf("%s with key %s is revealed as %s", row[1], row[0], got)
		}
	}
	if rows < 70 {
		t.Errorf("%d vectors: the file is not whole", rows)
	}
	if _, err := newCryptoPAn(sampleKey[1:]); err == nil {
		t.Error("a short key is taken")
	}
}

// Another implementation agrees for random keys and addresses.
func TestCryptoPAnAgreesWithAnother(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	for range 20 {
		key := make([]byte, 32)
		random.Read(key)
		other, err := cryptopan.New(key)
		if err != nil {
			t.Fatal(err)
		}
		c := newSample(t, key)
		for range 20 {
			for _, size := range []int{4, 16} {
				value := make([]byte, size)
				random.Read(value)
				want := other.Anonymize(net.IP(value))
				if size == 4 {
					want = want.To4()
				}
				got := bytes.Clone(value)
				c.hide(got, keepNone)
				if !bytes.Equal(want, got) {
					t.Fatalf("%x with key %x: want %x, got %x", value, key, want, got)
				}
			}
		}
	}
}

func commonBits(a, b []byte) int {
	for bit := range 8 * len(a) {
		if (a[bit/8]^b[bit/8])>>(7-bit%8)&1 != 0 {
			return bit
		}
	}
	return 8 * len(a)
}

func BenchmarkCryptoPAn(b *testing.B) {
	c := newSample(b, sampleKey)
	for _, a := range []string{"192.0.2.1", "2001:db8::1"} {
		b.Run(a, func(b *testing.B) {
			raw := netip.MustParseAddr(a).AsSlice()
			value := bytes.Clone(raw)
			b.ReportAllocs()
			for b.Loop() {
				copy(value, raw)
				c.hide(value, keepNone)
			}
		})
	}
}
