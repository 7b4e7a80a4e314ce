package redact

// Show returns what a name of class Domain or Interface looks like in logs and
// answers: as in labels of metrics. It is empty where policy drops it, or where
// the class is none of names.
func (p *Policy) Show(c Class, name string) string {
	texts, why := p.labelTexts([]LabelInfo{{Class: c}}, []Label{Name(name)})
	if why != noFailure {
		p.failures[why].Add(1)
		return ""
	}
	return texts[0]
}
