package command

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"weir/collector"
)

// checkPorts tries whether every port is free. The collector's own sockets share
// their port with each other, so the system would let two collectors of one
// user share it too, and each would get some of the exporters.
func checkPorts(listen []collector.Listen) error {
	for _, l := range listen {
		if err := tryPort(l); err != nil {
			return listenError(fmt.Errorf("listen on %s: %w", l, err))
		}
	}
	return nil
}

// tryPort binds an address and lets it go; nothing is sent through it.
func tryPort(l collector.Listen) error {
	if l.IsStream() {
		c, err := net.Listen("tcp", l.Addr)
		if err != nil {
			return err
		}
		return c.Close()
	}
	c, err := net.ListenPacket("udp", l.Addr)
	if err != nil {
		return err
	}
	return c.Close()
}

// listenError says what to do about a port that cannot be had.
func listenError(err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w: another program listens there, maybe another weir collect; stop it, or choose a port with --listen netflow://:PORT", err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w: ports below 1024 need a privilege; choose another with --listen netflow://:PORT", err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w: this host has no such address; leave it out to listen on all, as in --listen netflow://:2055", err)
	}
	return err
}
