package command

import (
	"encoding/json"
	"fmt"

	"weir/backup"
	"weir/flow"
	"weir/query"
)

// The daemon's socket speaks HTTP. Every request names the protocol in a
// header, and so does every answer; a question is a POST of JSON to one of the
// paths below, and its answer is a stream of frames (frame.go):
//
//	frameFlow    a flow
//	frameGroup   a group (topwire.go)
//	frameObject  {"progress":…}            how far the question is, or what a tail has missed
//	             {"copied":…}              how far a backup is
//	             {"result":…}              the end of an answer: a summary or the answer itself
//	             {"error":{"status":2,…}}  the end of an answer that failed
//
// A stream that ends with neither was cut off. To cancel, the client goes away.
//
// pathHello is answered to commands of any weir, in JSON without frames, so that
// one of another protocol can say so.
const (
	protocolHeader  = "Weir-Protocol"
	protocolVersion = "3"

	pathHello     = "/hello"
	pathFlows     = "/flows"
	pathTail      = "/tail"
	pathTop       = "/top"
	pathExplain   = "/explain"
	pathBuckets   = "/buckets"
	pathImport    = "/import"
	pathBackup    = "/backup"
	pathRetention = "/retention"
	pathConfirm   = "/retention/confirm"
	pathPurge     = "/purge"
)

// A hello is what the daemon says of itself.
type hello struct {
	Protocol string `json:"protocol"`
	Version  string `json:"version"`
	PID      int    `json:"pid"`
}

// An answerObject is what an answer has beside flows and groups. The last one has
// a result or an error.
type answerObject struct {
	Progress *query.Progress  `json:"progress,omitempty"`
	Copied   *backup.Progress `json:"copied,omitempty"`
	Result   json.RawMessage  `json:"result,omitempty"`
	Error    *remoteError     `json:"error,omitempty"`
}

// A remoteError is an error that the daemon answered with. It ends the program
// with the same status and message as if it had happened here.
type remoteError struct {
	Status  int    `json:"status"`
	Message string `json:"message"`
}

func (e *remoteError) Error() string { return e.Message }

// protocolMismatch says that daemon and command are of different kinds.
func protocolMismatch(daemon hello) error {
	return fmt.Errorf("the collector that runs here is weir %s and this is weir %s, and they do not understand each other; use the collector's weir, or restart the collector with this one",
		daemon.Version, version)
}

// marshal returns v in JSON that can be printed, without a line's end; v is one
// of this package's own types, which always marshal.
func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("command: marshal %T: %v", v, err))
	}
	return flow.PrintableJSON(b)
}
