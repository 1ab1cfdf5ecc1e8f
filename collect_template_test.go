package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCollectKill9AfterTemplate kills weir collect a moment after an exporter
// defined a template, and sends data of it, without the template, to the next
// one: they are understood at once. Each round has another layout under the same
// id, of which the last one counts.
func TestCollectKill9AfterTemplate(t *testing.T) {
	w := &weir{t: t, binary: buildWeir(t), dir: filepath.Join(t.TempDir(), "data")}
	port := int(freePort(t).Port())
	sent := 0
	for round := range 3 {
		c := w.collect()
		from := c.sendFrom(port, templateV9(300, 2+round))
		w.waitForTemplate(300, 2+round)
		if err := c.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = c.end()
		from.Close()

		c = w.collect()
		sent++
		from = c.sendFrom(port, dataV9(300, 2+round, uint32(sent)))
		found := w.waitFor(uint32(sent), time.Minute)
		if len(found) != sent || !found[uint32(sent)] {
			t.Errorf("round %d: records %v are there, want 1 to %d", round, found, sent)
		}
		from.Close()
		c.stop()
	}
	out, err := exec.Command(w.binary, "exporters", "--data", w.dir, "-o", "json").Output()
	if err != nil || !strings.Contains(string(out), `"sets_without_template":0,`) || !strings.Contains(string(out), `"records":3,`) {
		t.Errorf("%v: data waited for their template:\n%s", err, out)
	}
}

// sendFrom sends a datagram from a port of the loopback.
func (c *collecting) sendFrom(port int, payload []byte) net.Conn {
	c.t.Helper()
	to := c.conn.RemoteAddr().(*net.UDPAddr)
	conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}, to)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := conn.Write(payload); err != nil {
		c.t.Fatal(err)
	}
	return conn
}

// waitForTemplate waits until the store's log has a template of so many fields,
// which is then there after a kill.
func (w *weir) waitForTemplate(id uint16, fields int) {
	w.t.Helper()
	saved := []byte(fmt.Sprintf(`"id":%d,"fields":[[1,4,0]`, id))
	for i := 1; i < fields; i++ {
		saved = fmt.Appendf(saved, ",[%d,2,0]", 7+4*(i%2))
	}
	saved = append(saved, ']')
	// A block of the log may end in the middle of it: then it is there all the same.
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		logs, err := filepath.Glob(filepath.Join(w.dir, "*.log"))
		if err != nil || len(logs) == 0 {
			w.t.Fatalf("no logs in %s: %v", w.dir, err)
		}
		for _, name := range logs {
			if text, err := os.ReadFile(name); err == nil && bytes.Contains(text, saved) {
				return
			}
		}
	}
	w.t.Logf("the log does not have %s", saved)
}

// templateV9 is a NetFlow v9 datagram with a template of so many fields: octets,
// then ports.
func templateV9(id uint16, fields int) []byte {
	body := binary.BigEndian.AppendUint16(nil, id)
	body = binary.BigEndian.AppendUint16(body, uint16(fields))
	for i := range fields {
		element, length := uint16(7+4*(i%2)), uint16(2) // L4_SRC_PORT, L4_DST_PORT
		if i == 0 {
			element, length = 1, 4 // IN_BYTES
		}
		body = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(body, element), length)
	}
	return headerV9(0, body)
}

// dataV9 is a datagram with one record of it, of so many octets.
func dataV9(id uint16, fields int, octets uint32) []byte {
	body := binary.BigEndian.AppendUint32(nil, octets)
	for range fields - 1 {
		body = binary.BigEndian.AppendUint16(body, 443)
	}
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	return headerV9(id, body)
}

// headerV9 puts a header and that of a set before its body.
func headerV9(set uint16, body []byte) []byte {
	be := binary.BigEndian
	b := be.AppendUint16(be.AppendUint16(nil, 9), 1)
	b = be.AppendUint32(b, 10_000_000)
	b = be.AppendUint32(b, uint32(time.Now().Unix()))
	b = be.AppendUint32(b, uint32(time.Now().UnixMilli())) // sequence
	b = be.AppendUint32(b, 7)                              // source ID
	b = be.AppendUint16(be.AppendUint16(b, set), uint16(4+len(body)))
	return append(b, body...)
}
