package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel"
	"golang.org/x/sync/errgroup"

	"github.com/lockgate/lockgate/app"
)

func newServe() *cobra.Command {
	return addConfigFlags(&cobra.Command{
		Use:   "serve",
		Short: "Run the gateway",
		Long: "Runs the gateway until it is interrupted. Without any configuration it listens on\n" +
			"loopback, keeps its table in lockgate.db and grants everything within limits.\n\n" +
			"A later source wins: defaults, the file, LOCKGATE_HTTP_LISTEN and the like, flags.\n" +
			"SIGHUP reads the configuration again and changes what can change live.",
		Example: "  gateway serve\n  gateway serve --config gate.yaml --log.level debug\n  LOCKGATE_BACKEND_URL=memory: gateway serve",
		Args:    cobra.NoArgs,
		RunE:    serve,
	})
}

func serve(c *cobra.Command, _ []string) error {
	loaded, err := loadConfig(c)
	if err != nil {
		return err
	}
	logger, level := app.NewLogger(c.ErrOrStderr(), loaded.Config.Log)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		logger.Warn("tracing", slog.String("error", err.Error()))
	}))
	gate, err := app.New(c.Context(), loaded.Config, app.Options{Logger: logger, Level: level, Build: build()})
	if err != nil {
		return loaded.Explain(err)
	}
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)

	var g errgroup.Group
	g.Go(func() error {
		defer cancel()
		return gate.Run(ctx)
	})
	g.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-gate.Ready():
		}
		return greet(c.OutOrStdout(), gate.URL(), &loaded.Config)
	})
	g.Go(func() error {
		reloads(ctx, hangups, func() { reload(ctx, c, gate, logger) })
		return nil
	})
	return g.Wait()
}

// reloads calls reload for every hangup until ctx ends.
func reloads(ctx context.Context, hangups <-chan os.Signal, reload func()) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			reload()
		}
	}
}

// reload keeps the running configuration when the new one is faulty.
func reload(ctx context.Context, c *cobra.Command, gate *app.App, logger *slog.Logger) {
	loaded, err := loadConfig(c)
	if err != nil {
		logger.ErrorContext(ctx, "configuration refused, the running one stays", slog.String("error", err.Error()))
		return
	}
	restart := gate.Reload(loaded.Config)
	if len(restart) > 0 {
		logger.WarnContext(ctx, "configuration read again, some keys need a restart", slog.String("keys", strings.Join(restart, ", ")))
		return
	}
	logger.InfoContext(ctx, "configuration read again")
}

// credential is what curl has to show of its caller.
func credential(cfg *app.Config) string {
	switch {
	case cfg.Auth.TokensFile != "" || cfg.Auth.JWT.JWKSURL != "":
		return ` -H "Authorization: Bearer $LOCKGATE_TOKEN"`
	case cfg.HTTP.TLS.ClientCAFile != "":
		return " --cert client.crt --key client.key"
	}
	return ""
}

// greet tells who started the gateway what there is and what to try.
func greet(w io.Writer, url string, cfg *app.Config) error {
	policies := "profile " + cfg.Policy.Profile
	if cfg.Policy.Dir != "" {
		policies = cfg.Policy.Dir
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Lockgate %s\n\n  address   %s\n  store     %s\n  policies  %s\n", build().Version, url, cfg.Backend.URL, policies)
	if open := cfg.Unsecured(); len(open) > 0 {
		fmt.Fprintf(&b, "\nNot secured:\n  - %s\n", strings.Join(open, "\n  - "))
	}
	fmt.Fprintf(&b, "\nTry:\n  curl -s%s %s/v1/locks -H 'Content-Type: application/json' \\\n    -d '{\"resources\": [\"acme/infra/vpc/default/\"], \"owner\": \"me\", \"ttl\": \"60s\"}'\n\n", credential(cfg), url)
	_, err := io.WriteString(w, b.String())
	return err
}
