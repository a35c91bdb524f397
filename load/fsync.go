package load

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Fsyncs measures how often a second a small append to a file in a folder can
// be made durable, one after the other: the floor of a store that syncs each
// transition by itself.
func Fsyncs(dir string, d time.Duration) (float64, error) {
	path := filepath.Join(dir, "lockgate-fsync-floor")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return 0, fmt.Errorf("measure fsync: %w", err)
	}
	defer os.Remove(path)
	defer f.Close()
	record := make([]byte, 512)
	n, start := 0, time.Now()
	for time.Since(start) < d {
		if _, err := f.Write(record); err != nil {
			return 0, fmt.Errorf("measure fsync: %w", err)
		}
		if err := f.Sync(); err != nil {
			return 0, fmt.Errorf("measure fsync: %w", err)
		}
		n++
	}
	return float64(n) / time.Since(start).Seconds(), nil
}
