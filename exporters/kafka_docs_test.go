package exporters

import (
	"strings"
	"testing"
)

// The page names every counter, key, header and compression.
func TestKafkaDocs(t *testing.T) {
	page := string(readFile(t, "../docs/kafka.md"))
	words := append([]string{headerSchema, headerVersion, headerContentType, headerKind, headerEventID, kafkaSchema}, kafkaKeys...)
	for name := range new(kafkaCounts).all() {
		words = append(words, name)
	}
	for name := range levels {
		if name != "none" {
			words = append(words, name)
		}
	}
	for _, w := range words {
		if !strings.Contains(page, "`"+w+"`") {
			t.Errorf("docs/kafka.md says nothing of %s", w)
		}
	}
	for _, typ := range contentTypes {
		if !strings.Contains(page, "`"+typ+"`") {
			t.Errorf("docs/kafka.md says nothing of %s", typ)
		}
	}
}
