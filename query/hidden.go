package query

import (
	"weir/store"
)

// lateMS is how long after a flow its record may come that nobody would call
// late: the longest timeout that routers have, about.
const lateMS = 3_600_000

// hiddenDamage names the hours of which it is not known what they hold and that
// may have records of the window: those of flows that ended in the hour, or not
// long before.
func hiddenDamage(v *store.View, w Window) []string {
	var list []string
	for _, d := range v.Hidden() {
		if (w.From == 0 || w.From < d.Hour.EndMS()) && (w.To == 0 || w.To+lateMS > d.Hour.StartMS()) {
			list = append(list, d.Error())
		}
	}
	return list
}
