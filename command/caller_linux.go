package command

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"weir/retention/audit"
)

type peerKey struct{}

// withPeer notes who is at the other end of a Unix socket, as the kernel says
// (SO_PEERCRED in unix(7)).
func withPeer(ctx context.Context, conn net.Conn) context.Context {
	who := audit.Who{UID: -1, User: userName(-1)}
	if c, ok := conn.(*net.UnixConn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { // without an answer the peer stays unknown
				if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
					who = whoIs(int(cred.Uid), int(cred.Pid))
				}
			})
		}
	}
	return context.WithValue(ctx, peerKey{}, who)
}

// peerOf returns whom withPeer noted.
func peerOf(ctx context.Context) audit.Who {
	who, ok := ctx.Value(peerKey{}).(audit.Who)
	if !ok {
		return audit.Who{UID: -1, User: userName(-1)}
	}
	return who
}

// processWho is who runs this process.
func processWho() audit.Who { return whoIs(os.Getuid(), os.Getpid()) }

// whoIs names a process's user and, where that is somebody else, who logged in:
// the kernel keeps that over su and sudo (proc(5), loginuid).
func whoIs(uid, pid int) audit.Who {
	who := audit.Who{UID: uid, User: userName(uid), PID: pid}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/loginuid", pid))
	if err != nil {
		return who
	}
	login, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	if err == nil && login != 1<<32-1 && int(login) != uid {
		who.Login = userName(int(login))
	}
	return who
}
