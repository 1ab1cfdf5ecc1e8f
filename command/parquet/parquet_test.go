package parquet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	parquetgo "github.com/parquet-go/parquet-go"
)

var testColumns = []Column{{"z", Text}, {"a", Time}, {"u8", Uint8}, {"u16", Uint16}, {"u32", Uint32}, {"u64", Uint64}, {"list", List}, {"text", Text}}

// testRow returns the values of row n as text, "" for nulls.
func testRow(r *rand.Rand, n int) (cells []string, put func(w *Writer)) {
	var set []func(w *Writer)
	for i, c := range testColumns {
		if r.IntN(4) == 0 {
			cells, set = append(cells, "null"), append(set, func(w *Writer) { w.Null(i) })
			continue
		}
		switch c.Type {
		case Text:
			text := fmt.Sprintf("%s row %d", strings.Repeat("é", r.IntN(20)), n)
			if c.Name == "z" {
				text = fmt.Sprint(r.IntN(7))
			}
			cells, set = append(cells, text), append(set, func(w *Writer) { w.Text(i, []byte(text)) })
		case List:
			list := make([]uint32, 1+r.IntN(3))
			for j := range list {
				list[j] = r.Uint32()
			}
			cells, set = append(cells, fmt.Sprint(list)), append(set, func(w *Writer) { w.List(i, list) })
		default:
			v := r.Uint64() >> (64 - map[Type]int{Time: 50, Uint8: 8, Uint16: 16, Uint32: 32, Uint64: 64}[c.Type])
			cells, set = append(cells, fmt.Sprint(v)), append(set, func(w *Writer) { w.Uint(i, v) })
		}
	}
	return cells, func(w *Writer) {
		for _, fn := range set {
			fn(w)
		}
	}
}

// readCells returns the cells of a row as testRow has them.
func readCells(row parquetgo.Row) (cells []string) {
	byColumn := make([][]parquetgo.Value, len(testColumns))
	for _, v := range row {
		byColumn[v.Column()] = append(byColumn[v.Column()], v.Clone())
	}
	for i, values := range byColumn {
		switch v := values[0]; {
		case v.IsNull():
			cells = append(cells, "null")
		case testColumns[i].Type == List:
			var list []uint32
			for _, v := range values {
				list = append(list, v.Uint32())
			}
			cells = append(cells, fmt.Sprint(list))
		case testColumns[i].Type == Text:
			cells = append(cells, string(v.ByteArray()))
		case testColumns[i].Type == Time || testColumns[i].Type == Uint64:
			cells = append(cells, fmt.Sprint(v.Uint64()))
		default:
			cells = append(cells, fmt.Sprint(v.Uint32()))
		}
	}
	return cells
}

func write(t testing.TB, rows int) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, testColumns, "test", "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for n := range rows {
		_, put := testRow(r, n)
		put(w)
		if err := w.EndRow(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// What is read back is what was written, over several row groups and past the
// bound of a dictionary.
func TestReadBack(t *testing.T) {
	for _, rows := range []int{0, 1, batchRows, batchRows + 1, 700_000} {
		file := write(t, rows)
		f, err := parquetgo.OpenFile(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		if rows == 700_000 && len(f.RowGroups()) < 2 {
			t.Errorf("%d bytes are %d row group", len(file), len(f.RowGroups()))
		}
		for i, c := range f.Root().Columns() {
			if c.Name() != testColumns[i].Name {
				t.Errorf("column %d is %s, want %s", i, c.Name(), testColumns[i].Name)
			}
		}
		n, r := 0, rand.New(rand.NewPCG(1, 2))
		for _, g := range f.RowGroups() {
			in := g.Rows()
			buf := make([]parquetgo.Row, 100)
			for {
				got, err := in.ReadRows(buf)
				for _, row := range buf[:got] {
					want, _ := testRow(r, n)
					if cells := readCells(row); !slices.Equal(cells, want) {
						t.Fatalf("row %d: got %q, want %q", n, cells, want)
					}
					n++
				}
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			in.Close()
		}
		if counted, err := Rows(bytes.NewReader(file), int64(len(file))); n != rows || err != nil || counted != uint64(rows) {
			t.Errorf("%d rows became %d; Rows says %d, %v", rows, n, counted, err)
		}
	}
}

func TestNewWriterRefuses(t *testing.T) {
	for _, columns := range [][]Column{nil, {{"a", Text}, {"a", Time}}} {
		if _, err := NewWriter(io.Discard, columns, "test", "1.0.0"); err == nil {
			t.Errorf("%v was taken", columns)
		}
	}
}

// An error of the file under it ends the Writer, and is said.
func TestWriteFails(t *testing.T) {
	full := errors.New("it is full")
	w, err := NewWriter(failing{full}, testColumns, "test", "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 3000 {
		_, put := testRow(r, n)
		put(w)
		if err := w.EndRow(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	if err := w.EndRow(); !errors.Is(err, full) {
		t.Errorf("after it: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// Whatever is in a file, Rows ends, and takes no more than what is there.
func FuzzRows(f *testing.F) {
	file := write(f, 50)
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Add([]byte("PAR1\x15\x02\x19\xfc\xff\xff\xff\xff\x0f\x00\x00\x00\x00\x0b\x00\x00\x00PAR1"))
	f.Fuzz(func(t *testing.T, file []byte) {
		if n, err := Rows(bytes.NewReader(file), int64(len(file))); err != nil && n != 0 {
			t.Errorf("%d rows and %v", n, err)
		}
	})
}

// A file whose footer is changed anywhere is either refused or says the same
// number in both places.
func TestRowsOfDamage(t *testing.T) {
	file := write(t, 500)
	for at := range file {
		for _, bit := range []byte{1, 0x80} {
			bad := bytes.Clone(file)
			bad[at] ^= bit
			_, _ = Rows(bytes.NewReader(bad), int64(len(bad))) // no panic
		}
	}
	for _, n := range []int{0, 3, 11, len(file) - 1} {
		if _, err := Rows(bytes.NewReader(file[:n]), int64(n)); err == nil {
			t.Errorf("%d bytes of %d are a file", n, len(file))
		}
	}
}
