package history

import (
	"testing"

	"github.com/fanlight-io/fanlight/redact"
)

// FuzzPartition unpacks bytes, and what claims to be frames: the result is an
// error or frames, and a cursor reads those without a panic.
func FuzzPartition(f *testing.F) {
	h, m := open(f, Config{}), newMaker(f)
	payload := redact.AppendBatch(nil, m.records(3))
	for _, frames := range [][]frame{
		nil,
		{{records: 3, payload: payload}},
		{{records: 3, missing: 7, payload: payload}, {records: 1, payload: []byte("no batch")}},
		{{records: 1 << 63, missing: 1 << 63, payload: nil}},
	} {
		packed := pack(h.zip, frames)
		f.Add(packed)
		raw, err := h.unzip.DecodeAll(packed, nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, packed := range [][]byte{data, h.zip.EncodeAll(data, nil)} {
			frames, err := unpack(h.unzip, packed, 0)
			if err != nil {
				continue
			}
			c := Cursor{h: h}
			for i := range frames {
				c.read(&frames[i])
				for r := range c.batch.Records() {
					r.AppendJSON(nil)
				}
			}
		}
	})
}
