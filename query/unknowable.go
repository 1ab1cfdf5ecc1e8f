package query

// unknowableWords are the words with which nfdump begins conditions on what
// weir does not keep, and why it does not. Answering them with true or false
// would be a lie.
var unknowableWords = map[string]string{
	"payload":   "weir does not keep payload",
	"ident":     "weir does not keep nfdump's ident; the source is the exporter: \"exporter 192.0.2.1\"",
	"client":    "weir does not keep latencies",
	"server":    "weir does not keep latencies",
	"app":       "weir does not keep latencies",
	"latency":   "weir does not keep latencies",
	"count":     "records have no fixed number in weir; limit an answer with -n",
	"cnt":       "records have no fixed number in weir; limit an answer with -n",
	"sysid":     "exporter numbers are internal to nfdump: name the exporter by its address, as in \"exporter 192.0.2.1\"",
	"flowlabel": "weir does not label flows: nfdump's flowlabel has no meaning here",
	"pf":        "weir does not keep records of OpenBSD's pf",
	"acl":       "weir does not keep the access lists of firewall events",
	"ace":       "weir does not keep the access lists of firewall events",
	"xace":      "weir does not keep the access lists of firewall events",
	"nbar":      "weir does not keep application names",
	"user":      "weir does not keep user names",
	"dns":       "weir does not keep payload",
	"ssl":       "weir does not keep payload",
	"tls":       "weir does not keep payload",
	"ja3":       "weir does not keep payload",
	"ja4":       "weir does not keep payload",
}

// unknowable returns an error if a condition that nfdump knows and weir cannot
// answer comes next.
func (p *parser) unknowable() error {
	if p.tok.kind != tokenWord {
		return nil
	}
	if reason, ok := unknowableWords[lower(p.tok.text)]; ok {
		return p.reject(p.tok, reason)
	}
	if (p.tok.is("ip") || p.tok.is("host")) && p.peek().is("tor") {
		return p.reject(p.peek(), "weir does not keep a list of Tor nodes; make one and use \"ip in @FILE\"")
	}
	return nil
}
