package query

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

// protoNames are the protocols that have a name in IANA's registry of protocol
// numbers, under that name and the shorter ones in use.
var protoNames = map[string]uint64{
	"hopopt": 0, "icmp": 1, "igmp": 2, "ggp": 3, "ip4": 4, "ipencap": 4, "ipip": 4, "ipv4": 4, "st": 5, "tcp": 6, "cbt": 7,
	"egp": 8, "igp": 9, "igrp": 9, "nvp-ii": 11, "pup": 12, "argus": 13, "emcon": 14, "udp": 17, "mux": 18,
	"hmp": 20, "xns-idp": 22, "rdp": 27, "iso-tp4": 29, "dccp": 33, "xtp": 36, "ddp": 37, "idpr-cmtp": 38,
	"ipv6": 41, "ipv6-route": 43, "ipv6-frag": 44, "idrp": 45, "rsvp": 46, "gre": 47, "esp": 50, "ah": 51,
	"swipe": 53, "narp": 54, "mobile": 55, "tlsp": 56, "skip": 57, "icmp6": 58, "icmpv6": 58, "ipv6-icmp": 58,
	"ipv6-nonxt": 59, "ipv6-opts": 60, "rvd": 66, "rspf": 73, "vmtp": 81, "dgp": 86, "tcf": 87, "eigrp": 88,
	"ospf": 89, "ospfigp": 89, "larp": 91, "mtp": 92, "ax.25": 93, "micp": 95, "etherip": 97,
	"encap": 98, "gmtp": 100, "ifmp": 101, "pnni": 102, "pim": 103, "aris": 104, "scps": 105, "qnx": 106,
	"ipcomp": 108, "snp": 109, "compaq-peer": 110, "ipx-in-ip": 111, "carp": 112, "vrrp": 112, "l2tp": 115,
	"iatp": 117, "stp": 118, "srp": 119, "uti": 120, "smp": 121, "sm": 122, "ptp": 123, "isis": 124,
	"fire": 125, "crtp": 126, "crudp": 127, "sps": 130, "pipe": 131, "sctp": 132, "fc": 133,
	"mobility-header": 135, "udplite": 136, "mpls-in-ip": 137, "manet": 138, "hip": 139, "shim6": 140,
	"wesp": 141, "rohc": 142, "ethernet": 143, "mptcp": 262,
}

// serviceNames are the ports that a filter may name: those that an analyst
// looks for. They are the same on every machine, unlike /etc/services.
var serviceNames = map[string]uint64{
	"tcpmux": 1, "echo": 7, "discard": 9, "daytime": 13, "chargen": 19, "ftp-data": 20, "ftp": 21, "ssh": 22,
	"telnet": 23, "smtp": 25, "time": 37, "whois": 43, "tacacs": 49, "dns": 53, "domain": 53, "bootps": 67,
	"dhcp": 67, "bootpc": 68, "tftp": 69, "gopher": 70, "finger": 79, "http": 80, "www": 80, "kerberos": 88,
	"pop3": 110, "sunrpc": 111, "auth": 113, "nntp": 119, "ntp": 123, "epmap": 135, "netbios-ns": 137,
	"netbios-dgm": 138, "netbios-ssn": 139, "imap": 143, "snmp": 161, "snmp-trap": 162, "bgp": 179, "irc": 194,
	"ldap": 389, "https": 443, "microsoft-ds": 445, "smb": 445, "kpasswd": 464, "submissions": 465, "ike": 500,
	"isakmp": 500, "exec": 512, "login": 513, "shell": 514, "syslog": 514, "printer": 515, "rip": 520,
	"ripng": 521, "dhcpv6-client": 546, "dhcpv6-server": 547, "rtsp": 554, "nntps": 563, "submission": 587,
	"ipp": 631, "ldaps": 636, "ldp": 646, "domain-s": 853, "dot": 853, "rsync": 873, "ftps-data": 989,
	"ftps": 990, "telnets": 992, "imaps": 993, "pop3s": 995, "socks": 1080, "openvpn": 1194, "ms-sql-s": 1433,
	"ms-sql-m": 1434, "wins": 1512, "oracle": 1521, "l2tp": 1701, "pptp": 1723, "radius": 1812,
	"radius-acct": 1813, "ssdp": 1900, "nfs": 2049, "netflow": 2055, "squid": 3128, "mysql": 3306,
	"ms-wbt-server": 3389, "rdp": 3389, "stun": 3478, "svn": 3690, "bfd-control": 3784, "ipsec-nat-t": 4500,
	"ipfix": 4739, "vxlan": 4789, "sip": 5060, "sips": 5061, "xmpp-client": 5222, "xmpp-server": 5269,
	"mdns": 5353, "llmnr": 5355, "postgresql": 5432, "amqp": 5672, "vnc": 5900, "winrm": 5985, "winrms": 5986,
	"x11": 6000, "sflow": 6343, "redis": 6379, "ircs": 6697, "bittorrent": 6881, "http-alt": 8080,
	"https-alt": 8443, "elasticsearch": 9200, "git": 9418, "memcached": 11211, "mongodb": 27017,
	"traceroute": 33434, "wireguard": 51820,
}

// usualPorts and usualProtos are the names that an answer gives where the tables
// above have several for one number.
var (
	usualPorts = map[uint64]string{
		53: "dns", 67: "dhcp", 80: "http", 445: "smb", 500: "ike", 514: "syslog", 853: "dot", 3389: "rdp",
	}
	usualProtos = map[uint64]string{4: "ipip", 9: "igp", 58: "icmp6", 89: "ospf", 112: "vrrp"}

	portNames  = sync.OnceValue(func() map[uint64]string { return reversed(serviceNames, usualPorts) })
	protoTexts = sync.OnceValue(func() map[uint64]string { return reversed(protoNames, usualProtos) })
)

// reversed returns the names of numbers.
func reversed(table map[string]uint64, usual map[uint64]string) map[uint64]string {
	names := maps.Clone(usual)
	for name, n := range table {
		if _, ok := usual[n]; !ok {
			names[n] = name
		}
	}
	return names
}

// ServiceName returns the name of a well-known port, "" if it has none.
func ServiceName(port uint64) string { return portNames()[port] }

// ProtoName returns the name of an IP protocol, "" if it has none.
func ProtoName(proto uint64) string { return protoTexts()[proto] }

// forwardingNames are nfdump's names of forwarding status values (IPFIX element
// 89: status in the top two bits, reason below).
var forwardingNames = map[string]uint64{
	"ukwn": 0, "forw": 1, "frag": 2, "drop": 16, "dacld": 17, "daclp": 18, "noroute": 19, "dadj": 20,
	"dfrag": 21, "dbadh": 22, "dbadtlen": 23, "dbadhlen": 24, "dbadttl": 25, "dpolicy": 26, "dwred": 27,
	"drpf": 28, "dforus": 29, "dbadof": 30, "dhw": 31, "term": 128, "tadj": 129, "tincadj": 130, "tforus": 131,
	"unknown": 0, "forwarded": 1, "fragmented": 2, "dropped": 16, "consumed": 128, "terminated": 128,
}

// endReasonNames are the values of IPFIX element 136 (RFC 5102, section
// 5.11.3).
var endReasonNames = map[string]uint64{
	"idle": 1, "active": 2, "end": 3, "forced": 4, "resources": 5,
}

// firewallNames are the values of IPFIX element 233 under nfdump's names.
var firewallNames = map[string]uint64{
	"ignore": 0, "create": 1, "add": 1, "delete": 2, "term": 2, "deny": 3, "denied": 3, "alert": 4, "update": 5,
}

// deniedNames are Cisco ASA's extended events for a denied flow.
var deniedNames = map[string]uint64{
	"ingress": 1001, "egress": 1002, "interface": 1003, "nosyn": 1004,
}

// natEventNames are the values of IPFIX element 230 under nfdump's names.
var natEventNames = map[string]uint64{
	"invalid": 0, "add": 1, "create": 1, "delete": 2,
}

// directionNames are the values of IPFIX element 61.
var directionNames = map[string]uint64{"ingress": 0, "in": 0, "egress": 1, "out": 1}

// etherTypeNames are the protocols that an Ethernet frame most often carries.
var etherTypeNames = map[string]uint64{
	"ipv4": 0x0800, "arp": 0x0806, "vlan": 0x8100, "ipv6": 0x86dd, "mpls": 0x8847, "pppoe": 0x8864, "lldp": 0x88cc,
}

// lookup finds a name whatever its case.
func lookup(names map[string]uint64, text string) (uint64, bool) {
	v, ok := names[strings.ToLower(text)]
	return v, ok
}

// names returns the names of a table, sorted.
func names(table map[string]uint64) []string {
	list := make([]string, 0, len(table))
	for name := range table {
		list = append(list, name)
	}
	slices.Sort(list) // the same answer every time
	return list
}
