package services

import "testing"

// Arm64 lets this machine run programs for linux/arm64 until the test ends.
func Arm64(t testing.TB) {
	t.Helper()
	t.Cleanup(func() { script(t, "arm64.sh", "stop") })
	script(t, "arm64.sh", "start")
}
