// Package backup makes copies of an archive while it is written to: backups in a
// directory that holds many (Make), and two checkpoints at a fixed place in the
// data directory, for tools that copy it without a word to weir (Fixed).
//
// # What it promises
//
// A copy is consistent: it holds every record that was stored when it was begun,
// and opens like any archive. It appears under its name whole or not at all. A
// copy lists its files with their sizes and hashes (store.Listing), so that a
// part of one is never taken for the whole. Nothing that a later copy or the
// archive shares with it by hard links is ever written to: only tables are
// shared, and they never change.
//
// # What it does not do
//
// It knows nothing of records, of purges and of who may do what (package
// command).
package backup
