package main

import (
	"errors"
	"fmt"
	"net"
	"os/user"
)

// defaultSocket is where a running agent answers.
const defaultSocket = "/run/fanlight/fanlight.sock"

// apiConfig is the local API: HTTP on a unix socket, for this command's own
// verbs and for scripts; and by TCP, with TLS and a token, if that is asked for.
type apiConfig struct {
	// Socket is its path; "none" means none. Default: defaultSocket.
	Socket string `yaml:"socket"`
	// Group may use the socket besides the agent's own user.
	Group string `yaml:"group"`
	// Control lets those who may use it change static groups. Default: true.
	Control *bool `yaml:"control"`
	// Listen is host:port for TCP; empty: none. It needs TLS and TokenFile.
	Listen string       `yaml:"listen"`
	TLS    apiTLSConfig `yaml:"tls"`
	// TokenFile holds what clients by TCP must show. Only its owner may read it.
	TokenFile string `yaml:"token_file"`
}

// apiTLSConfig is who the agent is to clients by TCP.
type apiTLSConfig struct {
	CertFile string `yaml:"cert_file"` // with the chain to an authority, if any
	KeyFile  string `yaml:"key_file"`  // nobody else may read it
}

func (c apiConfig) control() bool { return c.Control == nil || *c.Control }

func (c apiConfig) path() string {
	switch c.Socket {
	case "":
		return defaultSocket
	case "none":
		return ""
	}
	return c.Socket
}

// enabled reports whether there is an API at all.
func (c apiConfig) enabled() bool { return c.path() != "" || c.Listen != "" }

// maxSocketPath is what struct sockaddr_un has room for.
const maxSocketPath = 107

func (c apiConfig) validate() error {
	var errs []error
	if p := c.path(); len(p) > maxSocketPath {
		errs = append(errs, fmt.Errorf("api.socket: %d bytes are more than %d", len(p), maxSocketPath))
	}
	if c.Group != "" {
		if _, err := user.LookupGroup(c.Group); err != nil {
			errs = append(errs, fmt.Errorf("api.group: %w", err))
		}
	}
	return errors.Join(append(errs, c.validateTCP())...)
}

// validateTCP refuses to listen to whoever comes.
func (c apiConfig) validateTCP() error {
	if c.Listen == "" {
		if c.TLS != (apiTLSConfig{}) || c.TokenFile != "" {
			return errors.New("api.listen: want host:port; without it, tls and token_file are of no use")
		}
		return nil
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return fmt.Errorf("api.listen: %q: want host:port", c.Listen)
	}
	switch {
	case c.TLS.CertFile == "" || c.TLS.KeyFile == "":
		return errors.New("api.listen: needs tls.cert_file and tls.key_file: nothing goes in clear by TCP")
	case c.TokenFile == "":
		return errors.New("api.listen: needs token_file: make one with 'openssl rand -base64 32', mode 0600")
	}
	return nil
}
