package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/spf13/cobra"
)

// staticVerb adds or deletes something static at the running agent.
type staticVerb struct {
	staticRequest
	agent  client // at the socket: changes are not taken by TCP
	output string
}

func (v *staticVerb) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&v.Domain, "domain", "", "the `domain`; may be left out if the agent has one only")
	cmd.Flags().StringVar(&v.VLAN, "vlan", "", "the `VLAN`, such as 100, or 100.7 with two tags (default: untagged)")
	outputFlag(cmd, &v.output)
	cmd.Flags().StringVar(&v.agent.socket, "socket", defaultSocket, "`path` of the agent's socket")
}

// flagsOfPort are those that say who gets what.
func (v *staticVerb) flagsOfPort(cmd *cobra.Command) {
	cmd.Flags().StringVar(&v.Group, "group", "", "the `group`: its address, or a name that it has for itself")
	cmd.Flags().StringVar(&v.Interface, "interface", "", "`name` or glob of the ports, there or not")
	cmd.Flags().StringVar(&v.Source, "source", "", "`address` of the only source; give the verb once for each (default: all)")
	v.flags(cmd)
}

func (v *staticVerb) checkPort() error {
	switch {
	case v.Group == "":
		return fmt.Errorf("%w: --group GROUP is needed", errUsage)
	case v.Interface == "":
		return fmt.Errorf("%w: --interface NAME is needed", errUsage)
	}
	if a, err := netip.ParseAddr(v.Group); err == nil && !a.IsMulticast() {
		return fmt.Errorf("%w: --group: %q is no group, such as 239.1.1.1 or ff15::1", errUsage, v.Group)
	}
	if _, err := netip.ParseAddr(v.Source); v.Source != "" && err != nil {
		return fmt.Errorf("%w: --source: %q is no address", errUsage, v.Source)
	}
	return nil
}

// do sends the request and says what became of it: what was done, or that it
// was so already.
func (v *staticVerb) do(ctx context.Context, e env, method, path string, query url.Values, body any, done, already string) error {
	inJSON, err := wantsJSON(v.output)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := v.agent.send(ctx, method, path, query, body, &raw); err != nil {
		return err
	}
	if inJSON {
		_, err := fmt.Fprintln(e.stdout, string(raw))
		return err
	}
	var a staticAnswer
	if err := json.Unmarshal(raw, &a); err != nil {
		return fmt.Errorf("read the agent's answer: %w", err)
	}
	text := already
	if a.Changed {
		text = done
	}
	fmt.Fprintln(e.stdout, text)
	for _, n := range a.Notes {
		fmt.Fprintln(e.stdout, "note:", n)
	}
	return nil
}

const staticHelp = `

What is added is in force at once, is kept in the agent's 'state' directory, and so
outlives the agent and the machine. To say the same again changes nothing and is no
error; nor is it to delete what is not there.

Exit status 0 means that it is so now, 1 that the agent refused and nothing changed,
2 that the call was wrong.`

func newGroupsAdd(e env) *cobra.Command {
	var v staticVerb
	cmd := &cobra.Command{
		Use:   "add GROUP",
		Short: "Make a group known: it goes to its subscribers and to routers, and is never flooded",
		Long: `Add makes a group static: the agent knows it whether somebody subscribes or not.
Its packets go to its subscribers, static ones ('fanlight subscribers add') and those
that are learnt by IGMP or MLD, and to routers; without any of them they are dropped
as 'unregistered', even where groups that nobody joined are flooded.` + staticHelp,
		Example: `  fanlight groups add 239.1.1.1
  fanlight groups add ff15::1 --domain studio --vlan 100`,
		Args: wantGroup,
		RunE: func(cmd *cobra.Command, args []string) error {
			v.Group = args[0]
			return v.do(cmd.Context(), e, http.MethodPost, "/v1/groups", nil, v.staticRequest,
				"added group "+v.Group, "group "+v.Group+" is static already")
		},
	}
	v.flags(cmd)
	return cmd
}

func newGroupsDelete(e env) *cobra.Command {
	var v staticVerb
	cmd := &cobra.Command{
		Use:   "delete GROUP",
		Short: "Take back 'groups add', with all static subscribers of the group",
		Long: `Delete makes a group one like every other: its static subscribers go, and what
'groups add' did. Ports whose hosts asked for the group by IGMP or MLD stay subscribed.` + staticHelp,
		Example: `  fanlight groups delete 239.1.1.1`,
		Args:    wantGroup,
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "/v1/groups/" + url.PathEscape(args[0])
			return v.do(cmd.Context(), e, http.MethodDelete, path, given("domain", v.Domain, "vlan", v.VLAN), nil,
				"deleted static group "+args[0], "group "+args[0]+" is not static")
		},
	}
	v.flags(cmd)
	return cmd
}

func newSubscribersAdd(e env) *cobra.Command {
	var v staticVerb
	cmd := &cobra.Command{
		Use:   "add --group GROUP --interface NAME",
		Short: "Subscribe a port to a group, for hosts that do not speak IGMP or MLD",
		Long: `Add subscribes ports to a group until 'delete': they get its packets exactly as if a
host had asked, no timer ends it, and no leave of a host does. The port need not be
there: one that appears later and fits the name or glob is subscribed then. With
--source it gets that source only; a group of 232.0.0.0/8 or ff3x::/32 needs one.
What the domain does not allow, and what there is no room for, is refused.` + staticHelp,
		Example: `  fanlight subscribers add --group 239.1.1.1 --interface veth7
  fanlight subscribers add --group 232.1.1.1 --source 192.0.2.1 --interface 'cam-*' --vlan 100`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := v.checkPort(); err != nil {
				return err
			}
			return v.do(cmd.Context(), e, http.MethodPost, "/v1/subscribers", nil, v.staticRequest,
				"subscribed "+v.Interface+" to "+v.Group, v.Interface+" is a static subscriber of "+v.Group+" already")
		},
	}
	v.flagsOfPort(cmd)
	return cmd
}

func newSubscribersDelete(e env) *cobra.Command {
	var v staticVerb
	cmd := &cobra.Command{
		Use:   "delete --group GROUP --interface NAME",
		Short: "Take back 'subscribers add'",
		Long: `Delete ends a static subscription at once. --interface is written as it was for
'add'. With --source it ends that of one source, without that of all. If hosts behind
the port asked for the group by IGMP or MLD, it still gets it.` + staticHelp,
		Example: `  fanlight subscribers delete --group 239.1.1.1 --interface veth7
  fanlight subscribers delete --group 232.1.1.1 --source 192.0.2.1 --interface 'cam-*' --vlan 100`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := v.checkPort(); err != nil {
				return err
			}
			q := given("domain", v.Domain, "vlan", v.VLAN, "group", v.Group, "interface", v.Interface, "source", v.Source)
			return v.do(cmd.Context(), e, http.MethodDelete, "/v1/subscribers", q, nil,
				"unsubscribed "+v.Interface+" from "+v.Group, v.Interface+" is no static subscriber of "+v.Group)
		},
	}
	v.flagsOfPort(cmd)
	return cmd
}
