//go:build weirdeps

package main

import (
	_ "github.com/RoaringBitmap/roaring/v2"
	_ "github.com/cespare/xxhash/v2"
	_ "github.com/cockroachdb/pebble/v2"
	_ "github.com/gopacket/gopacket/pcapgo"
	_ "github.com/jedib0t/go-pretty/v6/table"
	_ "github.com/klauspost/compress/huff0"
	_ "github.com/klauspost/compress/zstd"
	_ "github.com/netsampler/goflow2/v2/decoders/netflow"
	_ "github.com/netsampler/goflow2/v2/decoders/netflowlegacy"
	_ "github.com/netsampler/goflow2/v2/decoders/sflow"
	_ "github.com/schollz/progressbar/v3"
	_ "github.com/urfave/cli/v2"
	_ "go.yaml.in/yaml/v3"
	_ "golang.org/x/sys/unix"
	_ "golang.org/x/term"
	_ "pgregory.net/rapid"
)
