package terraform

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/labstack/echo/v4"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/gateway"
)

// Info is Terraform's LockInfo. Members that later versions may add are passed
// over.
type Info struct {
	ID        string // of the lock, chosen by whoever locks; 1 to 128 bytes
	Operation string // such as OperationTypeApply
	Info      string // free text
	Who       string // user@host
	Version   string // of Terraform
	Created   time.Time
	Path      string
}

const (
	maxInfoBytes = 8 << 10
	maxIDBytes   = 128
	bodyTimeout  = 10 * time.Second // for the whole body
)

// errNoBody is a call without LockInfo: terraform force-unlock sends none.
var errNoBody = errors.New("the body is empty: LockInfo is expected")

// readInfo reads the LockInfo of a call, or answers errNoBody.
func readInfo(c echo.Context) (*Info, error) {
	text, err := readBody(c)
	if err != nil {
		return nil, err
	}
	if len(text) == 0 {
		return nil, errNoBody
	}
	return decodeInfo(text)
}

// decodeInfo reads LockInfo: an ID that can be an owner, all other text without
// control characters.
func decodeInfo(text []byte) (*Info, error) {
	info := &Info{}
	if err := json.Unmarshal(text, info); err != nil {
		return nil, lock.Invalid("", "the body is no LockInfo of Terraform: "+err.Error())
	}
	switch fault := info.owner().Fault(); {
	case info.ID == "":
		return nil, lock.Invalid("/ID", "is empty")
	case len(info.ID) > maxIDBytes:
		return nil, lock.Invalid("/ID", "is longer than 128 bytes")
	case fault != "":
		return nil, lock.Invalid("/ID", fault)
	}
	for _, text := range []*string{&info.Operation, &info.Info, &info.Who, &info.Version, &info.Path} {
		*text = gateway.StripUserInfo(printable(*text))
	}
	return info, nil
}

// readBody reads all of a small body. The deadline is for the body alone: the
// connection lives on.
func readBody(c echo.Context) ([]byte, error) {
	r, w := c.Request(), c.Response()
	rc := http.NewResponseController(w)
	if err := rc.SetReadDeadline(time.Now().Add(bodyTimeout)); err == nil {
		defer func() { _ = rc.SetReadDeadline(time.Time{}) }()
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxInfoBytes))
	var tooLarge *http.MaxBytesError
	if err != nil && !errors.As(err, &tooLarge) {
		return nil, lock.Invalid("", "the body broke off")
	}
	return text, err
}

// printable keeps one person's text from driving the terminals of others, where
// OpenTofu prints it.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}

// bare reports whether nothing but an ID was sent: tofu force-unlock does that.
func (i *Info) bare() bool {
	return i.Operation == "" && i.Who == "" && i.Created.IsZero()
}

// ownerKind begins every owner of this door.
const ownerKind = "terraform:"

func (i *Info) owner() lock.Owner { return lock.Owner(ownerKind + i.ID) }

// attached is what goes with a request as its context: for policies and events,
// and for whoever is refused because of it.
type attached struct {
	Command   string `json:"command"`
	Reason    string `json:"reason,omitempty"`
	Who       string `json:"who,omitempty"`
	Terraform Info   `json:"terraform"`
}

func (i *Info) context() (json.RawMessage, error) {
	return json.Marshal(attached{Command: i.command(), Reason: i.Info, Who: i.Who, Terraform: *i})
}

// command is the operation in the words of policies.
func (i *Info) command() string {
	switch operation := i.Operation; {
	case operation == "OperationTypePlan":
		return "plan"
	case operation == "OperationTypeApply":
		return "apply"
	case operation == "import":
		return "import"
	case strings.HasPrefix(operation, "state-"), operation == "taint", operation == "untaint":
		return "state"
	}
	return "other"
}

// infoOf describes a lock or request in Terraform's terms. Its ID is what
// force-unlock takes: Terraform's own, or the lock's when something else made it.
func infoOf(l *lock.Lock) Info {
	id, ours := strings.CutPrefix(string(l.Owner), ownerKind)
	var kept attached
	if ours && json.Unmarshal(l.Context, &kept) == nil && kept.Terraform.ID == id {
		return kept.Terraform
	}
	info := Info{ID: string(l.ID), Who: string(l.Owner), Created: since(l)}
	if ours {
		info.ID = id
	}
	if len(l.Resources) > 0 {
		info.Path = string(l.Resources[0].Key)
	}
	return info
}

// since is when a lock began to be in the way.
func since(l *lock.Lock) time.Time {
	if l.AcquiredAt.IsZero() {
		return l.RequestedAt
	}
	return l.AcquiredAt
}
