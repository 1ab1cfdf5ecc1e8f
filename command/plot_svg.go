package command

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// An svgCanvas collects the elements of an SVG 1.1 document.
type svgCanvas struct{ b strings.Builder }

// writeSVG writes p as an SVG document that refers to nothing outside itself.
func writeSVG(out io.Writer, p picture) error {
	c := &svgCanvas{}
	width, height := p.size()
	fmt.Fprintf(&c.b, `<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="ui-monospace, Menlo, Consolas, monospace" font-size="15">
<title>%s</title>
`, width, height, width, height, escapeXML(p.heading()))
	p.draw(c)
	c.b.WriteString("</svg>\n")
	_, err := io.WriteString(out, c.b.String())
	return err
}

// escapeXML returns text as character data; characters that XML cannot hold are
// replaced.
func escapeXML(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes everything
	return b.String()
}

func (c *svgCanvas) line(x0, y0, x1, y1 float64, color rgb) {
	fmt.Fprintf(&c.b, `<path d="M%.1f %.1fL%.1f %.1f" stroke="%s" fill="none"/>`+"\n", x0, y0, x1, y1, color)
}

func (c *svgCanvas) box(x, y, width, height float64, color rgb) {
	fmt.Fprintf(&c.b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", x, y, width, height, color)
}

func (c *svgCanvas) band(xs, high, low []float64, color rgb) {
	fmt.Fprintf(&c.b, `<path fill="%s" d="M%.1f %.1f`, color, xs[0], high[0])
	for i := range high {
		fmt.Fprintf(&c.b, "V%.1fH%.1f", high[i], xs[i+1])
	}
	for i := len(low) - 1; i >= 0; i-- {
		fmt.Fprintf(&c.b, "V%.1fH%.1f", low[i], xs[i])
	}
	c.b.WriteString("Z\"/>\n")
}

func (c *svgCanvas) curve(xs, ys []float64, color rgb) {
	fmt.Fprintf(&c.b, `<path stroke="%s" stroke-width="2" fill="none" d="M%.1f %.1f`, color, xs[0], ys[0])
	for i := range ys {
		fmt.Fprintf(&c.b, "V%.1fH%.1f", ys[i], xs[i+1])
	}
	c.b.WriteString("\"/>\n")
}

func (c *svgCanvas) text(x, y float64, anchor textAnchor, text string, color rgb) {
	if text == "" {
		return
	}
	where := [...]string{anchorStart: "start", anchorMiddle: "middle", anchorEnd: "end"}[anchor]
	fmt.Fprintf(&c.b, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">%s</text>`+"\n", x, y, where, color, escapeXML(text))
}
