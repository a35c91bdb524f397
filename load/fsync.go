package load

import (
	"fmt"
	"os"
	"time"
)

// Fsyncs measures how often a second a small append to a file in a folder can
// be made durable, one after the other: the floor of a store that syncs each
// transition by itself.
func Fsyncs(dir string, d time.Duration) (float64, error) {
	f, err := os.CreateTemp(dir, "lockgate-fsync-floor-*")
	if err != nil {
		return 0, fmt.Errorf("measure fsync: %w", err)
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}()
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
