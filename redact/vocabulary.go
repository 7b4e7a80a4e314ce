package redact

import "github.com/fanlight-io/fanlight/bpf"

// Words that may stand in records. An event that uses another word is dropped
// and counted: free text could carry what policy must hide.
var (
	actionsOf = map[bpf.Kind][]string{
		bpf.KindReplication: {"first", "fanout", "periodic", "sample"},
		bpf.KindDrop:        {"packet", "copy"},
		bpf.KindMembership:  {"joined", "left", "expired", "changed", "refused"},
		bpf.KindQuerier:     {"elected", "heard", "replaced", "lost", "router_learned", "router_expired"},
		bpf.KindLoss:        {"ring", "decode", "redact", "queue", "spool", "export"},
		bpf.KindStream:      {"first", "source_added", "source_changed", "silent", "resumed", "ttl_changed", "dscp_changed", "ended", "refused"},
	}
	protocols   = []string{"igmpv1", "igmpv2", "igmpv3", "mldv1", "mldv2", "pimv2", "mrd", "other", "static"}
	filterModes = []string{"include", "exclude"}
	directions  = []string{bpf.In.String(), bpf.Out.String()}
)

// Actions returns the actions that events of a kind may have.
func Actions(k bpf.Kind) []string { return append([]string(nil), actionsOf[k]...) }

// wordTable is actionsOf as an array, for the hot path.
var wordTable = func() (t [256][]string) {
	for k, words := range actionsOf {
		t[k] = words
	}
	return t
}()

func oneOf(words []string, s string) bool {
	for _, w := range words {
		if w == s {
			return true
		}
	}
	return false
}

const maxIdentifier = 64

// isIdentifier reports whether s is a plain word: letters, digits and
// underscores, so that no address in its usual notation fits in.
func isIdentifier(s string) bool {
	if len(s) > maxIdentifier {
		return false
	}
	for i := range len(s) {
		if !identifierByte[s[i]] {
			return false
		}
	}
	return true
}

var identifierByte = func() (t [256]bool) {
	for c := range t {
		t[c] = c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	}
	return t
}()
