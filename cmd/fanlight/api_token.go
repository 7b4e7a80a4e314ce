package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
)

const (
	minToken = 20 // characters: more than can be guessed
	maxToken = 1024
)

// openSecret opens a file that only its owner may read.
func openSecret(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = fmt.Errorf("%s may be read by others: chmod 0600 it", path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// readToken reads the first line of a file that only its owner may read.
func readToken(path string) (string, error) {
	f, err := openSecret(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	token := strings.TrimSpace(line)
	if len(token) < minToken || len(raw) > maxToken {
		return "", fmt.Errorf("%s: want a line of %d to %d characters, as 'openssl rand -base64 32' makes", path, minToken, maxToken)
	}
	for _, c := range token {
		if c <= ' ' || c > '~' {
			return "", fmt.Errorf("%s: a token has no spaces and no characters but ASCII", path)
		}
	}
	return token, nil
}

// guard lets in who shows the token. It keeps a digest only.
type guard struct {
	path   string
	digest atomic.Pointer[[sha256.Size]byte]
}

// Reopen reads the file again. After an error the old token goes on.
func (g *guard) Reopen() error {
	token, err := readToken(g.path)
	if err != nil {
		return fmt.Errorf("api.token_file: %w", err)
	}
	digest := sha256.Sum256([]byte(token))
	g.digest.Store(&digest)
	return nil
}

// admits reports whether the Authorization header has the token. Its time does
// not tell how much of it is right.
func (g *guard) admits(header string) bool {
	token, ok := strings.CutPrefix(header, "Bearer ")
	digest := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(digest[:], g.digest.Load()[:]) == 1 && ok
}

// certificate is the agent's own, from files.
type certificate struct {
	files apiTLSConfig
	now   atomic.Pointer[tls.Certificate]
}

// Reopen reads the files again. After an error the old certificate goes on.
func (c *certificate) Reopen() error {
	key, err := openSecret(c.files.KeyFile)
	if err != nil {
		return fmt.Errorf("api.tls: key_file: %w", err)
	}
	key.Close()
	cert, err := tls.LoadX509KeyPair(c.files.CertFile, c.files.KeyFile)
	if err != nil {
		return fmt.Errorf("api.tls: %w", err)
	}
	c.now.Store(&cert)
	return nil
}

// config is that of the listener.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"}, // limits are per connection
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.now.Load(), nil
		},
	}
}
