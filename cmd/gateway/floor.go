package main

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/spf13/cobra"

	"github.com/lockgate/lockgate/gateway/wire"
)

// newFloor is the server that `bench --floor` compares with.
func newFloor() *cobra.Command {
	var listen string
	c := &cobra.Command{
		Use:    "bench-floor",
		Short:  "Serve the bare handler that bench compares with",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(*cobra.Command, []string) error {
			server := &http.Server{Addr: listen, Handler: floor(), ReadHeaderTimeout: time.Second}
			return server.ListenAndServe()
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "address to serve on")
	return c
}

// floor is a bare Echo handler that decodes the same bodies and answers the same
// JSON as the gateway, and does nothing else.
func floor() http.Handler {
	e := echo.New()
	held := wire.Lock{
		ID: "01M8053W6SY9AS7N5XZWS7BG4Z", State: "held", Namespace: "bench", Subject: "anonymous", Priority: "normal", Value: 400,
		Token: 1795301699801000, BlockedBy: []wire.Blocker{}, Labels: map[string]string{}, Context: json.RawMessage("{}"),
		Decision: wire.DecisionSummary{ID: "01M8053W6SY9AS7N5XZZGE918C", Revision: "39876036fbc1398abc1dc2187717d1e0", Reasons: []wire.Reason{}},
	}
	e.POST("/v1/locks", func(c echo.Context) error {
		var r wire.AcquireRequest
		d := json.NewDecoder(c.Request().Body)
		d.DisallowUnknownFields()
		if err := d.Decode(&r); err != nil {
			return err
		}
		answer := held
		answer.Owner, answer.Resources = r.Owner, r.Resources
		answer.Requested = wire.Time{Time: time.Now()}
		answer.Acquired = answer.Requested
		return c.JSON(http.StatusCreated, &answer)
	})
	e.DELETE("/v1/locks/:id", func(c echo.Context) error {
		answer := held
		answer.ID, answer.State = c.Param("id"), "released"
		answer.Resources = []wire.Resource{{Key: c.QueryParam("token"), Mode: "exclusive"}}
		answer.Requested = wire.Time{Time: time.Now()}
		answer.Acquired, answer.Ended = answer.Requested, answer.Requested
		return c.JSON(http.StatusOK, &answer)
	})
	return e
}
