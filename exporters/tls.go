package exporters

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// TLSConfig is how an exporter talks TLS. The zero value trusts the system's
// authorities and shows no certificate.
type TLSConfig struct {
	CAFile     string `yaml:"ca_file"`     // authorities to trust instead of the system's
	CertFile   string `yaml:"cert_file"`   // our certificate, with key_file
	KeyFile    string `yaml:"key_file"`    // its key; nobody else may read it
	ServerName string `yaml:"server_name"` // name to expect in the peer's certificate
}

// Validate checks what can be checked without touching files.
func (c *TLSConfig) Validate() error {
	if (c.CertFile == "") != (c.KeyFile == "") {
		return errors.New("cert_file and key_file go together")
	}
	return nil
}

// load reads the files.
func (c *TLSConfig) load() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file: %s holds no certificate", c.CAFile)
		}
	}
	if c.CertFile == "" {
		return conf, nil
	}
	if err := checkSecret(c.KeyFile); err != nil {
		return nil, fmt.Errorf("key_file: %w", err)
	}
	// Read anew for each handshake, so that a renewed certificate needs no restart.
	conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		return &cert, err
	}
	_, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("cert_file: %w", err)
	}
	return conf, nil
}

// checkSecret refuses a file with a secret that others may read.
func checkSecret(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s may be read by others: chmod 0600 it", path)
	}
	return nil
}
