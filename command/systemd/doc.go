// Package systemd tells the service manager how a service does: that it is
// ready, reads its configuration again, ends, and is alive (sd_notify(3)).
//
// [New] makes a [Notifier] out of the environment; where no manager listens it is
// one that says nothing, so that callers need not ask. Its methods may be called
// by several goroutines. What cannot be sent is let go: a service does not fail
// because its manager does not listen. It is the only package that knows the
// protocol.
package systemd
