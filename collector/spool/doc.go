// Package spool keeps batches on disk, in order, until they are delivered.
//
// What Append took survives the agent, however it ends, and by the sync policy
// also the machine. It is delivered at least once: after a crash, what was
// acknowledged in the last second may come again. The disk space is bounded,
// damage is confined to the batches that it hit, and every record that does not
// come out again is counted once, by reason.
package spool
