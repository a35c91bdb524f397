package client_test

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/lockgate/lockgate/app"
	"github.com/lockgate/lockgate/client"
	"github.com/lockgate/lockgate/gateway/wire"
)

// gateway starts a gateway with an empty lock table in this process and answers
// a client of it. stop ends it and waits.
func gateway() (c *client.Client, stop func()) {
	cfg := app.DefaultConfig()
	cfg.HTTP.Listen = "127.0.0.1:0"
	cfg.Backend.URL = "memory:"
	logger, level := app.NewLogger(io.Discard, cfg.Log)
	ctx, cancel := context.WithCancel(context.Background())
	a, err := app.New(ctx, cfg, app.Options{Logger: logger, Level: level, Build: wire.Build{Version: "test"}})
	if err != nil {
		cancel()
		fmt.Println("the gateway does not start:", err)
		return &client.Client{}, cancel
	}
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	transport := &http.Transport{}
	stop = func() {
		transport.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			fmt.Println("the gateway ended:", err)
		}
	}
	<-a.Ready()
	c, err = client.New(client.Config{URL: a.URL(), HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		fmt.Println(err)
	}
	return c, stop
}
