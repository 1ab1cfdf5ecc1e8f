package command

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"weir/query"
)

// Bounds of what is said of a notice, in bytes.
const (
	maxReference  = 200
	maxLegalBasis = 64 << 10
)

// A disclosure is the lawful notice that a package answers.
type disclosure struct {
	reference string // of the notice
	basis     string // what obliges or permits it
}

// disclosureFlags are the flags that make a package an answer to a notice.
func disclosureFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "disclosure", Usage: "the package answers the lawful notice `REF`: raw records of an exact scope, with a cover sheet"},
		&cli.StringFlag{Name: "legal-basis", Usage: "what the notice rests on: `TEXT`, or @FILE with it"},
	}
}

// disclosureOf returns what the flags say of a notice, nil if there is none. A
// scope that is not closed on all sides is refused: what was given out could not
// be told from it later.
func disclosureOf(c *cli.Context, std *Std, r *query.FlowsRequest) (*disclosure, error) {
	if !c.IsSet("disclosure") {
		if c.IsSet("legal-basis") {
			return nil, usagef("--legal-basis goes with --disclosure REF")
		}
		return nil, nil
	}
	d := &disclosure{reference: strings.TrimSpace(c.String("disclosure"))}
	if d.reference == "" || len(d.reference) > maxReference || printable(d.reference) != d.reference {
		return nil, usagef("--disclosure: the reference of a notice is a line of printable text, of up to %d bytes", maxReference)
	}
	for _, flag := range []string{"anonymise", "round", "statistics"} {
		if c.IsSet(flag) {
			return nil, usagef("--disclosure gives out records as they are: it does not go with --%s", flag)
		}
	}
	var err error
	if d.basis, err = legalBasis(c, std); err != nil {
		return nil, err
	}
	return d, exactScope(r, epochMS(std.Now()))
}

// exactScope refuses what is not bounded on all sides.
func exactScope(r *query.FlowsRequest, now uint64) error {
	const what = "a disclosure has an exact scope: "
	switch {
	case strings.TrimSpace(r.Filter) == "":
		return usagef(what + "it lacks a filter").withHint("add one, such as 'ip 192.0.2.7'; the filter any means every flow")
	case r.From == 0 && r.To == 0:
		return usagef(what + "it lacks a window").withHint("add --from TIME --to TIME")
	case r.From == 0:
		return usagef(what + "its window has no start").withHint("add --from TIME")
	case r.To == 0:
		return usagef(what + "its window has no end").withHint("add --to TIME; --last alone has none")
	case r.To > now:
		return usagef(what+"its window ends in the future, at %s: more may come", showMS(r.To)).withHint("end it at %s or before", showMS(now))
	}
	return nil
}

// legalBasis returns the text of --legal-basis.
func legalBasis(c *cli.Context, std *Std) (text string, err error) {
	text = c.String("legal-basis")
	if name, isFile := strings.CutPrefix(text, "@"); isFile {
		if text, err = readText(name, std.In); err != nil {
			return "", usagef("--legal-basis: %v", err)
		}
	}
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return "", usagef("a disclosure states what it rests on").withHint("add --legal-basis TEXT, or --legal-basis @FILE")
	case len(text) > maxLegalBasis:
		return "", usagef("--legal-basis: the text is over %d KiB", maxLegalBasis>>10)
	case !utf8.ValidString(text):
		return "", usagef("--legal-basis: the text is not UTF-8")
	}
	return text, nil
}

// A manifestDisclosure is what a manifest says of a notice.
type manifestDisclosure struct {
	Reference  string   `json:"reference"`
	LegalBasis string   `json:"legal_basis"`
	Statement  []string `json:"statement"` // how complete the records are and what they prove, in plain words

	// Cover is the SHA-256 of cover.html with zeros in place of the manifest's
	// hash that it carries: so each of the two vouches for the other.
	Cover string `json:"cover_sha256"`
}

// noManifestSum stands for the manifest's hash where that is not known yet.
var noManifestSum = strings.Repeat("0", 2*sha256.Size)

// coverSum returns the hash that a manifest has of a cover sheet that carries
// the manifest's own.
func coverSum(page []byte, manifestSum string) string {
	digest := sha256.Sum256([]byte(strings.ReplaceAll(string(page), manifestSum, noManifestSum)))
	return hex.EncodeToString(digest[:])
}
