package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/fanlight-io/fanlight/redact"
)

// version is set by the linker in releases.
var version = "devel"

func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return "unknown"
}

func buildLabels() []redact.Label {
	return []redact.Label{redact.Name(version), redact.Name(revision()), redact.Name(runtime.Version())}
}

func newVersion(e env) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show the version of fanlight",
		Long: `Version shows the release, the commit that it was built from, and the Go version
that built it. 'fanlight --version' is short for it.`,
		Example: `  fanlight version
  fanlight version -o json`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			switch output {
			case "table":
				fmt.Fprintf(e.stdout, "fanlight %s (revision %s, %s)\n", version, revision(), runtime.Version())
				return nil
			case "json":
				return json.NewEncoder(e.stdout).Encode(map[string]string{
					"version": version, "revision": revision(), "go": runtime.Version(),
				})
			}
			return badOutput(output)
		},
	}
	outputFlag(cmd, &output)
	return cmd
}
