package command

import (
	"bufio"
	"fmt"
	"strings"
)

// confirmCase has the case reference typed before something is deleted for ever.
// what says what would be, done that it was not.
func confirmCase(std *Std, ref, what, done string) error {
	fmt.Fprintf(std.Err, "weir: type the case reference to delete %s for ever: ", what)
	if line, _ := bufio.NewReader(std.In).ReadString('\n'); strings.TrimSpace(line) != ref {
		return usagef("that is not the case reference; nothing was %s", done)
	}
	return nil
}
