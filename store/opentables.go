package store

// openTables is how many tables Pebble may hold open. An hour has three, and a
// question about weeks goes over all of them: a table that has to be opened anew
// takes longer than what is read from it. Three months are held open, unless the
// process may not have that many files: half of those are left to what else needs
// some.
func openTables() int {
	const months, fewest = 8192, 64
	return int(min(months, max(fewest, fileLimit()/2)))
}
