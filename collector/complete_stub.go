package collector

// StateStore keeps small values apart from the records.
type StateStore interface {
	PutState(key string, value []byte) error
	DeleteState(key string) error
	ScanState(prefix string, fn func(key string, value []byte) error) error
}

func (d *Decoder) load() {}
