package exporters

import "testing"

// kafkaPeer is a topic of the real broker. It fails by being deleted.
func kafkaPeer(t *testing.T) peer {
	b := needBroker(t)
	topic := b.topic(t, 1)
	config := defaultKafka()
	config.Type, config.Brokers, config.Topic = "kafka", []string{b.plain}, topic
	return peer{
		config: config,
		delivered: func() (values []byte) {
			for _, r := range b.read(t, topic) {
				values = append(append(values, r.Payload...), '\n')
			}
			return values
		},
		beside: func() (all []byte) {
			for _, r := range b.read(t, topic) {
				all = append(append(all, r.Key...), '\n')
				for _, h := range r.Headers {
					all = append(append(all, h...), '\n')
				}
			}
			return all
		},
		fail: func() { b.delete(t, topic) },
		heal: func() { b.create(t, topic, 1) },
	}
}
