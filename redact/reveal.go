package redact

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/fanlight-io/fanlight/bpf"
)

// Revealed is what stood in the place of a token before one key was applied.
type Revealed struct {
	Token string `json:"token"`
	KeyID string `json:"key_id"`
	Class string `json:"class,omitempty"` // where it depends on the class
	Value string `json:"value"`
}

// ErrPseudonym: a pseudonym can't be undone, only guessed.
var ErrPseudonym = errors.New("a pseudonym can't be undone; a guess can be tested")

// Reveal undoes prefix_preserving under each key of the ring, the newest first:
// addresses don't tell which key made them. It returns an error that wraps
// ErrPseudonym for a pseudonym that one of the keys made.
func (r *Keyring) Reveal(token string) ([]Revealed, error) {
	if a, err := netip.ParseAddr(token); err == nil {
		return r.reveal(token, plain(a).AsSlice(), keepsKind, Group)
	}
	if m, err := net.ParseMAC(token); err == nil && len(m) == len(bpf.MAC{}) {
		return r.reveal(token, m, keepsCast, HostMAC, QuerierMAC)
	}
	if _, _, err := r.pseudonym(token); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%s: %w", token, ErrPseudonym)
}

func (r *Keyring) reveal(token string, hidden []byte, keeps keeper, classes ...Class) (all []Revealed, err error) {
	for _, k := range r.keys {
		for _, class := range classes {
			c, err := newMapper(k.secret, class)
			if err != nil {
				return nil, err
			}
			value := append([]byte(nil), hidden...)
			c.reveal(value, keeps)
			found := Revealed{Token: token, KeyID: k.id}
			if class.isMAC() {
				found.Class, found.Value = class.String(), macText(bpf.MAC(value))
			} else {
				a, _ := netip.AddrFromSlice(value)
				found.Value = a.String()
			}
			all = append(all, found)
		}
	}
	return all, nil
}

// pseudonym takes a token apart and finds the key that made it.
func (r *Keyring) pseudonym(token string) (Class, *ringKey, error) {
	parts := strings.Split(token, "_")
	class, ok := classNamed(parts[0])
	if len(parts) != 3 || !ok || len(parts[2]) != 2*tokenBytes {
		return Secret, nil, fmt.Errorf("%q is no address, no Ethernet address and no pseudonym", token)
	}
	k := r.key(parts[1])
	if k == nil {
		return Secret, nil, fmt.Errorf("%s: key %s is not in this ring, which has %s", token, parts[1], strings.Join(r.IDs(), ", "))
	}
	return class, k, nil
}

// maxGuessBits bounds the addresses that one guess stands for: a few seconds.
const maxGuessBits = 24

// Guess tests whether a pseudonym stands for a guess: an address, an address
// prefix, all of which is tried, an Ethernet address or a name.
func (r *Keyring) Guess(token, guess string) (found Revealed, ok bool, err error) {
	class, k, err := r.pseudonym(token)
	if err != nil {
		return found, false, err
	}
	t, err := newTokens(k.secret, k.id, class)
	if err != nil {
		return found, false, err
	}
	found = Revealed{Token: token, KeyID: k.id, Class: class.String()}
	if !class.isAddress() {
		value := []byte(guess)
		if m, err := net.ParseMAC(guess); class.isMAC() && err == nil {
			value = m
		}
		found.Value = guess
		return found, t.make(value) == token, nil
	}
	p, err := parseGuess(guess)
	if err != nil {
		return found, false, err
	}
	for a := p.Addr(); p.Contains(a); a = a.Next() {
		if t.make(a.AsSlice()) == token {
			found.Value = a.String()
			return found, true, nil
		}
	}
	return found, false, nil
}

func parseGuess(guess string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(guess); err == nil {
		a = plain(a)
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(guess)
	if err != nil {
		return p, fmt.Errorf("guess %q: want an address or a prefix", guess)
	}
	if free := p.Addr().BitLen() - p.Bits(); free > maxGuessBits {
		return p, fmt.Errorf("guess %s: 2^%d addresses are too many: want 2^%d at most", guess, free, maxGuessBits)
	}
	return p.Masked(), nil
}
