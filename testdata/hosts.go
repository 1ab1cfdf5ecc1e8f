package testdata

// Addresses that the captures tell of. Ours are 10.20.0.0/16 and
// 2001:db8:14::/48, organisation 19 of the simulated network; the others are
// from the ranges for documentation (RFC 5737, RFC 9637).
const (
	Ours  = "10.20.0.0/16"
	Ours6 = "2001:db8:14::/48"

	Client   = "10.20.3.45"        // an office computer with malware on it
	Client6  = "2001:db8:14:3::45" // the same over IPv6
	Resolver = "10.20.0.53"        // our name server
	Server   = "10.20.0.80"        // our web server, flooded
	Scanned  = "10.20.7.1"         // first of the addresses scanned for SSH
	Answered = "10.20.7.22"        // the one of them that let the scanner in
	Hidden   = "10.20.9.17"        // behind the translator
	Public   = "203.0.113.5"       // its public address; port PublicPort at that time
	Scanner  = "198.51.100.77"     // looks for SSH
	C2       = "203.0.113.66"      // command and control, port C2Port
	Drop     = "203.0.113.200"     // where the data went
	Stranger = "198.51.100.53"     // a name server that is not ours
	Web      = "203.0.113.80"      // an innocent web site
	Web6     = "3fff:0:80::1"      // the same over IPv6
	Visitor  = "198.51.100.23"     // of our web server
	Time     = "198.51.100.123"    // a time server

	C2Port     = 8443
	PublicPort = 40000
)
