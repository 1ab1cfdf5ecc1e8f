package command

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"weir/flow"
	"weir/query"
)

// A command of another protocol is told so by hello, which it reads as every weir
// does, and is refused where it asks all the same.
func TestCommandOfAnotherProtocol(t *testing.T) {
	r, _ := serve(t, &fakeBackend{})
	resp, err := r.client.Get("http://weir" + pathHello)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var said struct{ Protocol, Version string }
	if err := json.NewDecoder(resp.Body).Decode(&said); err != nil || said.Protocol != protocolVersion || said.Version != version {
		t.Errorf("got %+v, %v", said, err)
	}
	for _, protocol := range []string{"", "2", "999"} {
		req, err := http.NewRequest(http.MethodPost, "http://weir"+pathFlows, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(protocolHeader, protocol)
		resp, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if want := "this collector speaks Weir-Protocol 3\n"; err != nil || resp.StatusCode != http.StatusUpgradeRequired || string(text) != want {
			t.Errorf("%q: got %s, %q, %v, want %q", protocol, resp.Status, text, err, want)
		}
	}
}

// TestCollectorOfAnotherProtocol asks collectors older and newer than this.
func TestCollectorOfAnotherProtocol(t *testing.T) {
	for _, protocol := range []string{"2", "999"} {
		dir := t.TempDir()
		l, err := listenSocket(dir, socketPolicy{Mode: defaultSocketMode})
		if err != nil {
			t.Fatal(err)
		}
		h := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != pathHello {
				t.Errorf("%s is asked", r.URL.Path)
			}
			_, _ = w.Write(marshal(hello{Protocol: protocol, Version: "7.8.9", PID: 1}))
		})}
		go func() { _ = h.Serve(l) }()
		for _, args := range [][]string{{"query", "any"}, {"top", "src_addr"}, {"tail"}, {"status"}} {
			out, errs, status := weir(t, dir, args...)
			want := "weir: the collector that runs here is weir 7.8.9 and this is weir " + version +
				", and they do not understand each other; use the collector's weir, or restart the collector with this one\n"
			if status == exitOK || out != "" || errs != want {
				t.Errorf("protocol %s: weir %v: status %d, %q, %q, want %q", protocol, args, status, out, errs, want)
			}
		}
		h.Close()
	}
}

// An older collector does not know a newer question.
func TestUnknownQuestion(t *testing.T) {
	r, _ := serve(t, &fakeBackend{})
	if err := r.ask(t.Context(), "/of/tomorrow", struct{}{}, nil, nil); err == nil || !strings.Contains(err.Error(), "restart it with this one") {
		t.Errorf("got %v", err)
	}
}

func TestReadAnswer(t *testing.T) {
	tests := []struct {
		text   string
		result string
		err    string
		seen   int
	}{
		{frame(frameObject, `{"result":"x"}`), "x", "", 0},
		{frame(frameObject, `{"progress":{"rows":5}}`) + frame(frameObject, `{"progress":{"rows":6}}`) + frame(frameObject, `{"result":"x"}`), "x", "", 2},
		{frame(frameObject, `{"error":{"status":2,"message":"no"}}`), "", "no", 0},
		{"", "", "the collector stopped in the middle of its answer; ask again", 0},
		{frame(frameObject, `{"progress":{"rows":5}}`), "", "the collector stopped in the middle of its answer; ask again", 1},
		{frameOf(frameObject, 20, `{"result":"x"}`), "", "read the collector's answer: unexpected EOF", 0},
		{"{\"", "", "read the collector's answer: unexpected EOF", 0},
		{frame(frameFlow, ""), "", "the collector answered with flows to a question about something else", 0},
		{frame(frameObject, "nonsense"), "", "read the collector's answer: invalid character 'o' in literal null (expecting 'u')", 0},
		{frame(frameObject, ""), "", "read the collector's answer: unexpected end of JSON input", 0},
		{frameOf(frameFlow, maxFrame+1, "x"), "", "read the collector's answer: a frame of 1048577 bytes is over the bound", 0},
	}
	for _, tt := range tests {
		var result string
		seen := 0
		err := readAnswer(strings.NewReader(tt.text), &result, nil, reports{asked: func(query.Progress) { seen++ }})
		if got := fmt.Sprint(err); result != tt.result || seen != tt.seen || got != tt.err && (err != nil || tt.err != "") {
			t.Errorf("%q: got %q, %v, %d times progress", tt.text, result, err, seen)
		}
	}
}

// What is no flow among flows ends the answer.
func TestReadAnswerOfFlows(t *testing.T) {
	good := frame(frameFlow, string(testRecord().AppendBinary(nil)))
	for wire, want := range map[string]string{
		good + frame(frameObject, `{"result":{}}`): "<nil>",
		good + frame(frameFlow, "x"):               "read the collector's answer: these bytes are no flow record",
		good + frame(frameGroup, ""):               `read the collector's answer: a frame of kind 'g' among flows`,
		good + good[:9]:                            "read the collector's answer: unexpected EOF",
	} {
		n := 0
		err := readAnswer(strings.NewReader(wire), nil, eachFlow(func(r *flow.Record) error {
			if n++; *r != *testRecord() {
				t.Errorf("got %s", r.AppendJSON(nil))
			}
			return nil
		}), reports{})
		if fmt.Sprint(err) != want || n != 1 {
			t.Errorf("%q: %d flows, %v, want one and %s", wire, n, err, want)
		}
	}
}

// An answer about thousands of addresses is one object, longer than any buffer.
func TestReadAnswerOfALongObject(t *testing.T) {
	var want strings.Builder
	for i := range 40_000 {
		fmt.Fprint(&want, i, " ")
	}
	var got string
	err := readAnswer(strings.NewReader(frame(frameObject, `{"result":"`+want.String()+`"}`)), &got, nil, reports{})
	if err != nil || got != want.String() {
		t.Errorf("%d bytes, %v; want the %d that were sent", len(got), err, want.Len())
	}
}
