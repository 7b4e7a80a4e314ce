package main

import (
	"fmt"
	"io"
	"strings"
)

// printCells prints a Markdown table of ratios: above 1, fanlight is faster.
func printCells(out io.Writer, a arrival, cells []*cell) {
	fmt.Fprintf(out, "\n### Packets arrive: %s\n\n", a.name)
	fmt.Fprintln(out, "| Frame | Ports | of the bridge | of ip_mroute | of mirred | ns per copy: fanlight | bridge | floor | rounds kept | most lost |")
	fmt.Fprintln(out, "| ---: | ---: | --- | --- | --- | ---: | ---: | ---: | ---: | --- |")
	for _, c := range cells {
		fmt.Fprintf(out, "| %d B | %d | **%v** | %v | %v | %.0f | %.0f | %.0f | %d of %d | %s |\n",
			c.size, c.fanout, c.ratio("bridge"), c.ratio("ip_mroute"), c.ratio("mirred"),
			c.median("fanlight"), c.median("bridge"), c.floor(), len(c.rounds), len(c.rounds)+c.thrown, c.losses())
	}
}

// floor is the median time per packet without replication, in ns.
func (c *cell) floor() float64 {
	var floors []float64
	for _, r := range c.rounds {
		floors = append(floors, r.floor)
	}
	return spreadOf(floors).median
}

// losses names the mechanisms that lost copies.
func (c *cell) losses() string {
	var words []string
	for _, m := range []string{"fanlight", "bridge", "ip_mroute", "mirred"} {
		if lost := c.lost(m); lost > 0 {
			words = append(words, fmt.Sprintf("%s %.1f %%", m, 100*lost))
		}
	}
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}
