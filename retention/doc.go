// Package retention drops buckets that are older than the archive may keep.
//
// [Expired] decides and does nothing; a [Keeper] acts on it each minute. A
// bucket goes whole, records and index together, once its last millisecond is
// older than the policy, and nothing younger is ever touched.
//
// Dropping cannot be undone and rests on the clock alone, so the keeper does
// not believe a clock that moved by more than a day against what it knows: the
// monotonic clock while it runs, and across restarts the last time that it
// wrote down in the store. It then holds everything back and says so, until
// the clock is back or someone confirms that it is right. A machine that was
// off for more than a day looks the same from here and is held too.
//
// The package does not choose the policy and does not delete single records.
package retention
