// Package flow defines the flow record: its fields, how each is named, what it
// holds, and the two shapes a set of records takes in memory.
//
// A [Batch] holds many records by column and is what travels from the collector
// to the store. A [Record] holds one record by field and is what an answer is
// made of. Both know, for every field, whether the exporter sent it: absent is
// not zero.
//
// The package imports the standard library only. It neither decodes datagrams
// (package collector) nor encodes blocks (package store).
package flow
