package main

import (
	"slices"
	"testing"
)

func TestAnswersAreRead(t *testing.T) {
	for _, c := range []struct {
		name string
		read func([]byte) ([]string, error)
		text string
		want []string
	}{
		{"weir's count", number, "360\n", []string{"360"}},
		{"nfdump's records", countLines, "2026-11-22 13:59:57,…\n2026-11-22 13:59:58,…\n", []string{"2"}},
		{"nfdump without records", countLines, "No matched flows\n", []string{"0"}},
		{"weir's groups", topBytes, `{"src_addr":"a","bytes":20,"packets":1}` + "\n" + `{"src_addr":"b","bytes":3}` + "\n", []string{"20", "3"}},
		{"nfdump's groups", statBytes, "ts,te,td,pr,val,fl,flP,ipkt,ipktP,ibyt\n1,2,3,any,10.0.0.1,4,50.0,6,60.0,77,80.0\n", []string{"77"}},
	} {
		got, err := c.read([]byte(c.text))
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v, want %v", c.name, got, err, c.want)
		}
	}
	if _, err := statBytes([]byte("nothing\n")); err == nil {
		t.Error("an answer without statistics: no error")
	}
}
