package collector

import (
	"errors"
	"fmt"
)

// A Reason names a kind of trouble that is counted by exporter. The set is
// fixed, so that counters stay bounded.
type Reason uint8

// The reasons, in the order of the counters.
const (
	ReasonVersion          Reason = iota // the version word is none we know
	ReasonTruncated                      // the datagram ends before what it announces
	ReasonCount                          // the header announces more records than the datagram holds
	ReasonSetLength                      // a set's length is less than its header
	ReasonSetID                          // a set id that the protocol reserves
	ReasonTrailing                       // bytes follow after the end of the message
	ReasonTemplate                       // a template that cannot describe a record
	ReasonTemplateLimit                  // a template refused or pushed out by a limit
	ReasonTemplateConflict               // two streams of one exporter disagree about a template
	ReasonNoTemplate                     // a data set dropped for want of its template
	ReasonRecord                         // a record that runs over the end of its set
	ReasonOptions                        // options data that cannot be read
	ReasonTime                           // a flow time before 1970 or after 9999, left absent
	ReasonValue                          // a value wider than its field, left absent
	ReasonNoFlow                         // records of a template without any field of a flow
	ReasonSample                         // an sFlow sample that cannot be read
	ReasonSampleFormat                   // an sFlow sample or record of an unknown format, skipped
	ReasonExporterLimit                  // an exporter forgotten to make room for another
	ReasonSink                           // records that the sink refused
	ReasonWithdrawal                     // a template withdrawn: honoured over TCP, ignored over UDP
	ReasonList                           // lists in records (RFC 6313), skipped
	ReasonFraming                        // a connection closed because what it sent is no IPFIX message
	ReasonConnection                     // a connection refused by a limit, or closed because its peer stalled
	ReasonTLS                            // a connection whose peer did not prove who it is, or speaks no TLS
	ReasonCut                            // the value of a kept element that is too long, of which the beginning is kept
	reasonCount
)

var reasonNames = [reasonCount]string{
	ReasonVersion: "version", ReasonTruncated: "truncated", ReasonCount: "count",
	ReasonSetLength: "set_length", ReasonSetID: "set_id", ReasonTrailing: "trailing",
	ReasonTemplate: "template", ReasonTemplateLimit: "template_limit",
	ReasonTemplateConflict: "template_conflict", ReasonNoTemplate: "no_template",
	ReasonRecord: "record", ReasonOptions: "options", ReasonTime: "time", ReasonValue: "value",
	ReasonNoFlow: "no_flow", ReasonSample: "sample", ReasonSampleFormat: "sample_format",
	ReasonExporterLimit: "exporter_limit", ReasonSink: "sink",
	ReasonWithdrawal: "withdrawal", ReasonList: "list", ReasonFraming: "framing",
	ReasonConnection: "connection", ReasonTLS: "tls", ReasonCut: "cut",
}

// String returns the reason's name as it stands in logs and counters.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return "unknown"
}

// Reasons returns all reasons in the order of their numbers.
func Reasons() []Reason {
	all := make([]Reason, reasonCount)
	for i := range all {
		all[i] = Reason(i)
	}
	return all
}

// A DecodeError says what is wrong with a datagram. Records that came before
// the fault, or beside it, are in the batch all the same.
type DecodeError struct {
	Reason Reason
	Detail string
}

// Error returns the reason and the detail.
func (e *DecodeError) Error() string { return e.Reason.String() + ": " + e.Detail }

func decodeErrorf(r Reason, format string, args ...any) error {
	return &DecodeError{r, fmt.Sprintf(format, args...)}
}

// reasonOf returns the reason that err carries.
func reasonOf(err error) (Reason, bool) {
	var d *DecodeError
	if errors.As(err, &d) {
		return d.Reason, true
	}
	return 0, false
}
