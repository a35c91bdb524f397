package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
)

// This file reads the pages of a bbolt file without trusting any of them. bbolt
// itself follows what a page says: a damaged one can make it run in a circle
// until memory ends, or give the same page to two owners. Neither can be caught
// afterwards, so the whole file is walked once before bbolt sees it.
//
// All numbers are in the byte order of the machine. A page is
//
//	0 id(8)  8 flags(2)  10 count(2)  12 overflow(4)  16 elements…
//	branch element: pos(4) ksize(4) child(8)
//	leaf element:   flags(4) pos(4) ksize(4) vsize(4)
//
// where pos counts from the element's own start and overflow is the number of
// further pages that belong to it.

const (
	pageHeader  = 16
	elementSize = 16
	metaSize    = 64

	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10
	bucketFlag   = 0x01

	metaMagic     = 0xED0CDAED
	noFreelist    = -1
	smallestPage  = 1 << 10
	largestPage   = 16 << 20
	longFreelist  = 0xFFFF // the count is then the first id
	bucketValue   = 16     // root page and sequence in front of an inline page
	largestBranch = 64     // levels: more than any file can have
)

// tree is a walk over the pages of one file.
type tree struct {
	meta

	file  io.ReaderAt
	owner []bool // pages that something names
}

type meta struct {
	pageSize             int64
	root, freelist, high int64 // pages; high is the first that is not in use
	txid                 int64
}

// number reads 8 bytes; what is too large for any file is -1, and so is bbolt's
// own sign for "none".
func number(b []byte) int64 {
	n := binary.NativeEndian.Uint64(b)
	if n > math.MaxInt64 {
		return -1
	}
	return int64(n)
}

func short(b []byte) int64 { return int64(binary.NativeEndian.Uint16(b)) }

func word(b []byte) int64 { return int64(binary.NativeEndian.Uint32(b)) }

// inspect answers what is wrong with the structure of a bbolt file of a size: a
// page that nothing or more than one thing names, and everything that bbolt
// would follow out of a page.
func inspect(file io.ReaderAt, size int64) error {
	m, err := newestMeta(file)
	if err != nil {
		return err
	}
	if m.high > size/m.pageSize {
		return fmt.Errorf("it is cut off: %d pages of %d bytes do not fit in %d bytes", m.high, m.pageSize, size)
	}
	t := &tree{meta: m, file: file, owner: make([]bool, m.high)}
	t.owner[0], t.owner[1] = true, true
	if err := t.walk(m.root, span{}, 0); err != nil {
		return err
	}
	if err := t.free(); err != nil {
		return err
	}
	for id, owned := range t.owner {
		if !owned {
			return fmt.Errorf("page %d belongs to nothing", id)
		}
	}
	return nil
}

// newestMeta finds the newest of the two meta pages that is whole. The second
// one starts at the page size, which only a meta page knows.
func newestMeta(file io.ReaderAt) (meta, error) {
	var newest meta
	for offset := int64(0); offset <= largestPage; offset = max(smallestPage, 2*offset) {
		page := make([]byte, pageHeader+metaSize)
		if _, err := file.ReadAt(page, offset); err != nil {
			break
		}
		m, ok := parseMeta(page[pageHeader:])
		if ok && (offset == 0 || offset == m.pageSize) && m.txid >= newest.txid {
			newest = m
		}
	}
	if newest.pageSize == 0 {
		return meta{}, errors.New("it is no bbolt file, or both its meta pages are damaged")
	}
	return newest, nil
}

func parseMeta(b []byte) (meta, bool) {
	sum := fnv.New64a()
	_, _ = sum.Write(b[:56]) // a hash never fails
	m := meta{pageSize: word(b[8:]), root: number(b[16:]), freelist: number(b[32:]), high: number(b[40:]), txid: number(b[48:])}
	ok := word(b) == metaMagic && sum.Sum64() == binary.NativeEndian.Uint64(b[56:]) && m.high > 1 &&
		m.pageSize >= smallestPage && m.pageSize <= largestPage && m.pageSize&(m.pageSize-1) == 0
	return m, ok
}

// span is what the keys of a page must be in: from its low end, below its high
// end; nil is open.
type span struct{ low, high []byte }

func (s span) has(key []byte) bool {
	return bytes.Compare(key, s.low) >= 0 && (s.high == nil || bytes.Compare(key, s.high) < 0)
}

// claim reads a page with its overflow, which nothing else may have named.
func (t *tree) claim(id int64) ([]byte, error) {
	if id < 2 || id >= t.high {
		return nil, fmt.Errorf("page %d is outside of the file's %d pages", id, t.high)
	}
	head := make([]byte, pageHeader)
	if _, err := t.file.ReadAt(head, id*t.pageSize); err != nil {
		return nil, err
	}
	if got := number(head); got != id {
		return nil, fmt.Errorf("page %d says that it is page %d", id, got)
	}
	pages := word(head[12:]) + 1
	if pages > t.high-id {
		return nil, fmt.Errorf("page %d reaches beyond the file's %d pages", id, t.high)
	}
	for i := id; i < id+pages; i++ {
		if t.owner[i] {
			return nil, fmt.Errorf("page %d belongs to two pages", i)
		}
		t.owner[i] = true
	}
	page := make([]byte, pages*t.pageSize)
	_, err := t.file.ReadAt(page, id*t.pageSize)
	return page, err
}

// walk checks a page and everything below it.
func (t *tree) walk(id int64, within span, depth int) error {
	if depth > largestBranch {
		return fmt.Errorf("page %d is %d levels deep", id, depth)
	}
	page, err := t.claim(id)
	if err != nil {
		return err
	}
	switch flags := short(page[8:]); flags {
	case leafPage:
		return t.leaf(page, within, func(value []byte) error { return t.bucket(value, depth) })
	case branchPage:
		return t.branch(page, within, depth)
	default:
		return fmt.Errorf("page %d is neither branch nor leaf (flags %#x)", id, flags)
	}
}

// element is one key of a page with what follows it.
type element struct {
	flags, child int64
	key, value   []byte
}

// kind reads the fixed part of an element: where its key begins, and the lengths
// of key and value.
type kind func(raw []byte, e *element) (pos, key, value int64)

func leafElement(raw []byte, e *element) (pos, key, value int64) {
	e.flags = word(raw)
	return word(raw[4:]), word(raw[8:]), word(raw[12:])
}

func branchElement(raw []byte, e *element) (pos, key, value int64) {
	e.child = number(raw[8:])
	return word(raw), word(raw[4:]), 0
}

// elements reads the elements of a page and checks that their keys ascend within
// a span.
func elements(page []byte, read kind, within span) ([]element, error) {
	count := short(page[10:])
	if pageHeader+count*elementSize > int64(len(page)) {
		return nil, fmt.Errorf("page %d is too short for %d elements", number(page), count)
	}
	list := make([]element, count)
	for i := range list {
		raw, e := page[pageHeader+i*elementSize:], &list[i]
		pos, key, value := read(raw, e)
		if pos+key+value > int64(len(raw)) || key == 0 {
			return nil, fmt.Errorf("element %d of page %d is outside of its page", i, number(page))
		}
		e.key, e.value = raw[pos:pos+key], raw[pos+key:pos+key+value]
		if !within.has(e.key) || (i > 0 && bytes.Compare(list[i-1].key, e.key) >= 0) {
			return nil, fmt.Errorf("the keys of page %d are out of order", number(page))
		}
	}
	return list, nil
}

func (t *tree) branch(page []byte, within span, depth int) error {
	list, err := elements(page, branchElement, within)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fmt.Errorf("branch page %d is empty", number(page))
	}
	for i, e := range list {
		below := span{low: e.key, high: within.high}
		if i+1 < len(list) {
			below.high = list[i+1].key
		}
		if err := t.walk(e.child, below, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// leaf checks a leaf page, and its buckets with the given function.
func (t *tree) leaf(page []byte, within span, bucket func(value []byte) error) error {
	list, err := elements(page, leafElement, within)
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.flags&bucketFlag == 0 {
			continue
		}
		if err := bucket(e.value); err != nil {
			return err
		}
	}
	return nil
}

// bucket checks the pages of a bucket, which a small one carries in its value.
func (t *tree) bucket(value []byte, depth int) error {
	if len(value) < bucketValue {
		return errors.New("the record of a bucket is too short")
	}
	if root := number(value); root != 0 {
		return t.walk(root, span{}, depth+1)
	}
	page := value[bucketValue:]
	if len(page) < pageHeader || short(page[8:]) != leafPage {
		return errors.New("a small bucket has no leaf page")
	}
	return t.leaf(page, span{}, func([]byte) error { return errors.New("a small bucket has a bucket") })
}

// free checks that the pages listed as free are nobody's.
func (t *tree) free() error {
	if t.freelist == noFreelist {
		return errors.New("it has no list of free pages")
	}
	page, err := t.claim(t.freelist)
	if err != nil {
		return err
	}
	if short(page[8:]) != freelistPage {
		return fmt.Errorf("page %d is no list of free pages", t.freelist)
	}
	count, ids := short(page[10:]), page[pageHeader:]
	if count == longFreelist {
		count, ids = number(ids), ids[8:]
	}
	if count < 0 || count > int64(len(ids)/8) {
		return fmt.Errorf("the list of %d free pages is cut off", count)
	}
	for ; count > 0; count-- {
		id := number(ids)
		ids = ids[8:]
		if id < 2 || id >= t.high || t.owner[id] {
			return fmt.Errorf("page %d is listed as free and is not", id)
		}
		t.owner[id] = true
	}
	return nil
}
