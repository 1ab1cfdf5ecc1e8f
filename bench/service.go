package bench

// Protocol numbers (IANA).
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoESP    = 50
	protoICMPv6 = 58
)

// TCP flags as NetFlow gathers them over a flow (RFC 9293, section 3.1).
const (
	flagFIN = 0x01
	flagSYN = 0x02
	flagRST = 0x04
	flagPSH = 0x08
	flagACK = 0x10
)

// A service is what a conversation is about: what its server listens on and how
// much is said.
type service struct {
	weight   uint64 // share in a hundred and twenty-eighths
	proto    uint8
	port     uint16 // server's port
	limit    int    // packets go up to 2^(limit+3); 0 for a single packet
	reqLo    uint64 // bytes of a packet to the server, least
	reqHi    uint64 // and most
	respLo   uint64 // bytes of a packet to the client, least
	respHi   uint64 // and most
	msPerPkt uint64 // how slowly packets follow one another, at most
	inwards  uint64 // percentage of conversations with the server inside
	tos      uint8
	samePort bool // client and server use the same port
}

// services is the mix of what people do, scans and strays apart.
var services = [...]service{
	{40, protoTCP, 443, 20, 52, 420, 300, 1460, 120, 22, 0, false},
	{17, protoUDP, 443, 19, 60, 300, 400, 1350, 80, 4, 0, false},
	{24, protoUDP, 53, 0, 56, 92, 90, 512, 0, 30, 0, false},
	{9, protoTCP, 80, 17, 52, 380, 300, 1460, 150, 30, 0, false},
	{6, protoUDP, 123, 0, 76, 76, 76, 76, 0, 10, 0xb8, true},
	{4, protoTCP, 22, 14, 60, 180, 60, 400, 900, 60, 0x10, false},
	{4, protoTCP, 993, 11, 60, 160, 80, 900, 2000, 20, 0, false},
	{3, protoTCP, 25, 10, 100, 1300, 52, 110, 300, 60, 0, false},
	{2, protoTCP, 587, 10, 100, 1300, 52, 110, 300, 15, 0, false},
	{4, protoUDP, 3478, 16, 90, 220, 90, 1100, 20, 1, 0xb8, false},
	{2, protoTCP, 1094, 22, 1300, 1500, 52, 90, 5, 50, 0, false},
	{3, protoTCP, 2811, 22, 52, 90, 1300, 1500, 5, 50, 0, false},
	{2, protoUDP, 1194, 15, 90, 900, 90, 1400, 60, 70, 0, true},
	{2, protoESP, 0, 15, 90, 900, 90, 1400, 60, 50, 0, true},
	{5, protoICMP, 0, 4, 84, 84, 84, 84, 1000, 40, 0, true},
	{1, protoTCP, 8443, 14, 52, 420, 300, 1460, 150, 30, 0, false},
}

// serviceTable turns seven random bits into a service.
var serviceTable = func() (t [128]uint8) {
	i := 0
	for s := range services {
		for range services[s].weight {
			t[i] = uint8(s)
			i++
		}
	}
	return t
}()
