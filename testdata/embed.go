// Package testdata holds captures of export datagrams that were made for weir,
// each with the records that a collector must get out of it. README.md says
// how they were made; weir demo plays some of them.
package testdata

import "embed"

//go:embed *.pcap
var files embed.FS

// A Capture is one pcap file of export datagrams.
type Capture struct {
	Name  string // file name without its ending
	About string // what it shows, one sentence
	Data  []byte // the file
}

// stories are the captures of the demonstration, in the order in which they
// are told.
var stories = [...]struct{ name, about string }{
	{"ssh-scan-answered", "an edge router (NetFlow v9) sees a scan for SSH, and one host answer"},
	{"beacon-then-exfiltration", "a regional router (IPFIX) sees an office computer call a controller, then send 4.3 GB out"},
	{"flood-at-the-sampled-edge", "an edge router (NetFlow v9, one packet in 100) sees a DNS flood of a web server"},
	{"behind-the-translator", "a translator (IPFIX with NAT) tells who was behind a public address"},
	{"switch-sflow", "a switch samples packets (sFlow v5)"},
	{"office-softflowd-ipfix", "softflowd (IPFIX) watches ten minutes of an office: web, DNS, ping, IPv6, a scan, a beacon"},
}

// Captures returns the captures that weir demo plays.
func Captures() []Capture {
	captures := make([]Capture, 0, len(stories))
	for _, s := range stories {
		data, err := files.ReadFile(s.name + ".pcap")
		if err != nil {
			continue // a test sees to it that all are there
		}
		captures = append(captures, Capture{s.name, s.about, data})
	}
	return captures
}
