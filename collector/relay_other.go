//go:build !linux

package collector

import (
	"errors"
	"net/netip"
)

// openRawSender says that sources cannot be kept here.
func openRawSender(netip.AddrPort) (rawSender, error) {
	return nil, errors.New("this system is not supported")
}
