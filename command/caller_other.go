//go:build !linux

package command

import (
	"context"
	"net"
	"os"

	"weir/retention/audit"
)

// withPeer does nothing: only Linux tells the peer of a socket by means that
// this program knows. The socket's mode lets the owner alone ask.
func withPeer(ctx context.Context, _ net.Conn) context.Context { return ctx }

// peerOf returns this process's user, who owns the socket.
func peerOf(context.Context) audit.Who { return processWho() }

// processWho is who runs this process.
func processWho() audit.Who {
	return audit.Who{UID: os.Getuid(), User: userName(os.Getuid()), PID: os.Getpid()}
}
