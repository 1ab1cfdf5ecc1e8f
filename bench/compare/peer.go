package main

import "context"

// A peer is a program that weir is measured against.
type peer interface {
	// name says which program, release and storage it is.
	name() string
	// ask asks a question, and returns false if the peer is not asked it.
	ask(ctx context.Context, q *question) (usage, answer, bool, error)
	// bytes returns the size of what it stored.
	bytes() int64
	// note says what must be known of the figures; empty: nothing.
	note() string
	close() error
}
