// Package command is weir's command line: one file for each command, the query
// server that the collector runs on a Unix socket in the data directory, and
// the client that asks it.
//
// [Main] is the whole program but for the signal handling of the process. It
// puts the arguments in order (argv.go), finds the command's definition, turns
// the flags into a plain options struct, and calls the command's run function,
// which knows nothing of flags. Help, completion and argument checking read the
// same definitions, so they cannot drift apart.
//
// A question is put to a [backend]: the daemon if its socket answers, else the
// data directory itself. Both run the same functions on the same store, and
// every answer is written by the same code, so the two cannot be told apart.
//
// Data goes to standard output and everything else to standard error. The exit
// statuses stand in one table, in exit.go.
package command
