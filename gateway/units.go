package gateway

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ByteSize is a number of bytes, written such as 1MiB or 512KiB.
type ByteSize int64

// UnmarshalText reads a whole number with an optional unit B, KiB, MiB, GiB,
// KB, MB or GB.
func (b *ByteSize) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	digits := strings.TrimRight(s, "BKMGib")
	n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
	unit, known := unitSize(s[len(digits):])
	if err != nil || !known || n < 0 || n > math.MaxInt64/unit {
		return fmt.Errorf("%q is no size such as 512KiB or 1MiB", s)
	}
	*b = ByteSize(n * unit)
	return nil
}

func unitSize(unit string) (int64, bool) {
	switch unit {
	case "", "B":
		return 1, true
	case "KB":
		return 1e3, true
	case "MB":
		return 1e6, true
	case "GB":
		return 1e9, true
	case "KiB":
		return 1 << 10, true
	case "MiB":
		return 1 << 20, true
	case "GiB":
		return 1 << 30, true
	}
	return 1, false
}

func (b ByteSize) String() string {
	for _, unit := range []string{"GiB", "MiB", "KiB"} {
		if size, _ := unitSize(unit); b != 0 && int64(b)%size == 0 {
			return strconv.FormatInt(int64(b)/size, 10) + unit
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}

// MarshalText writes what UnmarshalText reads.
func (b ByteSize) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// Rate is a number of calls a second; 0 is no limit.
type Rate float64

// UnmarshalText reads a number with /s, /m or /h, or "off".
func (r *Rate) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if s == "off" {
		*r = 0
		return nil
	}
	number, unit, _ := strings.Cut(s, "/")
	seconds, known := map[string]float64{"s": 1, "m": 60, "h": 3600}[unit]
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !known || n < 0 || math.IsInf(n, 0) || math.IsNaN(n) {
		return fmt.Errorf("%q is no rate such as 1000/s or 600/m, nor off", s)
	}
	*r = Rate(n / seconds)
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (r Rate) MarshalText() ([]byte, error) {
	if r == 0 {
		return []byte("off"), nil
	}
	if r < 1 {
		return []byte(strconv.FormatFloat(float64(r)*3600, 'g', -1, 64) + "/h"), nil
	}
	return []byte(strconv.FormatFloat(float64(r), 'g', -1, 64) + "/s"), nil
}
