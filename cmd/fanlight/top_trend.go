package main

import "strings"

// trendLength is how many values a trend keeps: a minute at the usual interval.
const trendLength = 60

// trend is the last values of something, the newest one last.
type trend struct {
	values []float64
}

func (t *trend) add(v float64) {
	if t.values == nil {
		t.values = make([]float64, 0, trendLength)
	}
	if len(t.values) == trendLength {
		copy(t.values, t.values[1:])
		t.values = t.values[:trendLength-1]
	}
	t.values = append(t.values, v)
}

// bars are from nothing to the highest value in sight.
var bars = []rune(" ▁▂▃▄▅▆▇█")

// spark draws the last values as so many bars, the newest one at the right.
// Every value above 0 shows.
func (t *trend) spark(width int) string {
	values := t.values[max(0, len(t.values)-width):]
	highest := 0.0
	for _, v := range values {
		highest = max(highest, v)
	}
	var out strings.Builder
	out.WriteString(strings.Repeat(" ", width-len(values)))
	for _, v := range values {
		bar := 0
		if v > 0 {
			bar = 1 + int(v/highest*float64(len(bars)-2)+0.5)
		}
		out.WriteRune(bars[bar])
	}
	return out.String()
}

// highest is over all values that are kept.
func (t *trend) highest() (v float64) {
	for _, x := range t.values {
		v = max(v, x)
	}
	return v
}
