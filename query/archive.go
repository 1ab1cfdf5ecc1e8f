package query

import (
	"weir/flow/ledger"
	"weir/store"
)

// An Archive is what questions are put to: a store, or a union of several that
// are asked as one.
type Archive interface {
	View(from, to store.Hour) (*store.View, error)
	Buckets() []store.BucketInfo

	// Lend gives memory to a question that needs much, until the question calls
	// what is returned.
	// Its garbage may be collected sooner meanwhile: lean.
	Lend(lean bool) (giveBack func())
}

// A LedgerArchive is an Archive whose ledgers say what answers of it are worth.
type LedgerArchive interface {
	Archive
	LedgerHours() []store.LedgerHour
	Damage() []error // met when the stores were opened
	ScanLedger(from, to store.Hour, fn func(h store.Hour, row ledger.Row) error) error
}
