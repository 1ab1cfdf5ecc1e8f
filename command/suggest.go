package command

import "weir/query"

// nearest returns the candidate that is the fewest typing mistakes away from
// word, or "" if none is near enough to be meant. One letter is near everything.
func nearest(word string, candidates []string) string {
	if len(word) < 2 {
		return ""
	}
	best, bestDistance := "", max(1, len(word)/3)+1
	for _, c := range candidates {
		if d := query.EditDistance(word, c, bestDistance-1); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}
