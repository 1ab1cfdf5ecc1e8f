package collector

import (
	"fmt"
	"strconv"
	"strings"
)

// An enterprise is who has a private enterprise number, of those that are met in
// flow export.
type enterprise struct {
	number uint32
	word   string   // its name in configurations and columns
	name   string   // its name for people
	others []string // words that stand for it too
}

// enterprises are in the order of their numbers in IANA's registry of private
// enterprise numbers.
var enterprises = []enterprise{
	{penCisco, "cisco", "Cisco", []string{"ciscosystems"}},
	{11, "hp", "HP", []string{"hewlettpackard"}},
	{637, "nokia", "Nokia", []string{"alcatel", "alcatellucent"}},
	{1916, "extreme", "Extreme", []string{"extremenetworks"}},
	{2011, "huawei", "Huawei", nil},
	{2636, "juniper", "Juniper", nil},
	{3054, "ixia", "Ixia", nil},
	{3375, "f5", "F5", nil},
	{3845, "citrix", "Citrix", nil},
	{5951, "netscaler", "NetScaler", nil},
	{6027, "force10", "Force10", nil},
	{6527, "timetra", "Nokia", []string{"nokiasros"}},
	{6871, "cert", "CERT (YAF)", []string{"yaf"}},
	{6876, "vmware", "VMware", nil},
	{8057, "cesnet", "CESNET", nil},
	{8741, "sonicwall", "SonicWall", nil},
	{10704, "barracuda", "Barracuda", []string{"phion"}},
	{12356, "fortinet", "Fortinet", nil},
	{13745, "plixer", "Plixer", nil},
	{14988, "mikrotik", "MikroTik", nil},
	{17163, "riverbed", "Riverbed", nil},
	{25461, "paloalto", "Palo Alto Networks", []string{"paloaltonetworks"}},
	{25506, "h3c", "H3C", nil},
	{26866, "gigamon", "Gigamon", nil},
	{penReverse, "reverse", "RFC 5103, reverse", nil},
	{30065, "arista", "Arista", nil},
	{35632, "ntop", "ntop", []string{"nprobe"}},
	{39499, "flowmon", "Flowmon", []string{"invea"}},
	{45346, "velocloud", "VeloCloud", nil},
}

// Vendor returns who has the element's private enterprise number, of those that
// are met in flow export, or "".
func (e Element) Vendor() string {
	for i := range enterprises {
		if enterprises[i].number == e.Enterprise && e.Enterprise != penReverse {
			return enterprises[i].name
		}
	}
	return ""
}

// Alias returns a name for the element that can stand in a filter: cisco_12235,
// or pen54321_7 where nothing is known of the enterprise.
func (e Element) Alias() string {
	if e.Enterprise == penIANA {
		return fmt.Sprintf("element_%d", e.Number)
	}
	for i := range enterprises {
		if enterprises[i].number == e.Enterprise {
			return fmt.Sprintf("%s_%d", enterprises[i].word, e.Number)
		}
	}
	return fmt.Sprintf("pen%d_%d", e.Enterprise, e.Number)
}

// Enterprises returns the words that stand for enterprises.
func Enterprises() []string {
	var words []string
	for i := range enterprises {
		words = append(append(words, enterprises[i].word), enterprises[i].others...)
	}
	return words
}

// ParseEnterprise returns the private enterprise number that a number or a word
// stands for. The word may have blanks, hyphens and, at its end, PEN, in any case:
// ciscoPEN, Palo-Alto.
func ParseEnterprise(text string) (uint32, bool) {
	if n, err := strconv.ParseUint(text, 10, 32); err == nil {
		return uint32(n), true
	}
	word := strings.NewReplacer(" ", "", "-", "", "_", "").Replace(strings.ToLower(text))
	word = strings.TrimSuffix(word, "pen")
	if word == "iana" {
		return penIANA, true
	}
	for i := range enterprises {
		if enterprises[i].word == word {
			return enterprises[i].number, true
		}
		for _, other := range enterprises[i].others {
			if other == word {
				return enterprises[i].number, true
			}
		}
	}
	return 0, false
}
