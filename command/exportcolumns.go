package command

import (
	"strings"

	"weir/command/parquet"
	"weir/query"
)

// An exportColumn is what a manifest says of a column.
type exportColumn struct {
	Name    string `json:"name"`
	Unit    string `json:"unit,omitempty"` // "": none
	Type    string `json:"type,omitempty"` // of Parquet; CSV and JSON have none
	Meaning string `json:"meaning"`
}

// schemaOf describes the columns of records in a format.
func schemaOf(columns []column, format string) []exportColumn {
	list := make([]exportColumn, 0, len(columns))
	for _, c := range columns {
		about := describe(c.name)
		if format == formatParquet {
			if about.Type = c.parquetType().String(); c.parquetType() == parquet.Time {
				about.Unit = "ms since 1970, UTC"
			}
		}
		list = append(list, about)
	}
	return list
}

// describe says what a column holds.
func describe(name string) exportColumn {
	base, cut, isCut := strings.Cut(name, "/")
	if about, ok := columnMeanings[base]; ok {
		unit, meaning, _ := strings.Cut(about, "|")
		if isCut {
			meaning += ", cut to /" + cut
		}
		return exportColumn{Name: name, Unit: unit, Meaning: meaning}
	}
	if f, ok := query.ParseLabelField(name); ok {
		return exportColumn{Name: name, Meaning: string(f.Kind) + " of the address at this end, as the exporting side knows it"}
	}
	return exportColumn{Name: name, Meaning: "the value of either end of the flow"}
}

// columnMeanings say unit and meaning of each column of records, before and
// after the bar.
var columnMeanings = map[string]string{
	"received":           "RFC 3339, UTC|when the collector received the datagram, by its clock",
	"start":              "RFC 3339, UTC|when the flow began, by the exporter's clock",
	"end":                "RFC 3339, UTC|when the flow ended, by the exporter's clock",
	durationColumn:       "ms|end minus start",
	"exporter":           "address|sender of the export datagram",
	"agent":              "address|sFlow agent, as the datagram names it",
	"domain":             "|observation domain; source ID of NetFlow 9, engine type and number of NetFlow 5, sub-agent of sFlow",
	"version":            "|export protocol: netflow5, netflow9, ipfix, sflow5 and the like",
	"src_addr":           "address|source of the flow",
	"dst_addr":           "address|destination of the flow",
	"src_port":           "|source port of TCP, UDP and the like",
	"dst_port":           "|destination port of TCP, UDP and the like",
	"proto":              "|IP protocol number",
	"tcp_flags":          "bits|all TCP flags of the flow, or-ed: 1 FIN, 2 SYN, 4 RST, 8 PSH, 16 ACK, 32 URG",
	"tos":                "|type of service octet of the first packet",
	"bytes":              "bytes|octets as exported, not multiplied by the sampling interval",
	"packets":            "packets|packets as exported, not multiplied by the sampling interval",
	"flows":              "flows|flows that the record stands for, where it is an aggregate",
	"in_if":              "ifIndex|interface through which the packets came in; 0 unknown",
	"out_if":             "ifIndex|interface through which they left; 0 unknown or dropped",
	"src_as":             "|AS number of the source, as exported",
	"dst_as":             "|AS number of the destination, as exported",
	"src_mask":           "bits|length of the route's prefix of the source",
	"dst_mask":           "bits|length of the route's prefix of the destination",
	"next_hop":           "address|next hop",
	"bgp_next_hop":       "address|next hop of BGP",
	"src_mac":            "MAC address|source at the way in",
	"dst_mac":            "MAC address|destination at the way in",
	"src_vlan":           "|VLAN at the way in",
	"dst_vlan":           "|VLAN at the way out",
	"icmp_type":          "|ICMP or ICMPv6 type",
	"icmp_code":          "|ICMP or ICMPv6 code",
	"direction":          "|0 seen as it came in, 1 as it went out",
	"sampling_interval":  "|N of \"1 in N\"; 0 unknown, 1 unsampled",
	"forwarding_status":  "|forwarding status (IPFIX element 89): status in the top two bits, reason below",
	"flow_end_reason":    "|why the flow ended (IPFIX element 136): 1 idle, 2 active timeout, 3 end seen, 4 forced, 5 lack of resources",
	"nat_src_addr":       "address|source after translation",
	"nat_dst_addr":       "address|destination after translation",
	"nat_src_port":       "|source port after translation",
	"nat_dst_port":       "|destination port after translation",
	"nat_event":          "|NAT event (IPFIX element 230)",
	"firewall_event":     "|firewall event (IPFIX element 233): 1 created, 2 deleted, 3 denied, 4 alert, 5 update",
	"firewall_ext_event": "|extended firewall event of Cisco ASA",
	"mpls_labels":        "|MPLS label stack, top first; 20-bit labels",
	"ingress_vrf":        "|VRF at the way in",
	"egress_vrf":         "|VRF at the way out",
	"ttl":                "|IPv4 TTL or IPv6 hop limit",
	"min_ttl":            "|lowest TTL of the flow",
	"max_ttl":            "|highest TTL of the flow",
	"reverse_bytes":      "bytes|octets of the other direction (RFC 5103)",
	"reverse_packets":    "packets|packets of the other direction (RFC 5103)",
	"post_bytes":         "bytes|octets after the exporter's treatment",
	"post_packets":       "packets|packets after the exporter's treatment",
	"post_tos":           "|type of service octet after the exporter's treatment",
	"ether_type":         "|EtherType",
	"post_src_mac":       "MAC address|source at the way out",
	"post_dst_mac":       "MAC address|destination at the way out",
	"next_as":            "|AS number of the next hop",
	"prev_as":            "|AS number of the previous hop",
	"observation_point":  "|observation point (IPFIX element 138)",
	"port_block_start":   "|first port of a block of NAT ports",
	"port_block_end":     "|last port of a block of NAT ports",
	"port_block_step":    "|step between the ports of the block",
	"port_block_size":    "|number of ports of the block",
	"tun_src_addr":       "address|source of the outer header, of a tunnelled flow",
	"tun_dst_addr":       "address|destination of the outer header, of a tunnelled flow",
	"tun_proto":          "|IP protocol number of the outer header, of a tunnelled flow",
}
