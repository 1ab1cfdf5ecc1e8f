package command

import (
	"encoding/csv"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"weir/flow"
	"weir/query"
)

// A recordWriter writes the flows of an answer in one of the output formats.
type recordWriter interface {
	record(r *flow.Record) error
	finish() error // writes what is held back; not an end of the underlying writer
}

// A column is a field of the record, or something worked out from several.
type column struct {
	name  string
	field flow.Field        // 0 for a worked-out column
	kept  *flow.KeptElement // what the field is, of a slot; else nil

	// text returns the value's name, "" for none; nil: values have no names. A
	// column without a field is nothing else.
	text func(r *flow.Record) string
}

// durationColumn is end minus start, in seconds in tables, in ms elsewhere.
const durationColumn = "duration"

// defaultColumns are those of a table when --fields says nothing.
var defaultColumns = []column{
	columnOf("start"), columnOf(durationColumn), columnOf("proto"),
	columnOf("src_addr"), columnOf("src_port"), columnOf("dst_addr"), columnOf("dst_port"),
	columnOf("tcp_flags"), columnOf("packets"), columnOf("bytes"), columnOf("exporter"),
}

// wideColumns are those of a table with --wide: the default ones and, between
// them, what routers, switches, NAT and firewalls say of a flow.
func wideColumns() []column {
	var list []column
	for _, name := range []string{
		"start", "end", durationColumn, "proto", "src_addr", "src_port", "dst_addr", "dst_port",
		"tcp_flags", "tos", "icmp_type", "icmp_code", "packets", "bytes", "reverse_packets", "reverse_bytes", "flows",
		"in_if", "out_if", "src_as", "dst_as", "src_mask", "dst_mask", "next_hop", "bgp_next_hop",
		"src_vlan", "dst_vlan", "src_mac", "dst_mac", columnName(flow.MPLSLabel1), "ingress_vrf", "egress_vrf",
		"direction", "sampling_interval", "forwarding_status",
		"nat_src_addr", "nat_src_port", "nat_dst_addr", "nat_dst_port", "nat_event", "firewall_event", "exporter",
	} {
		list = append(list, columnOf(name))
	}
	return list
}

// allColumns are the columns of CSV when --fields says nothing: every field, in
// the order of the JSON keys.
func allColumns() []column {
	list := make([]column, 0, len(flow.JSONFields))
	for _, f := range flow.JSONFields {
		list = append(list, columnOf(columnName(f)))
	}
	return list
}

// parseColumns parses a list of names as --fields takes it.
func parseColumns(c *cli.Context, format, text string) ([]column, error) {
	known := append(append(fieldNames(), durationColumn), query.LabelFieldNames(false)...)
	var list []column
	for _, name := range strings.Split(text, ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains(known, name) {
			e, err := keptField(c, "--fields", name)
			if err != nil {
				return nil, err
			}
			if e != nil {
				list = append(list, keptColumn(e))
				continue
			}
		}
		if err := oneOf("--fields", name, known); err != nil {
			return nil, withFieldHint(err, name, known)
		}
		list = append(list, columnOf(name))
	}
	names := make([]string, len(list))
	for i := range list {
		names[i] = list[i].name
	}
	return list, onceNamed("--fields", format, names)
}

// onceNamed refuses fields that an answer in the format cannot have twice.
func onceNamed(flag, format string, names []string) error {
	once := map[string]string{formatJSON: "a JSON object has one value of a name", formatParquet: "a Parquet file has one column of a name"}[format]
	for i, name := range names {
		if once != "" && slices.Contains(names[:i], name) {
			return usagef("%s: %s twice, but %s", flag, name, once)
		}
	}
	return nil
}

// withFieldHint shortens the hint of an unknown field: there are too many to
// list.
func withFieldHint(err error, name string, known []string) error {
	u, ok := err.(*usageError)
	if ok && nearest(name, known) == "" {
		u.hint = "weir query --help lists the fields"
	}
	return err
}

// neededFields returns the fields that an answer in these columns is made of, by
// name; nil for all of them.
func neededFields(format string, columns []column) []string {
	var set flow.FieldSet
	switch {
	case columns != nil:
	case format == formatTable:
		columns = defaultColumns
	case isLayout(format):
		fields, known := layoutFields(format)
		if !known {
			return nil
		}
		set = fields
	default:
		return nil
	}
	for _, c := range columns {
		if f, ok := query.ParseLabelField(c.name); ok {
			set.Add(f.Field)
			continue
		}
		switch c.field {
		case 0:
			set.Add(flow.Start)
			set.Add(flow.End)
		case flow.MPLSLabel1:
			for l := flow.MPLSLabel1; l <= flow.MPLSLabel10; l++ {
				set.Add(l)
			}
		case flow.TCPFlags:
			set.Add(flow.Proto) // tables show flags of TCP only
			set.Add(flow.TCPFlags)
		default:
			set.Add(c.field)
		}
	}
	var list []string
	for f := range set.All {
		list = append(list, f.String())
	}
	return list
}

func columnOf(name string) column {
	if name == columnName(flow.MPLSLabel1) {
		return column{name: name, field: flow.MPLSLabel1}
	}
	f, _ := flow.ParseField(name) // 0 for worked-out columns
	return column{name: name, field: f}
}

// named returns the name of the record's value, and false if it has none.
func (c *column) named(r *flow.Record) (string, bool) {
	if c.text == nil {
		return "", false
	}
	name := c.text(r)
	return name, name != ""
}

// has reports whether the record has a value in the column.
func (c *column) has(r *flow.Record) bool {
	if c.field != 0 {
		return r.Present.HasMember(c.field)
	}
	if c.text != nil {
		return c.text(r) != ""
	}
	return r.Has(flow.Start) && r.Has(flow.End) && r.Num(flow.End) >= r.Num(flow.Start)
}

// machine appends the value as programs read it.
func (c *column) machine(dst []byte, r *flow.Record) []byte {
	if name, ok := c.named(r); ok {
		return appendCSVText(dst, name)
	}
	if c.kept != nil {
		begin := len(dst)
		dst = c.kept.AppendText(dst, r)
		return appendCSVText(dst[:begin], string(dst[begin:]))
	}
	switch c.field {
	case 0:
		return flow.AppendNum(dst, flow.Bytes, duration(r))
	case flow.MPLSLabel1:
		return appendLabels(dst, r)
	}
	return r.AppendValue(dst, c.field)
}

// human appends the value as people read it.
func (c *column) human(dst []byte, r *flow.Record) []byte {
	if name, ok := c.named(r); ok {
		return append(dst, name...)
	}
	if c.kept != nil {
		return appendKept(dst, c.kept, r)
	}
	switch c.field {
	case 0:
		return appendMillis(dst, duration(r))
	case flow.MPLSLabel1:
		return appendLabels(dst, r)
	case flow.TCPFlags:
		if r.Has(flow.Proto) && r.Num(flow.Proto) != 6 {
			return dst
		}
	}
	return appendHuman(dst, r, c.field)
}

func duration(r *flow.Record) uint64 { return r.Num(flow.End) - r.Num(flow.Start) }

// appendLabels appends the MPLS label stack with spaces between the labels.
func appendLabels(dst []byte, r *flow.Record) []byte {
	begin := len(dst)
	for l := range r.Present.Labels().All {
		if len(dst) > begin {
			dst = append(dst, ' ')
		}
		dst = r.AppendValue(dst, l)
	}
	return dst
}

// usualWidth returns how wide a column of a table is with ordinary values.
func (c column) usualWidth() int {
	switch {
	case c.text != nil || c.kept != nil:
		return 12
	case c.field == 0: // the duration
		return len("1000.000")
	case c.field.IsAddr():
		return len("255.255.255.255")
	case c.field == flow.TCPFlags:
		return len("........")
	case c.field == flow.Proto:
		return len("icmp6")
	case c.field.Kind() == flow.KindTime:
		return len("2006-01-02 15:04:05.000Z")
	}
	return len("65535")
}

// newRecordWriter returns the writer of a format. No columns means the format's
// own choice. Every record is written to out at once: out buffers. A layout may
// name elements of kept.
func newRecordWriter(format string, out io.Writer, columns []column, color bool, kept *flow.Kept) (recordWriter, error) {
	switch format {
	case formatJSON:
		return &jsonRecords{out: out, columns: columns}, nil
	case formatCSV:
		if columns == nil {
			columns = allColumns()
		}
		return newCSVRecords(out, columns)
	case formatParquet:
		if columns == nil {
			columns = allColumns()
		}
		return newParquetRecords(out, columns)
	}
	if isLayout(format) {
		l, err := parseLayout(format, false, kept)
		if err != nil {
			return nil, err
		}
		return newLayoutRecords(out, l), nil
	}
	if columns == nil {
		columns = defaultColumns
	}
	return newTableRecords(out, columns, color), nil
}

// jsonRecords writes one object a line.
type jsonRecords struct {
	out     io.Writer
	columns []column // nil for all fields
	extra   []column // after all fields
	line    []byte

	present flow.FieldSet // of the last record: most records have the fields of the one before
	fields  []flow.Field  // of those, in order
}

func (w *jsonRecords) record(r *flow.Record) error {
	_, err := w.out.Write(append(w.object(r), '\n'))
	return err
}

// object returns a record as an object, which is good until the next.
func (w *jsonRecords) object(r *flow.Record) []byte {
	if w.columns == nil {
		if r.Present != w.present {
			w.list(r.Present)
		}
		w.line = r.AppendJSONFields(w.line[:0], w.fields)
		if len(w.extra) > 0 {
			w.line = append(w.members(w.line[:len(w.line)-1], w.extra, r), '}')
		}
	} else {
		w.line = append(w.members(append(w.line[:0], '{'), w.columns, r), '}')
	}
	return w.line
}

// list finds the fields, in their order, of records that have the given ones.
func (w *jsonRecords) list(present flow.FieldSet) {
	w.present, w.fields = present, w.fields[:0]
	for _, f := range flow.JSONFields {
		if present.HasMember(f) {
			w.fields = append(w.fields, f)
		}
	}
}

// members appends the columns that the record has to an object that has begun,
// in their order.
func (w *jsonRecords) members(dst []byte, columns []column, r *flow.Record) []byte {
	for i := range columns {
		c := &columns[i]
		if !c.has(r) {
			continue
		}
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		name, named := c.named(r)
		if !named && c.field != 0 && c.kept == nil {
			dst = r.AppendMember(dst, c.field)
			continue
		}
		dst = append(append(append(dst, '"'), c.name...), '"', ':')
		switch {
		case named:
			dst = appendJSONText(dst, name)
		case c.kept != nil:
			dst = c.kept.AppendJSON(dst, r)
		default:
			dst = c.machine(dst, r)
		}
	}
	return dst
}

// appendJSONText appends text as marshal writes it.
func appendJSONText(dst []byte, text string) []byte {
	for i := range len(text) {
		if b := text[i]; b < ' ' || b > '~' || strings.IndexByte("\"\\<>&", b) >= 0 {
			return append(dst, marshal(text)...)
		}
	}
	return append(append(append(dst, '"'), text...), '"')
}

func (w *jsonRecords) finish() error { return nil }

// csvRecords writes RFC 4180 with a header, which is there even without rows.
// Only names of organisations and the like, and kept texts, can hold what has to
// be quoted.
type csvRecords struct {
	out     io.Writer
	columns []column
	line    []byte

	present flow.FieldSet // of the last record: most records have the fields of the one before
	filled  []int         // columns that are not empty for want of a field
}

func newCSVRecords(out io.Writer, columns []column) (*csvRecords, error) {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	_, err := io.WriteString(out, strings.Join(names, ",")+"\r\n")
	return &csvRecords{out: out, columns: columns}, err
}

func (w *csvRecords) record(r *flow.Record) error {
	if r.Present != w.present {
		w.fill(r.Present)
	}
	line, at := w.line[:0], 0
	for _, i := range w.filled {
		line, at = appendRun(line, commas, i-at), i
		if c := &w.columns[i]; c.field != 0 || c.has(r) {
			line = c.machine(line, r)
		}
	}
	line = appendRun(line, commas, len(w.columns)-1-at)
	if len(line) == 0 {
		line = append(line, `""`...) // an empty line is no row to most readers
	}
	w.line = append(line, '\r', '\n')
	_, err := w.out.Write(w.line)
	return err
}

// fill finds the columns of records that have the given fields.
func (w *csvRecords) fill(present flow.FieldSet) {
	w.present, w.filled = present, w.filled[:0]
	for i, c := range w.columns {
		if c.field == 0 || present.HasMember(c.field) {
			w.filled = append(w.filled, i)
		}
	}
}

func (w *csvRecords) finish() error { return nil }

// appendCSVText appends text, quoted where it must be.
func appendCSVText(dst []byte, text string) []byte {
	if !strings.ContainsAny(text, ",\"\r\n") {
		return append(dst, text...)
	}
	return append(append(append(dst, '"'), strings.ReplaceAll(text, `"`, `""`)...), '"')
}

// newCSV returns a writer that ends lines as RFC 4180 does, with CR LF.
func newCSV(out io.Writer) *csv.Writer {
	w := csv.NewWriter(out)
	w.UseCRLF = true
	return w
}

// tableRecords writes an aligned table for people.
type tableRecords struct {
	table   *tableWriter
	columns []column
	cells   cells
}

func newTableRecords(out io.Writer, columns []column, color bool) *tableRecords {
	heads := make([]tableColumn, len(columns))
	for i, c := range columns {
		heads[i] = tableColumn{name: c.name, right: c.name == durationColumn || c.kept != nil && c.kept.IsNumber() || c.kept == nil && c.field != 0 && c.text == nil && !c.field.IsAddr() && c.field.Kind() == flow.KindNumber &&
			c.field != flow.Proto && c.field != flow.TCPFlags}
	}
	return &tableRecords{table: newTable(out, heads, color), columns: columns}
}

// begin writes the head before there are rows, with columns as wide as their
// values usually are, so that rows that come one by one stand below each other.
func (w *tableRecords) begin() error {
	for i, c := range w.columns {
		w.table.columns[i].width = max(w.table.columns[i].width, c.usualWidth())
	}
	return w.table.begin()
}

func (w *tableRecords) record(r *flow.Record) error {
	w.cells.reset()
	for i := range w.columns {
		if c := &w.columns[i]; c.has(r) {
			w.cells.text = c.human(w.cells.text, r)
		}
		w.cells.end()
	}
	return w.table.add(&w.cells)
}

func (w *tableRecords) finish() error { return w.table.finish() }
