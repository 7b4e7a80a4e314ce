package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/fanlight-io/fanlight/redact"
)

func newRedact(e env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "redact",
		Short: "Explain what leaves this host, make keys, and undo what a key holder may",
		Long: `Redact holds the verbs about what policy does to addresses and names before they
leave this host.`,
		Example: `  fanlight redact genkey /etc/fanlight/redact.key
  fanlight redact explain event.json --config /etc/fanlight/fanlight.yaml`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	cmd.AddCommand(newExplain(e), newReveal(e), newGenkey(e))
	return cmd
}

func newExplain(e env) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "explain EVENT.json",
		Short: "Show field by field what each exporter would see of an event, and by which rule",
		Long: `Explain reads one event, written as profile reveal writes it, and shows what
each exporter of the configuration would get of it. Without --config it shows
what the default profile does. It changes nothing and needs no agent.`,
		Example: `  fanlight redact explain event.json --config /etc/fanlight/fanlight.yaml
  fanlight redact explain event.json -o json`,
		Args: exactly(1, "EVENT.json"),
	}
	var output string
	outputFlag(cmd, &output)
	cmd.Flags().StringVarP(&path, "config", "c", "", "configuration `file` (YAML)")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		inJSON, err := wantsJSON(output)
		if err != nil {
			return err
		}
		var cfg config
		if path != "" {
			if cfg, err = loadConfig(path); err != nil {
				return err
			}
		}
		return explain(e, cfg, args[0], inJSON)
	}
	return cmd
}

// explained is what the exporters that share a policy see of an event.
type explained struct {
	Exporters []string             `json:"exporters"`
	Fields    []redact.Explanation `json:"fields"`
}

func explain(e env, cfg config, path string, inJSON bool) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	event, err := redact.ParseEvent(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	origin, err := redact.LocalOrigin()
	if err != nil {
		return err
	}
	base, err := redact.NewPolicy(cfg.Redact, origin)
	if err != nil {
		return fmt.Errorf("redact: %w", err)
	}
	if base.Ephemeral() {
		fmt.Fprintln(e.stderr, "note: no key is configured, so pseudonyms are others at each start")
	}
	policies, err := exporterPolicies(cfg, base)
	if err != nil {
		return err
	}
	var all []explained
	for _, p := range policies {
		fields, err := p.policy.Explain(&event)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", path, strings.Join(p.exporters, ", "), err)
		}
		all = append(all, explained{p.exporters, fields})
	}
	if inJSON {
		return json.NewEncoder(e.stdout).Encode(all)
	}
	return writeExplained(e, all)
}

func writeExplained(e env, all []explained) error {
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	for i, x := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s:\nFIELD\tCLASS\tACTION\tRULE\tVALUE\n", strings.Join(x.Exporters, ", "))
		for _, f := range x.Fields {
			value := f.Value
			if value == "" {
				value = "-"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", f.Field, f.Class, f.Action, f.Rule, value)
		}
	}
	return w.Flush()
}

type exporterPolicy struct {
	exporters []string
	policy    *redact.Policy
}

// exporterPolicies returns the policies in use, each with the exporters whose
// policy it is. The metrics page and the API have the base policy.
func exporterPolicies(cfg config, base *redact.Policy) ([]exporterPolicy, error) {
	all := []exporterPolicy{{[]string{"metrics"}, base}}
	if cfg.API.enabled() {
		all[0].exporters = append(all[0].exporters, historySink)
	}
	for i, x := range cfg.Events {
		name := exporterName(i, x)
		p, err := policyOf(base, name, x)
		if err != nil {
			return nil, fmt.Errorf("events[%d]: redact: %w", i, err)
		}
		if p == base {
			all[0].exporters = append(all[0].exporters, name)
			continue
		}
		all = append(all, exporterPolicy{[]string{name}, p})
	}
	return all, nil
}

func newReveal(e env) *cobra.Command {
	var path string
	var guesses []string
	cmd := &cobra.Command{
		Use:   "reveal --key FILE TOKEN...",
		Short: "Undo redaction, for the holder of the key",
		Long: `Reveal shows which addresses stood in the place of those that action
prefix_preserving made, under each key in the file: an address does not tell
which key made it. Old keys reveal what was made before they were replaced.

A pseudonym can't be undone. --guess tests whether it stands for an address, an
address of a prefix, an Ethernet address or a name.`,
		Example: `  fanlight redact reveal --key keys 198.123.155.246 f2:2e:5e:96:c2:30
  fanlight redact reveal --key keys --guess 192.0.2.0/24 host_cd27abf0_89b6e71f05b2ccb462b43532`,
		Args: cobra.ArbitraryArgs,
	}
	var output string
	outputFlag(cmd, &output)
	cmd.Flags().StringVarP(&path, "key", "k", "", "key `file`")
	cmd.Flags().StringArrayVar(&guesses, "guess", nil, "`value` or prefix that a pseudonym may stand for (may be repeated)")
	cmd.RunE = func(_ *cobra.Command, tokens []string) error {
		inJSON, err := wantsJSON(output)
		switch {
		case err != nil:
			return err
		case path == "":
			return fmt.Errorf("%w: --key FILE is needed", errUsage)
		case len(tokens) == 0:
			return fmt.Errorf("%w: a TOKEN is needed", errUsage)
		}
		ring, err := redact.OpenKeyring(path)
		if err != nil {
			return err
		}
		found, failed := revealAll(ring, tokens, guesses)
		return errors.Join(failed, writeRevealed(e, found, inJSON))
	}
	return cmd
}

// revealAll goes on after a token that can't be revealed.
func revealAll(ring *redact.Keyring, tokens, guesses []string) (found []redact.Revealed, failed error) {
	for _, token := range tokens {
		some, err := ring.Reveal(token)
		if errors.Is(err, redact.ErrPseudonym) && len(guesses) > 0 {
			some, err = testGuesses(ring, token, guesses)
		}
		found = append(found, some...)
		failed = errors.Join(failed, err)
	}
	return found, failed
}

func testGuesses(ring *redact.Keyring, token string, guesses []string) ([]redact.Revealed, error) {
	for _, guess := range guesses {
		found, ok, err := ring.Guess(token, guess)
		if err != nil {
			return nil, err
		}
		if ok {
			return []redact.Revealed{found}, nil
		}
	}
	return nil, fmt.Errorf("%s: no guess is right", token)
}

func writeRevealed(e env, found []redact.Revealed, inJSON bool) error {
	if inJSON {
		return json.NewEncoder(e.stdout).Encode(found)
	}
	if len(found) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TOKEN\tKEY\tCLASS\tVALUE")
	for _, f := range found {
		class := f.Class
		if class == "" {
			class = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", f.Token, f.KeyID, class, f.Value)
	}
	return w.Flush()
}

func newGenkey(e env) *cobra.Command {
	var rotate bool
	cmd := &cobra.Command{
		Use:   "genkey FILE",
		Short: "Make a key for redaction, or replace the one in use",
		Long: `Genkey writes a random key to a new file that only its owner can read. With
--rotate it adds one to a file that is there, and puts it in use; the old ones
stay for 'fanlight redact reveal'. An agent takes the new key at SIGHUP.`,
		Example: `  fanlight redact genkey /etc/fanlight/redact.key
  fanlight redact genkey --rotate /etc/fanlight/redact.key && systemctl reload fanlight`,
		Args: exactly(1, "FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			make, did := redact.GenerateKey, "written to"
			if rotate {
				make, did = redact.RotateKey, "put in use in"
			}
			ring, err := make(args[0])
			if errors.Is(err, os.ErrExist) {
				return fmt.Errorf("%w; --rotate adds a key to it", err)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(e.stdout, "key %s %s %s\n", ring.Active(), did, args[0])
			return nil
		},
	}
	cmd.Flags().BoolVar(&rotate, "rotate", false, "add a key to the file and put it in use")
	return cmd
}

// exactly asks for n arguments, named what.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return fmt.Errorf("%w: want %s, got %d arguments", errUsage, what, len(args))
		}
		return nil
	}
}
