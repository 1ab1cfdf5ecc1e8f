package command

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/flow"
	"weir/testdata/peer"
)

func layoutText(t *testing.T, format string, plain bool, records ...*flow.Record) string {
	t.Helper()
	l, err := parseLayout(format, plain, nil)
	if err != nil {
		t.Fatalf("parse %q: %v", format, err)
	}
	var out strings.Builder
	w := newLayoutRecords(&out, l)
	for _, r := range records {
		if err := w.record(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.finish(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func layoutRecord(src, dst string, nums map[flow.Field]uint64) *flow.Record {
	r := new(flow.Record)
	for f, text := range map[flow.Field]string{flow.SrcAddr: src, flow.DstAddr: dst} {
		if a, err := flow.ParseAddr(text); err == nil {
			r.SetAddr(f, a)
		}
	}
	for f, v := range nums {
		r.SetNum(f, v)
	}
	return r
}

// sampleFlow is a TCP flow of a minute.
func sampleFlow() *flow.Record {
	return layoutRecord("10.0.0.1", "192.0.2.7", map[flow.Field]uint64{
		flow.Start: 1779909901000, flow.End: 1779909961000, flow.Received: 1779909962005,
		flow.Proto: 6, flow.SrcPort: 54321, flow.DstPort: 443, flow.TCPFlags: 0x1b, flow.TOS: 0,
		flow.Packets: 10, flow.Bytes: 12345,
	})
}

func TestLayoutLine(t *testing.T) {
	got := layoutText(t, "line", false, sampleFlow())
	want := "Date first seen              Duration     Proto      Src IP Addr:Port          Dst IP Addr:Port   Packets    Bytes Flows\n" +
		"2026-05-27 19:25:01.000Z     00:01:00.000 TCP           10.0.0.1:54321 ->        192.0.2.7:443         10    12345     1\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestLayoutWithoutRowsHasHead(t *testing.T) {
	got := layoutText(t, "fmt:%sa %pkt", false)
	if want := "     Src IP Addr  Packets\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// An IPv6 address is written whole; the column widens for it, in the rows before
// too while they are held back.
func TestLayoutNeverCutsIPv6(t *testing.T) {
	long := "2001:db8:1111:2222:3333:4444:5555:6666"
	got := layoutText(t, "fmt:%sap|%dap|%sn", false, sampleFlow(),
		layoutRecord(long, "2001:db8::1", map[flow.Field]uint64{flow.SrcPort: 53, flow.SrcMask: 48}))
	want := "                           Src IP Addr:Port       Dst IP Addr:Port       Src Network\n" +
		"                              10.0.0.1:54321|       192.0.2.7:443  |               -/-\n" +
		long + ".53   |     2001:db8::1.-    | 2001:db8:1111::/48\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestLayoutAbsentIsNotZero(t *testing.T) {
	for token, parts := range layoutTokens() {
		if token == "n" || token == "cnt" || token == "fl" || token == "flg" {
			continue // a line end, a line number, one flow, and no flag known
		}
		got := strings.Fields(strings.SplitN(layoutText(t, "fmt:%"+token, false, new(flow.Record)), "\n", 2)[1])
		if len(got) == 0 {
			t.Errorf("%%%s of an empty record is blank", token)
		}
		for _, word := range got {
			if strings.Trim(word, "-:/.") != "" {
				t.Errorf("%%%s of an empty record (%d parts): got %q, want -", token, len(parts), word)
			}
		}
	}
}

func TestLayoutEveryTimeHasItsZone(t *testing.T) {
	for _, token := range []string{"ts", "te", "tr", "tfs", "tsg", "teg", "trg"} {
		got := strings.TrimSpace(strings.SplitN(layoutText(t, "fmt:%"+token, false, sampleFlow()), "\n", 2)[1])
		if _, err := time.Parse("2006-01-02 15:04:05.000Z07:00", got); err != nil {
			t.Errorf("%%%s: got %q: %v", token, got, err)
		}
	}
}

func TestLayoutTokens(t *testing.T) {
	r := sampleFlow()
	for f, v := range map[flow.Field]uint64{
		flow.Domain: 7<<8 | 9, flow.Version: 5, flow.PostPackets: 3, flow.ReverseBytes: 2500000, flow.PostBytes: 5,
		flow.MPLSLabel1: 16001<<4 | 3<<1 | 1, flow.SrcMAC: 0x0a0b0c0d0e0f, flow.Direction: 1, flow.Flows: 4,
		flow.EtherType: 0x800, flow.NATEvent: 4, flow.FirewallEvent: 3, flow.FirewallExtEvent: 1001, flow.MinTTL: 3, flow.MaxTTL: 64,
		flow.NATSrcPort: 1024, flow.ICMPType: 3, flow.ICMPCode: 1, flow.DstMask: 16,
	} {
		r.SetNum(f, v)
	}
	r.SetAddr(flow.NATSrcAddr, flow.AddrFrom4(0xc0000201))
	r.SetAddr(flow.Exporter, flow.AddrFrom4(0x7f000001))
	for _, c := range []struct{ format, want string }{
		{"%nfv %cnt %eng", "Nv5     1   7/9"},
		{"%tsr %ter %trr", "1779909901.000 1779909961.000 1779909962.005"},
		{"%td %tds", "    00:01:00.000           60.000"},
		{"%opkt %obyt", "       3    2.5 M"},
		{"%mpls1", "   16001-3-1"},
		{"%ismc %idmc", "0a:0b:0c:0d:0e:0f                 -"},
		{"%dir %fl", "  E     4"},
		{"%eth %odid", "   0x0800 0x000000709"},
		{"%evt %xevt %nevt", "  DENIED   I-ACL    ADD44"},
		{"%ttl", "    3     64"},
		{"%xsap %nsp", "       192.0.2.1:1024    1024"},
		{"%it %ic", "     3      1"},
		{"%dn %sn", "       192.0.0.0/16                -/-"},
		{"%ra", "       127.0.0.1"},
		{"%pps %bps %bpp", "       0     1646   1234"},
		{"%flg", "...AP.SF"},
		{"100%% of %sp", "100% of  54321"},
		{"a %sp b", "a  54321 b"},
		{"%sp%n%dp", " 54321\n   443"},
	} {
		got := strings.SplitN(layoutText(t, "fmt:"+c.format, false, r), "\n", 2)[1]
		if strings.Contains(c.format, "%n") && !strings.Contains(c.format, "%nfv") && strings.Contains(c.format, "%n%") {
			got = got[strings.Index(got, "\n")+1:] // the head has two lines
		}
		if got != c.want+"\n" {
			t.Errorf("%s: got %q, want %q", c.format, got, c.want+"\n")
		}
	}
}

func TestLayoutICMP(t *testing.T) {
	for _, c := range []struct {
		nums map[flow.Field]uint64
		want string
	}{
		{map[flow.Field]uint64{flow.Proto: 1, flow.DstPort: 8 << 8}, "8.0"},
		{map[flow.Field]uint64{flow.Proto: 58, flow.ICMPType: 135, flow.ICMPCode: 0}, "135.0"},
		{map[flow.Field]uint64{flow.Proto: 1}, "-"},
		{map[flow.Field]uint64{flow.Proto: 17, flow.DstPort: 53, flow.ICMPType: 3}, "53"},
	} {
		got := strings.TrimSpace(strings.SplitN(layoutText(t, "fmt:%dp", false, layoutRecord("", "", c.nums)), "\n", 2)[1])
		if got != c.want {
			t.Errorf("%v: got %q, want %q", c.nums, got, c.want)
		}
	}
}

func TestLayoutNamesStandForTokens(t *testing.T) {
	got := layoutText(t, "fmt:%line %ra", false, sampleFlow())
	want := layoutText(t, "fmt:"+layoutFormats["line"]+" %ra", false, sampleFlow())
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestLayoutRefuses(t *testing.T) {
	for _, c := range []struct{ format, want string }{
		{"fmt:%ts %foo", "there is no token %foo"},
		{"fmt:%sourceport", "the tokens are %bpp"},
		{"fmt:%tss", "did you mean %t"},
		{"fmt:%uname", "user names"},
		{"fmt:%sc", "country"},
		{"fmt:", "names no token"},
		{"fmt:%", "there is no token %"},
	} {
		_, err := parseLayout(c.format, false, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want an error with %q", c.format, err, c.want)
		}
	}
}

// Every token of nfdump is either there or refused with a reason, and none is
// both.
func TestLayoutKnowsAllOfNfdumps(t *testing.T) {
	manual := strings.Fields(`cnt nfv ts tfs tsr te ter tr trr td pr exp eng lbl sa da sap dap gsap gdap sp dp it ic sn dn nh nhb ra
		sas das nas pas in out pkt ipkt opkt byt ibyt obyt fl flg tos stos dtos dir smk dmk fwd svln dvln ismc odmc idmc osmc
		mpls1 mpls2 mpls3 mpls4 mpls5 mpls6 mpls7 mpls8 mpls9 mpls10 mpls bps pps bpp sc dc sloc dloc n ipl opl nbid ja3 sni nbnam
		odid opid nfc evt xevt sgt msec iacl eacl xsa xda xsp xdp xsap xdap uname nevt ivrf evrf nsa nda nsp ndp
		pbstart pbend pbstep pbsize cl sl al line long extended biline bilong nsel nel`)
	tokens := layoutTokens()
	for _, name := range manual {
		if tokens[name] == nil && layoutRefused[name] == "" && layoutFormats[name] == "" {
			t.Errorf("%%%s is neither a token nor refused", name)
		}
	}
	for name := range layoutRefused {
		if tokens[name] != nil {
			t.Errorf("%%%s is a token and refused", name)
		}
	}
}

// nfdumpRecords are flows that NetFlow v5 can carry, with values at the edges of
// nfdump's formats.
func nfdumpRecords() []*flow.Record {
	with := func(src, dst string, nums map[flow.Field]uint64) *flow.Record {
		r := layoutRecord(src, dst, nums)
		for _, f := range []flow.Field{flow.SrcPort, flow.DstPort, flow.TCPFlags, flow.TOS, flow.InIf, flow.OutIf, flow.SrcAS, flow.DstAS,
			flow.SrcMask, flow.DstMask} {
			if !r.Has(f) {
				r.SetNum(f, 0)
			}
		}
		r.SetAddr(flow.NextHop, flow.AddrFrom4(0x0a090909))
		r.SetAddr(flow.Exporter, flow.AddrFrom4(0x7f000001))
		r.SetNum(flow.Version, flow.VersionNF5)
		r.SetNum(flow.Domain, 7<<8|9)
		return r
	}
	const start = 1779909901000
	return []*flow.Record{
		with("10.0.0.1", "192.0.2.7", map[flow.Field]uint64{flow.Proto: 6, flow.SrcPort: 54321, flow.DstPort: 443, flow.TCPFlags: 0x1b,
			flow.Packets: 10, flow.Bytes: 12345, flow.Start: start, flow.End: start + 60000, flow.SrcAS: 64500, flow.DstAS: 786, flow.InIf: 3, flow.OutIf: 4}),
		with("203.0.113.200", "10.0.0.1", map[flow.Field]uint64{flow.Proto: 1, flow.DstPort: 8 << 8, flow.Packets: 1, flow.Bytes: 64,
			flow.TOS: 16, flow.Start: start + 1, flow.End: start + 1}),
		with("10.0.0.2", "192.0.2.8", map[flow.Field]uint64{flow.Proto: 17, flow.SrcPort: 53, flow.DstPort: 33000, flow.TOS: 255,
			flow.Packets: 2500000, flow.Bytes: 3600000000, flow.Start: start, flow.End: start + 90060023}),
		with("10.0.0.2", "192.0.2.8", map[flow.Field]uint64{flow.Proto: 89, flow.Packets: 1200, flow.Bytes: 1048576,
			flow.Start: start, flow.End: start + 4000}),
		with("10.0.0.2", "192.0.2.8", map[flow.Field]uint64{flow.Proto: 200, flow.Packets: 999999, flow.Bytes: 1000000,
			flow.Start: start, flow.End: start + 4000}),
	}
}

// v5Datagram is records as an exporter sends them.
func v5Datagram(records []*flow.Record) []byte {
	const first = 1779909901000
	uptime := uint32(90100000)
	b := binary.BigEndian.AppendUint16(nil, 5)
	b = binary.BigEndian.AppendUint16(b, uint16(len(records)))
	for _, v := range []uint32{uptime, (first-1000)/1000 + uptime/1000, 0, 0} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	b = append(b, 7, 9, 0, 0)
	for _, r := range records {
		for _, f := range []flow.Field{flow.SrcAddr, flow.DstAddr, flow.NextHop} {
			b = binary.BigEndian.AppendUint32(b, r.Addr(f).As4())
		}
		b = binary.BigEndian.AppendUint16(b, uint16(r.Num(flow.InIf)))
		b = binary.BigEndian.AppendUint16(b, uint16(r.Num(flow.OutIf)))
		for _, v := range []uint64{r.Num(flow.Packets), r.Num(flow.Bytes), r.Num(flow.Start) - first + 1000, r.Num(flow.End) - first + 1000} {
			b = binary.BigEndian.AppendUint32(b, uint32(v))
		}
		b = binary.BigEndian.AppendUint16(b, uint16(r.Num(flow.SrcPort)))
		b = binary.BigEndian.AppendUint16(b, uint16(r.Num(flow.DstPort)))
		b = append(b, 0, byte(r.Num(flow.TCPFlags)), byte(r.Num(flow.Proto)), byte(r.Num(flow.TOS)))
		b = binary.BigEndian.AppendUint16(b, uint16(r.Num(flow.SrcAS)))
		b = binary.BigEndian.AppendUint16(b, uint16(r.Num(flow.DstAS)))
		b = append(b, byte(r.Num(flow.SrcMask)), byte(r.Num(flow.DstMask)), 0, 0)
	}
	return b
}

// The layouts are nfdump's own to the blank, but for the zone of times.
func TestLayoutAgainstNfdump(t *testing.T) {
	peer.Need(t, "nfcapd", "nfdump")
	records := nfdumpRecords()
	file := nfcapdFile(t, v5Datagram(records))
	for _, c := range []struct {
		format string
		plain  bool
	}{
		{"line", false}, {"long", false}, {"extended", false}, {"extended", true}, {"biline", false},
		{"fmt:%ts %te %td %pr %sa %da %sp %dp %sap %dap %sas %das %in %out %flg|%tos|%stos|%pkt|%ipkt|%byt|%ibyt|%bps|%pps|%bpp|%fl", false},
		{"fmt:%nfv %cnt %eng %ra %nh %tsr %ter %smk %dmk", false},
	} {
		args := []string{"-r", file, "-q", "-o", c.format}
		if c.plain {
			args = append(args, "-N")
		}
		cmd := exec.Command("nfdump", args...)
		cmd.Env = append(os.Environ(), "TZ=UTC")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("nfdump %v: %v", args, err)
		}
		want := nfdumpLines(t, string(out), c.plain)
		got := words(strings.SplitN(layoutText(t, c.format, c.plain, records...), "\n", 2)[1])
		for i := range want {
			same := i < len(got) && normalLayout(got[i]) == normalLayout(want[i])
			if c.plain { // nfdump lets long numbers spill over, weir widens the column
				same = i < len(got) && slices.Equal(strings.Fields(normalLayout(got[i])), strings.Fields(normalLayout(want[i])))
			}
			if !same {
				t.Errorf("%s, line %d:\n  weir   %q\n  nfdump %q", c.format, i+1, at(got, i), want[i])
			}
		}
	}
}

var (
	wideTOS    = regexp.MustCompile(`([.CEUAPRSF]{8}[ |]) `)
	plainFlags = regexp.MustCompile(`( -> +\S+ +)(\d+)`)
	countLine  = regexp.MustCompile(`^(Nv\d+ +)(\d+)`)
)

// nfdumpLines returns the lines that nfdump printed, with -N if plain, as 1.7.1
// prints them.
func nfdumpLines(t *testing.T, text string, plain bool) []string {
	t.Helper()
	lines := words(text)
	for i := range lines {
		if plain && peer.NfdumpHas(t, peer.PlainFlags) {
			lines[i] = plainFlags.ReplaceAllStringFunc(lines[i], lettersOfFlags)
		}
		if peer.NfdumpHas(t, peer.WideTOS) {
			lines[i] = wideTOS.ReplaceAllString(lines[i], "$1")
		}
		if peer.NfdumpHas(t, peer.CountsFromTwo) {
			lines[i] = countLine.ReplaceAllString(lines[i], fmt.Sprintf("${1}%d", i+1))
		}
	}
	return lines
}

// lettersOfFlags returns what plainFlags found with letters for the number.
func lettersOfFlags(text string) string {
	m := plainFlags.FindStringSubmatch(text)
	bits, _ := strconv.Atoi(m[2])
	letters := []byte("CEUAPRSF")
	for i := range letters {
		if bits&(0x80>>i) == 0 {
			letters[i] = '.'
		}
	}
	return m[1] + string(letters)
}

func words(text string) []string { return strings.Split(strings.TrimRight(text, "\n"), "\n") }

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

// normalLayout takes out what differs on purpose: the zone after times, "-" for
// what a v5 record does not have, and blanks at the end of a line.
func normalLayout(line string) string {
	line = strings.ReplaceAll(line, "Z ", " ")
	absent, zero := strings.Repeat(" ", 7)+"-", strings.Repeat(" ", 7)+"0"
	line = strings.ReplaceAll(line, absent, zero)
	return strings.TrimRight(line, " ")
}

// nfcapdFile has nfcapd receive a datagram and returns the file it wrote.
func nfcapdFile(t *testing.T, datagram []byte) string {
	t.Helper()
	dir := t.TempDir()
	probe, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := probe.LocalAddr().(*net.UDPAddr).Port
	probe.Close()
	log := new(strings.Builder)
	cmd := exec.Command("nfcapd", "-l", dir, "-b", "127.0.0.1", "-p", strconv.Itoa(port))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("udp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// A datagram that comes before the socket is there is refused, and the next
	// write says so.
	deadline := time.Now().Add(5 * time.Second)
	for time.Now().Before(deadline) {
		if _, err := conn.Write(nil); err == nil {
			time.Sleep(100 * time.Millisecond)
			if _, err := conn.Write(nil); err == nil {
				break
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	if _, err := conn.Write(datagram); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("nfcapd: %v\n%s", err, log)
	}
	files, err := filepath.Glob(filepath.Join(dir, "nfcapd.2*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("nfcapd wrote %v (%v), want one file\n%s", files, err, log)
	}
	return files[0]
}
