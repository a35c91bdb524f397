package replay_test

import (
	"bytes"
	"io/fs"
	"iter"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/policies"
	"github.com/lockgate/lockgate/policy"
	"github.com/lockgate/lockgate/policy/logbook"
	"github.com/lockgate/lockgate/policy/replay"
)

// One decision of a log, read and decided again with the policies that ship:
// run with -benchtime 100000x.
func BenchmarkRun(b *testing.B) {
	folder := fstest.MapFS{}
	for _, dir := range []string{"lockgate", "facts"} {
		require.NoError(b, fs.WalkDir(policies.Files(), dir, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := fs.ReadFile(policies.Files(), name)
			folder[name] = &fstest.MapFile{Data: text}
			return err
		}))
	}
	cfg := policy.DefaultConfig()
	cfg.Budget = time.Minute
	c, err := policy.NewCandidate(b.Context(), folder, cfg)
	require.NoError(b, err)
	line := journal(b)
	line = line[:bytes.IndexByte(line, '\n')+1]
	b.ResetTimer()
	r, err := replay.Run(b.Context(), repeated(line, b.N), time.Time{}, c)
	require.NoError(b, err)
	require.Equal(b, b.N, r.Decisions)
}

// repeated reads a line again and again.
func repeated(line []byte, n int) iter.Seq2[*logbook.Entry, error] {
	return func(yield func(*logbook.Entry, error) bool) {
		for range n {
			for e, err := range logbook.Read(bytes.NewReader(line)) {
				if !yield(e, err) {
					return
				}
			}
		}
	}
}
