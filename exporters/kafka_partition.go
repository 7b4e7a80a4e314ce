package exporters

import "github.com/fanlight-io/fanlight/redact"

// What records keep their order by.
const (
	keyGroup  = "group"
	keyFlow   = "flow"
	keyDomain = "domain"
	keyNone   = "none"
)

var kafkaKeys = []string{keyGroup, keyFlow, keyDomain, keyNone}

var fieldDomain = redact.FieldNamed("domain")

// appendKey appends what the record keeps its order by, as the policy left it.
// Nothing means that any order will do.
func appendKey(dst []byte, r *redact.Record, by string) []byte {
	switch by {
	case keyGroup:
		return append(dst, r.Key()...)
	case keyDomain:
		return append(dst, r.Text(fieldDomain)...)
	case keyFlow:
		if r.Text(fieldSource) == "" || r.Text(fieldGroup) == "" {
			return append(dst, r.Key()...)
		}
		dst = append(dst, r.Text(fieldSource)...)
		dst = append(dst, ' ')
		return append(dst, r.Text(fieldGroup)...)
	}
	return dst
}

// partitionOf returns the partition that Java's client and librdkafka's
// murmur2_random choose for a key, so that whoever else produces to the topic
// agrees with us.
func partitionOf(key []byte, partitions int) int32 {
	return int32(murmur2(key) & 0x7fffffff % uint32(partitions))
}

// murmur2 is Austin Appleby's hash, with the seed that Kafka uses.
func murmur2(data []byte) uint32 {
	const (
		seed = 0x9747b28c
		m    = 0x5bd1e995
		r    = 24
	)
	h := seed ^ uint32(len(data))
	for ; len(data) >= 4; data = data[4:] {
		k := uint32(data[0]) | uint32(data[1])<<8 | uint32(data[2])<<16 | uint32(data[3])<<24
		k *= m
		k ^= k >> r
		k *= m
		h = h*m ^ k
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h ^= uint32(data[0])
		h *= m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}
