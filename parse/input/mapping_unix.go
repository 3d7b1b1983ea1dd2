//go:build unix

package input

import (
	"os"

	"golang.org/x/sys/unix"
)

// atOnce has a file opened without waiting, whatever it has become in the meantime.
const atOnce = unix.O_NONBLOCK

// mapFile maps a part of a file. The offset is a multiple of a page's size.
func mapFile(f *os.File, offset int64, size int) ([]byte, error) {
	return unix.Mmap(int(f.Fd()), offset, size, unix.PROT_READ, unix.MAP_SHARED)
}

func unmapFile(window []byte) error { return unix.Munmap(window) }
