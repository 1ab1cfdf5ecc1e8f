package store

// DiskUsage returns the bytes that the directory takes on disk: tables, the
// write-ahead log, and what is about to be deleted.
func (s *Store) DiskUsage() (uint64, error) {
	s.publish.RLock() // the store does not close under it
	defer s.publish.RUnlock()
	if s.isClosed() {
		return 0, ErrClosed
	}
	return s.db.Metrics().DiskSpaceUsage(), nil
}
