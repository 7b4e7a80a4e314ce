package redact

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// ringMark begins a file that holds a key ring; another file is one key.
const ringMark = "# fanlight key ring 1\n"

const maxRingKeys = 64

// Keyring holds keys, one of which is in use; the others are for revealing what
// was made under them. It is immutable and never prints a key.
type Keyring struct {
	active *ringKey
	keys   []*ringKey // newest first
}

type ringKey struct {
	id     string
	made   time.Time // zero if the file does not say
	secret []byte
}

// OpenKeyring reads a key file, as the policy does.
func OpenKeyring(path string) (*Keyring, error) { return readKeyring(path, ownerOnly) }

func newKeyring(secret []byte) (*Keyring, error) {
	id, err := keyID(secret)
	if err != nil {
		return nil, err
	}
	k := &ringKey{id: id, secret: secret}
	return &Keyring{active: k, keys: []*ringKey{k}}, nil
}

// parseKeyring reads what a key file holds. Errors show nothing of it but ids.
func parseKeyring(raw []byte) (*Keyring, error) {
	if !bytes.HasPrefix(raw, []byte(ringMark)) {
		if err := checkKey(raw); err != nil {
			return nil, err
		}
		return newKeyring(raw)
	}
	var active string
	r := &Keyring{}
	for n, line := range strings.Split(string(raw), "\n") {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] == "#":
		case words[0] == "active" && len(words) == 2 && active == "":
			active = words[1]
		case words[0] == "key" && len(words) == 4:
			if err := r.parse(words[1], words[2], words[3]); err != nil {
				return nil, fmt.Errorf("line %d: %w", n+1, err)
			}
		default:
			return nil, fmt.Errorf("line %d: want 'active ID' once, and 'key ID TIME BASE64'", n+1)
		}
	}
	if len(r.keys) > maxRingKeys {
		return nil, fmt.Errorf("%d keys are more than %d: remove the oldest", len(r.keys), maxRingKeys)
	}
	if r.active = r.key(active); r.active == nil {
		return nil, fmt.Errorf("the active key %q is missing", active)
	}
	return r, nil
}

func (r *Keyring) parse(id, made, encoded string) error {
	at, err := time.Parse(time.RFC3339, made)
	if err != nil {
		return errors.New("the time is not of the form 2026-01-02T15:04:05Z")
	}
	secret, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return errors.New("the key is not base64") // the error would show a part of it
	}
	if err := checkKey(secret); err != nil {
		return err
	}
	want, err := keyID(secret)
	if err != nil {
		return err
	}
	if want != id || r.key(id) != nil {
		return fmt.Errorf("the key is not %s, or is there twice", id)
	}
	r.keys = append(r.keys, &ringKey{id: id, made: at, secret: secret})
	return nil
}

func (r *Keyring) key(id string) *ringKey {
	i := slices.IndexFunc(r.keys, func(k *ringKey) bool { return k.id == id })
	if i < 0 {
		return nil
	}
	return r.keys[i]
}

// rotated returns the ring with a fresh key in use.
func (r *Keyring) rotated(now time.Time) (*Keyring, error) {
	fresh, err := newKeyring(randomKey())
	if err != nil {
		return nil, err
	}
	fresh.active.made = now.UTC().Truncate(time.Second)
	if r != nil {
		fresh.keys = append(fresh.keys, r.keys...)
	}
	if len(fresh.keys) > maxRingKeys {
		return nil, fmt.Errorf("%d keys are enough: remove the oldest", maxRingKeys)
	}
	return fresh, nil
}

func (r *Keyring) marshal() []byte {
	b := []byte(ringMark + "# Whoever reads this can undo what was redacted.\nactive " + r.active.id + "\n")
	for _, k := range r.keys {
		b = fmt.Appendf(b, "key %s %s %s\n", k.id, k.made.UTC().Format(time.RFC3339), base64.StdEncoding.EncodeToString(k.secret))
	}
	return b
}

// Active returns the id of the key in use.
func (r *Keyring) Active() string { return r.active.id }

// IDs returns the ids of all keys, the newest first.
func (r *Keyring) IDs() []string {
	ids := make([]string, len(r.keys))
	for i, k := range r.keys {
		ids[i] = k.id
	}
	return ids
}

// Format prints the ids only, whatever the verb.
func (r *Keyring) Format(s fmt.State, _ rune) { io.WriteString(s, r.String()) }

// String returns the ids only.
func (r *Keyring) String() string { return "redact.Keyring(" + strings.Join(r.IDs(), ", ") + ")" }

// LogValue returns the ids only.
func (r *Keyring) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalJSON returns the ids only.
func (r *Keyring) MarshalJSON() ([]byte, error) { return []byte(`"` + r.String() + `"`), nil }
