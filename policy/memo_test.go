package policy

import (
	"encoding/json"
	"strconv"
	"sync"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestMemo_keepsWhatIsUsedWithinItsBound(t *testing.T) {
	m := newMemo[verdict]()
	hot := &verdict{}
	m.put([]byte("hot"), hot)
	for i := range 3 * memoShards * memoPerShard {
		m.put([]byte(strconv.Itoa(i)), &verdict{})
		require.Same(t, hot, m.get([]byte("hot")))
	}
	require.Equal(t, memoShards*memoPerShard, m.size())
	require.Nil(t, m.get([]byte("0")))
}

func TestMemo_longKeysAreNotKept(t *testing.T) {
	m := newMemo[verdict]()
	m.put(make([]byte, maxMemoKeySize+1), &verdict{})
	require.Zero(t, m.size())
}

func TestHammerMemo(t *testing.T) {
	m := newMemo[verdict]()
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 20_000 {
				key := []byte(strconv.Itoa((i * (w + 1)) % 30_000))
				if got := m.get(key); got != nil && got.Contract != string(key) {
					t.Errorf("%s answered for %s", got.Contract, key)
				}
				m.put(key, &verdict{Contract: string(key)})
			}
		})
	}
	wg.Wait()
}

// Two documents spell the same key only when they are the same document.
func TestKeySink_spellsDifferentDocumentsDifferently(t *testing.T) {
	var document func(depth int) *rapid.Generator[any]
	document = func(depth int) *rapid.Generator[any] {
		return rapid.Custom(func(t *rapid.T) any {
			kinds := 4
			if depth > 0 {
				kinds = 6
			}
			switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
			case 0:
				return nil
			case 1:
				return rapid.Bool().Draw(t, "flag")
			case 2:
				return json.Number(rapid.SampledFrom([]string{"0", "1", "12"}).Draw(t, "number"))
			case 3:
				return rapid.SampledFrom([]string{"", "1", "a", "ab"}).Draw(t, "text")
			case 4:
				return rapid.SliceOfN(document(depth-1), 0, 2).Draw(t, "list")
			}
			return rapid.MapOfN(rapid.SampledFrom([]string{"a", "b"}), document(depth-1), 0, 2).Draw(t, "map")
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := document(2).Draw(t, "a"), document(2).Draw(t, "b")
		ka, kb := &keySink{}, &keySink{}
		ka.document(a)
		kb.document(b)
		va, err := ast.InterfaceToValue(a)
		require.NoError(t, err)
		vb, err := ast.InterfaceToValue(b)
		require.NoError(t, err)
		require.Equal(t, va.Compare(vb) == 0, string(ka.key) == string(kb.key))
	})
}

func TestKeySink_takesOnlyThePartThatIsRead(t *testing.T) {
	key := func(v any, sub ...string) string {
		k := &keySink{sub: sub}
		k.document(v)
		return string(k.key)
	}
	claims := func(level any, serial string) map[string]any {
		return map[string]any{"level": level, "jti": serial}
	}
	require.Equal(t, key(claims("3", "x"), "level"), key(claims("3", "y"), "level"))
	require.NotEqual(t, key(claims("3", "x"), "level"), key(claims("4", "x"), "level"))
	require.NotEqual(t, key(claims(nil, "x"), "level"), key(map[string]any{}, "level"), "null is not absent")
	require.NotEqual(t, key(claims([]any{"a"}, "x"), "level", "0"), key(claims([]any{"b"}, "x"), "level", "0"))

	labels := func(m map[string]string, sub ...string) string {
		k := &keySink{sub: sub}
		k.pairs(m)
		return string(k.key)
	}
	require.Equal(t, labels(map[string]string{"a": "1", "b": "2"}, "a"), labels(map[string]string{"a": "1"}, "a"))
	require.NotEqual(t, labels(map[string]string{"a": ""}, "a"), labels(nil, "a"))
	require.NotEqual(t, labels(map[string]string{"a": "1", "b": "2"}), labels(map[string]string{"a": "1"}))
}
