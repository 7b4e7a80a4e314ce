package exporters

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/saslauthenticate"
	"github.com/segmentio/kafka-go/protocol/saslhandshake"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// KafkaSASL says who we are. The zero value says nothing.
type KafkaSASL struct {
	// Mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
	Mechanism string `yaml:"mechanism"`
	// Username, or UsernameFile with it in the first line.
	Username     string `yaml:"username"`
	UsernameFile string `yaml:"username_file"`
	// PasswordFile holds the password, without which nobody else may read it. It
	// is read again at each connection.
	PasswordFile string `yaml:"password_file"`
}

const (
	saslPlain    = "PLAIN"
	saslScram256 = "SCRAM-SHA-256"
	saslScram512 = "SCRAM-SHA-512"
)

func (c *KafkaSASL) validate() error {
	switch c.Mechanism {
	case "":
		if *c != (KafkaSASL{}) {
			return errors.New("mechanism is missing")
		}
		return nil
	case saslPlain, saslScram256, saslScram512:
	default:
		return fmt.Errorf("mechanism %q: want %s, %s or %s", c.Mechanism, saslPlain, saslScram256, saslScram512)
	}
	if (c.Username == "") == (c.UsernameFile == "") {
		return errors.New("username and username_file: want one of them")
	}
	if c.PasswordFile == "" {
		return errors.New("password_file is missing")
	}
	return nil
}

// mechanism reads the secrets. It returns nil if there is no mechanism.
func (c *KafkaSASL) mechanism() (sasl.Mechanism, error) {
	if c.Mechanism == "" {
		return nil, nil
	}
	user := c.Username
	if c.UsernameFile != "" {
		var err error
		if user, err = readSecret(c.UsernameFile); err != nil {
			return nil, fmt.Errorf("username_file: %w", err)
		}
	}
	password, err := readSecret(c.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("password_file: %w", err)
	}
	switch c.Mechanism {
	case saslScram256:
		return scram.Mechanism(scram.SHA256, user, password)
	case saslScram512:
		return scram.Mechanism(scram.SHA512, user, password)
	}
	return plain.Mechanism{Username: user, Password: password}, nil
}

// readSecret returns the first line of a file that only its owner may read.
func readSecret(path string) (string, error) {
	if err := checkSecret(path); err != nil {
		return "", err
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	secret, _, _ := strings.Cut(string(raw), "\n")
	if secret = strings.TrimSuffix(secret, "\r"); secret == "" {
		return "", fmt.Errorf("%s: its first line is empty", path)
	}
	return secret, nil
}

// errAuthentication marks that a broker does not take us for who we say we are.
var errAuthentication = errors.New("authentication failed")

// authenticate talks SASL. It returns until when the broker takes our word for
// it; the zero time means for ever.
func authenticate(ctx context.Context, link *kafkaLink, m sasl.Mechanism) (until time.Time, err error) {
	msg, err := link.ask(&saslhandshake.Request{Mechanism: m.Name()})
	if err != nil {
		return until, err
	}
	hello, ok := msg.(*saslhandshake.Response)
	if !ok {
		return until, fmt.Errorf("%w: answer of type %T", errAuthentication, msg)
	}
	if hello.ErrorCode != 0 {
		return until, fmt.Errorf("%w: mechanism %s: %w", errAuthentication, m.Name(), kafka.Error(hello.ErrorCode))
	}
	session, state, err := m.Start(ctx)
	for done := false; !done && err == nil; {
		var answer *saslauthenticate.Response
		if answer, err = exchange(link, state); err != nil {
			return until, err
		}
		if answer.SessionLifetimeMs > 0 {
			until = time.Now().Add(time.Duration(answer.SessionLifetimeMs) * time.Millisecond)
		}
		done, state, err = session.Next(ctx, answer.AuthBytes)
	}
	if err != nil { // its text is about the exchange, perhaps with parts of it
		return until, fmt.Errorf("%w: mechanism %s: the broker's answer is wrong", errAuthentication, m.Name())
	}
	return until, nil
}

func exchange(link *kafkaLink, state []byte) (*saslauthenticate.Response, error) {
	msg, err := link.ask(&saslauthenticate.Request{AuthBytes: state})
	if err != nil {
		return nil, err
	}
	answer, ok := msg.(*saslauthenticate.Response)
	if !ok {
		return nil, fmt.Errorf("%w: answer of type %T", errAuthentication, msg)
	}
	if answer.ErrorCode != 0 {
		return nil, fmt.Errorf("%w: %w", errAuthentication, kafka.Error(answer.ErrorCode))
	}
	return answer, nil
}
