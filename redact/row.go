package redact

// Row shows the identities of one thing, such as a subscriber of a group, as
// labels of metrics would show them: one class and one label for each, in their
// order. Rules about groups and interfaces look at those of the row. It returns
// ok false, and counts a failure, if labels don't fit their classes.
func (p *Policy) Row(classes []Class, labels ...Label) (texts []string, ok bool) {
	info := make([]LabelInfo, len(classes))
	for i, c := range classes {
		info[i].Class = c
	}
	texts, why := p.labelTexts(info, labels)
	if why != noFailure {
		p.failures[why].Add(1)
		return nil, false
	}
	return texts, true
}
