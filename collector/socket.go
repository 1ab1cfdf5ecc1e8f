package collector

import "context"

// background is for opening sockets, which does not wait.
var background = context.Background()

// maxDatagram is the longest payload of a UDP datagram, in bytes, rounded up.
const maxDatagram = 65535
