package terraform

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/lockgate/lockgate/core/lock"
)

// queued answers 423 to a caller that has a place in the queue.
func (d *Door) queued(c echo.Context, s state, own *lock.Lock) error {
	blocker, err := d.blockerOf(c, s, own)
	if err != nil {
		return err
	}
	return refuse(c, blocker, fmt.Sprintf("you are number %d in the queue and keep that place if you try again, as -lock-timeout does", own.Position))
}

// unplaced answers 423 to a caller that has none, because of err.
func (d *Door) unplaced(c echo.Context, s state, own *lock.Lock, err error) error {
	blocker, ferr := d.blockerOf(c, s, own)
	if ferr != nil {
		return ferr
	}
	return refuse(c, blocker, "you are not in the queue: "+err.Error())
}

// refuse answers 423 with the LockInfo of who is in the way. Terraform prints
// only its ID, OpenTofu all of it, so Info also says what the gateway knows.
func refuse(c echo.Context, blocker *lock.Lock, note string) error {
	info := infoOf(blocker)
	notes := make([]string, 0, 3)
	if info.Info != "" {
		notes = append(notes, info.Info)
	}
	if blocker.State != 0 {
		notes = append(notes, fmt.Sprintf("%s by %s since %s", blocker.State, blocker.Owner, since(blocker).UTC().Format(time.RFC3339)))
	}
	info.Info = strings.Join(append(notes, note), "; ")
	return c.JSON(http.StatusLocked, info)
}

// blockerOf finds whom a request waits for: the first that blocks it, else
// whoever holds the state, else the request itself.
func (d *Door) blockerOf(c echo.Context, s state, own *lock.Lock) (*lock.Lock, error) {
	holders, err := d.holders(c.Request().Context(), s)
	if err != nil {
		return nil, err
	}
	if len(own.BlockedBy) == 0 {
		if len(holders) > 0 {
			return &holders[0], nil
		}
		return own, nil
	}
	first := own.BlockedBy[0]
	for i := range holders {
		if holders[i].ID == first.ID {
			return &holders[i], nil
		}
	}
	return &lock.Lock{
		ID: first.ID, Owner: first.Owner, State: first.State, RequestedAt: first.Since,
		Resources: []lock.Resource{{Key: first.Resource}},
	}, nil
}
