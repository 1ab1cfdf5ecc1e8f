package anon

import "testing"

func TestNumbers(t *testing.T) {
	a, b := NewNumbers([]byte("one key")), NewNumbers([]byte("another key"))
	first, second := addr(t, "192.0.2.1"), addr(t, "192.0.2.2")
	seen := map[uint64]bool{}
	for i := range uint64(500) {
		n := a.Interface(first, i+1)
		if n == 0 || n == i+1 || n >= 1<<31 || seen[n] {
			t.Errorf("interface %d: got %d", i+1, n)
		}
		seen[n] = true
		if n != a.Interface(first, i+1) || n != NewNumbers([]byte("one key")).Interface(first, i+1) {
			t.Errorf("interface %d is not the same again", i+1)
		}
		if n == a.Interface(second, i+1) || n == b.Interface(first, i+1) {
			t.Errorf("interface %d is the same for another exporter or key", i+1)
		}
		mac := 0x00005e005300 + i
		m := a.MAC(mac)
		if m == mac || m>>48 != 0 || m>>40&3 != 2 || m == b.MAC(mac) || m != a.MAC(mac) {
			t.Errorf("MAC %x: got %x", mac, m)
		}
	}
	if a.Interface(first, 0) != 0 || a.MAC(0) != 0 {
		t.Error("no interface and no MAC address became some")
	}
}
