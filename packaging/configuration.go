// Package packaging has what an installed weir comes with: the default
// configuration, the unit of systemd, and what makes a Debian package of them.
// "make package" runs ./build here.
package packaging

import _ "embed"

// Configuration is the default configuration file, with every key and its
// default in comments. The manual page weir.yaml(5) is made of it.
//
//go:embed weir.yaml
var Configuration string
