// Command baseline does what a program does that only uses the library, for comparison:
//
//	baseline junit FILE    parses a results.xml with go-junit
//	baseline decode FILE   unpacks a .gz or .zst file with klauspost/compress and drops the text
package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/joshdk/go-junit"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "baseline:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("write junit or decode, and a file")
	}
	if args[0] == "junit" {
		suites, err := junit.IngestFile(args[1])
		fmt.Println(len(suites))
		return err
	}
	file, err := os.Open(args[1])
	if err != nil {
		return err
	}
	defer file.Close()
	var text io.Reader
	if strings.HasSuffix(args[1], ".gz") {
		text, err = gzip.NewReader(file)
	} else {
		text, err = zstd.NewReader(file, zstd.WithDecoderConcurrency(1))
	}
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, text)
	fmt.Println(n)
	return err
}
