//go:build !unix

package input

import (
	"errors"
	"os"
)

// atOnce changes nothing where no file can make its opener wait.
const atOnce = 0

func mapFile(*os.File, int64, int) ([]byte, error) { return nil, errors.ErrUnsupported }

func unmapFile([]byte) error { return nil }
