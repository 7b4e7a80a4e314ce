package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"

	"go.yaml.in/yaml/v3"

	"github.com/fanlight-io/fanlight/groupplan"
)

// loadPlan reads a plan, or the static groups of a configuration. Its errors
// wrap errConfig and name file and line.
func loadPlan(path string) (groupplan.Plan, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return groupplan.Plan{}, fmt.Errorf("%w: %w", errConfig, err)
	}
	p, err := parsePlan(raw)
	if err != nil {
		return p, fmt.Errorf("%w: %s: %w", errConfig, path, err)
	}
	return p, nil
}

func parsePlan(raw []byte) (p groupplan.Plan, err error) {
	var doc yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(raw)).Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return p, errors.New("the file is empty")
		}
		return p, err
	}
	root := doc.Content[0]
	if _, domains := lookUp(root, "domains"); domains != nil {
		return configuredPlan(raw, domains)
	}
	if err := checkKeys(root, &p); err != nil {
		return p, err
	}
	if err := doc.Decode(&p); err != nil {
		return p, tidyYAML(err)
	}
	_, list := lookUp(root, "groups")
	items := itemsOf(list)
	for i := range p.Groups {
		g := &p.Groups[i]
		g.Line = items(i).Line
		if g.Segment != "" {
			g.Segment = "vlan " + g.Segment
		}
	}
	return p, addLines(p.Validate(), root)
}

// itemsOf returns the items of a list as they were decoded: what is empty is
// not. What is not there is an empty node.
func itemsOf(list *yaml.Node) func(i int) *yaml.Node {
	var items []*yaml.Node
	if list != nil && list.Kind == yaml.SequenceNode {
		for _, item := range list.Content {
			if item.Tag != "!!null" {
				items = append(items, item)
			}
		}
	}
	return func(i int) *yaml.Node {
		if i >= len(items) {
			return &yaml.Node{}
		}
		return items[i]
	}
}

// configuredPlan is what the configuration orders.
func configuredPlan(raw []byte, domains *yaml.Node) (p groupplan.Plan, err error) {
	c, err := parseConfig(bytes.NewReader(raw))
	if err != nil {
		return p, err
	}
	domain := itemsOf(domains)
	for i, d := range c.Domains {
		_, static := lookUp(domain(i), "static")
		order := itemsOf(static)
		for j, s := range d.Static {
			p.Groups = append(p.Groups, groupplan.Group{
				Group: s.Group, Sources: s.Sources, Segment: segmentName(d.Name, s.VLAN), Line: order(j).Line,
				Observed: len(s.Interfaces) == 0, // nobody subscribes, so nobody need name a source
			})
		}
	}
	if len(p.Groups) == 0 {
		return p, errors.New("no domain has 'static' groups; 'fanlight lint --live' checks what the running agent forwards")
	}
	return p, nil
}

// segmentName tells VLANs of several domains apart.
func segmentName(domain, vlan string) string {
	if vlan == "" {
		return domain
	}
	return domain + " vlan " + vlan
}

// livePlan is what the agent forwards now, but for the control
// groups of each link.
func livePlan(ctx context.Context, agent *client) (p groupplan.Plan, err error) {
	var list []groupSummary
	if err := agent.ask(ctx, "/v1/groups", nil, &list); err != nil {
		return p, err
	}
	hidden := 0
	for _, g := range list {
		a, err := netip.ParseAddr(g.Group)
		if err != nil {
			if g.Group != "" {
				hidden++
			}
			continue
		}
		if !a.IsLinkLocalMulticast() {
			p.Groups = append(p.Groups, groupplan.Group{Group: a, Name: g.Name, Segment: segmentName(g.Domain, g.VLAN), Observed: true})
		}
	}
	if hidden > 0 {
		return p, fmt.Errorf("the agent's policy hides %d groups: lint needs their addresses; ask as root with --reveal, or give it a plan", hidden)
	}
	return p, nil
}
