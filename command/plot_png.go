package command

import (
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
)

// A pngCanvas draws into an image with whole pixels and the bitmap font.
type pngCanvas struct{ img *image.RGBA }

// writePNG writes p as a PNG picture.
func writePNG(out io.Writer, p picture) error {
	width, height := p.size()
	c := &pngCanvas{image.NewRGBA(image.Rect(0, 0, width, height))}
	p.draw(c)
	return png.Encode(out, c.img)
}

// fill colours the pixels from x0, y0 to before x1, y1.
func (c *pngCanvas) fill(x0, y0, x1, y1 int, col rgb) {
	area := image.Rect(x0, y0, x1, y1).Intersect(c.img.Bounds())
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			c.img.SetRGBA(x, y, color.RGBA{col.r, col.g, col.b, 0xff})
		}
	}
}

func pixel(v float64) int { return int(math.Round(v)) }

func (c *pngCanvas) line(x0, y0, x1, y1 float64, col rgb) {
	c.fill(pixel(x0), pixel(y0), max(pixel(x1), pixel(x0)+1), max(pixel(y1), pixel(y0)+1), col)
}

func (c *pngCanvas) box(x, y, width, height float64, col rgb) {
	c.fill(pixel(x), pixel(y), pixel(x+width), pixel(y+height), col)
}

// band draws every step at least a pixel wide, and at least a pixel high where
// its value is not nothing.
func (c *pngCanvas) band(xs, high, low []float64, col rgb) {
	for i := range high {
		if high[i] == low[i] {
			continue
		}
		x, y := pixel(xs[i]), pixel(high[i])
		c.fill(x, y, max(pixel(xs[i+1]), x+1), max(pixel(low[i]), y+1), col)
	}
}

func (c *pngCanvas) curve(xs, ys []float64, col rgb) {
	for i := range ys {
		x, y := pixel(xs[i]), pixel(ys[i])
		c.fill(x, y-1, max(pixel(xs[i+1]), x+1)+1, y+1, col)
		if i > 0 {
			before := pixel(ys[i-1])
			c.fill(x, min(before, y)-1, x+2, max(before, y)+1, col)
		}
	}
}

// text writes text with glyphs of twice the font's size.
func (c *pngCanvas) text(x, y float64, anchor textAnchor, text string, col rgb) {
	const scale = 2
	text = plainText(text)
	width := len(text) * (glyphWidth + 1) * scale
	left, top := pixel(x), pixel(y)-glyphBase*scale
	switch anchor {
	case anchorMiddle:
		left -= width / 2
	case anchorEnd:
		left -= width
	}
	for i := range len(text) {
		glyph := fontGlyphs[text[i]-' ']
		for column := range glyphWidth {
			for row := range 8 {
				if glyph[column]>>row&1 != 0 {
					px, py := left+(i*(glyphWidth+1)+column)*scale, top+row*scale
					c.fill(px, py, px+scale, py+scale, col)
				}
			}
		}
	}
}
