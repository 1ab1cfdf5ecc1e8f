package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// socketName is the daemon's socket in the data directory. Whoever may open it
// may ask and import: the file's owner, and a group if the configuration names
// one.
const socketName = "weir.sock"

func socketPath(dir string) string { return filepath.Join(dir, socketName) }

// maxSocketPath is how long a Unix socket's path may be: 104 bytes with the
// zero at its end on BSD, 108 on Linux.
const maxSocketPath = 103

// listenSocket makes the daemon's socket in dir. The caller holds the store's
// lock, so a socket that is already there was left behind by a daemon that is
// gone; anything else of that name is not ours to remove.
func listenSocket(dir string, policy socketPolicy) (net.Listener, error) {
	path := socketPath(dir)
	if err := removeStaleSocket(path); err != nil {
		return nil, err
	}
	short, release, err := shortPath(path)
	if err != nil {
		return nil, err
	}
	defer release()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false) // the short path is gone by then; see socketListener
	if err := policy.apply(dir, path); err != nil {
		l.Close()
		os.Remove(path)
		return nil, fmt.Errorf("protect %s: %w", path, err)
	}
	return &socketListener{l, path}, nil
}

// apply lets those ask who may. A group must also get through the data
// directory, whose files stay the owner's.
func (p socketPolicy) apply(dir, path string) error {
	if p.Group == "" {
		return p.closeToGroup(dir, path)
	}
	g, err := user.LookupGroup(p.Group)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return err
	}
	if err := closeFiles(dir); err != nil {
		return err
	}
	for _, f := range []struct {
		path string
		mode fs.FileMode
	}{{dir, groupMode}, {path, p.Mode}} {
		if err := os.Chown(f.path, -1, gid); err != nil {
			return fmt.Errorf("%w: the collector's user must be of group %s", err, p.Group)
		}
		if err := os.Chmod(f.path, f.mode); err != nil {
			return err
		}
	}
	return nil
}

// groupMode is the mode of a data directory that a group may pass through.
const groupMode fs.FileMode = 0o710

// closeToGroup takes back what a group was given before.
func (p socketPolicy) closeToGroup(dir, path string) error {
	info, err := os.Stat(dir)
	if err == nil && info.Mode().Perm() == groupMode {
		err = errors.Join(os.Chmod(dir, 0o700), os.Chown(path, -1, os.Getegid()))
	}
	return errors.Join(err, os.Chmod(path, p.Mode))
}

// A socketListener removes its file when it closes.
type socketListener struct {
	*net.UnixListener
	path string
}

func (l *socketListener) Close() error {
	err := l.UnixListener.Close()
	if err == nil {
		err = os.Remove(l.path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func removeStaleSocket(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is in the way and is not a socket; move it elsewhere", path)
	}
	return os.Remove(path)
}

// dialSocket connects to the daemon of dir.
func dialSocket(ctx context.Context, dir string) (net.Conn, error) {
	short, release, err := shortPath(filepath.Join(dir, socketName))
	if err != nil {
		return nil, err
	}
	defer release()
	var d net.Dialer
	return d.DialContext(ctx, "unix", short)
}

// noDaemon reports whether the error of greeting a daemon means that none
// listens, or that one is just ending.
func noDaemon(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOTSOCK) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF)
}
