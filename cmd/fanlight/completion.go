package main

import (
	"cmp"
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// askTimeout is how long a Tab waits for the agent. A shell hangs meanwhile.
const askTimeout = 500 * time.Millisecond

// flagCompletions are by the name of a flag, in every verb that has it and has
// no completion of its own for it.
var flagCompletions = map[string]cobra.CompletionFunc{
	"bpffs":      directories,
	"config":     files("yaml", "yml"),
	"domain":     fromGroups(func(g groupSummary) []string { return []string{g.Domain} }),
	"exporter":   completeExporters,
	"group":      fromGroups(func(g groupSummary) []string { return []string{g.Group} }),
	"interface":  fromSubscribers(func(s subscription) []string { return []string{s.Interface} }),
	"key":        files(),
	"log-level":  cobra.FixedCompletions([]string{"debug", "info", "warn", "error"}, cobra.ShellCompDirectiveNoFileComp),
	"reason":     completeReasons,
	"socket":     files("sock"),
	"sort":       completeSort,
	"subscriber": fromSubscribers(func(s subscription) []string { return s.Hosts }),
	"view":       cobra.FixedCompletions(topViews, cobra.ShellCompDirectiveNoFileComp),
}

// completeFlags gives every flag of every verb its completion. What is not in
// flagCompletions has none: a name of a file would be wrong.
func completeFlags(c *cobra.Command) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if _, has := c.GetFlagCompletionFunc(f.Name); has {
			return
		}
		complete := flagCompletions[f.Name]
		if complete == nil && f.Value.Type() != "bool" && !takesFile(f) {
			complete = cobra.NoFileCompletions
		}
		if complete == nil {
			return
		}
		if err := c.RegisterFlagCompletionFunc(f.Name, complete); err != nil {
			panic(err) // the flag is there, and has none
		}
	})
	if c.ValidArgsFunction == nil && !takesFileArgument(c) {
		c.ValidArgsFunction = cobra.NoFileCompletions
	}
	for _, sub := range c.Commands() {
		completeFlags(sub)
	}
}

// takesFile reads the name of the flag's value in the help.
func takesFile(f *pflag.Flag) bool {
	name, _ := pflag.UnquoteUsage(f)
	return name == "file"
}

// takesFileArgument reads how the verb is used.
func takesFileArgument(c *cobra.Command) bool {
	return !c.HasSubCommands() && (strings.HasSuffix(c.Use, " FILE") || strings.Contains(c.Use, ".json"))
}

func directories(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// files are those with one of the extensions, or all.
func files(extensions ...string) cobra.CompletionFunc {
	if len(extensions) == 0 {
		return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		}
	}
	return cobra.FixedCompletions(extensions, cobra.ShellCompDirectiveFilterFileExt)
}

func completeReasons(_ *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	for _, r := range reasons {
		first, _, _ := strings.Cut(r.Meaning, ". ")
		names = append(names, cobra.CompletionWithDesc(r.Reason, strings.TrimSuffix(first, ".")))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeSort knows the columns of the view that is asked for.
func completeSort(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	view, err := c.Flags().GetString("view")
	v := slices.Index(topViews, view)
	if err != nil || v < 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return columnNames(topView(v)), cobra.ShellCompDirectiveNoFileComp
}

func fromGroups(names func(groupSummary) []string) cobra.CompletionFunc {
	return fromList("/v1/groups", names)
}

func fromSubscribers(names func(subscription) []string) cobra.CompletionFunc {
	return fromList("/v1/subscribers", names)
}

// completeExporters knows those of the configuration on the command line.
func completeExporters(c *cobra.Command, _ []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	path, err := c.Flags().GetString("config")
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	cfg, err := loadConfig(path)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	for i, x := range cfg.Events {
		names = append(names, exporterName(i, x))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// fromList completes with names in the agent's answer. Without an answer there is
// nothing to complete, and a Tab is no place to say why.
func fromList[T any](path string, names func(T) []string) cobra.CompletionFunc {
	return func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		var list []T
		if !askForNames(c, path, &list) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var all []string
		for _, x := range list {
			all = append(all, names(x)...)
		}
		return sorted(all), cobra.ShellCompDirectiveNoFileComp
	}
}

// askForNames asks the agent that the verb would ask.
func askForNames(c *cobra.Command, path string, into any) bool {
	agent := client{socket: cmp.Or(os.Getenv(socketVariable), defaultSocket)}
	for name, value := range map[string]*string{
		"socket": &agent.socket, "address": &agent.address, "ca-file": &agent.caFile, "token-file": &agent.tokenFile,
	} {
		if f := c.Flags().Lookup(name); f != nil && f.Changed {
			*value = f.Value.String()
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), askTimeout)
	defer cancel()
	return agent.ask(ctx, path, nil, into) == nil
}

// sorted leaves out what is there twice, or has no name.
func sorted(names []string) []string {
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > 0 && names[0] == "" {
		names = names[1:]
	}
	return names
}
