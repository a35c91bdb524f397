package settings_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/app/settings"
)

type level int

func (l *level) UnmarshalText(text []byte) error {
	switch string(text) {
	case "low":
		*l = 1
	case "high":
		*l = 2
	default:
		return errors.New("must be low or high")
	}
	return nil
}

func (l level) MarshalText() ([]byte, error) {
	return []byte(map[level]string{0: "", 1: "low", 2: "high"}[l]), nil
}

type config struct {
	HTTP struct {
		Listen string        `yaml:"listen"`
		Grace  time.Duration `yaml:"shutdown_grace"`
		TLS    struct {
			Cert string `yaml:"cert_file"`
		} `yaml:"tls"`
	} `yaml:"http"`
	RateLimit struct {
		Burst int     `yaml:"burst"`
		Share float64 `yaml:"share"`
	} `yaml:"rate_limit"`
	Policy struct {
		Level    level            `yaml:"level"`
		Strict   bool             `yaml:"strict"`
		MayGrant []string         `yaml:"may_grant"`
		Modes    map[string]level `yaml:"modes"`
	} `yaml:"policy"`
	Backend struct {
		URL string `yaml:"url"`
	} `yaml:"backend"`
	Unset int `yaml:"-"`
}

func defaults() config {
	var c config
	c.HTTP.Listen, c.HTTP.Grace = "127.0.0.1:7480", 20*time.Second
	c.RateLimit.Burst, c.RateLimit.Share = 2000, 0.5
	c.Policy.Level, c.Policy.Modes = 1, map[string]level{"a": 1}
	c.Backend.URL = "file:lockgate.db"
	return c
}

// load runs Load on a file of that text in an empty folder.
func load(t *testing.T, file string, env []string, flags ...string) (*settings.Loaded[config], error) {
	t.Helper()
	t.Chdir(t.TempDir())
	src := settings.Sources{Prefix: "LOCKGATE_", Env: env, Flags: pflag.NewFlagSet("test", pflag.ContinueOnError)}
	if file != "" {
		src.File = "gate.yaml"
		require.NoError(t, os.WriteFile(src.File, []byte(file), 0o600))
	}
	d := defaults()
	src.Flags.Bool("verbose", false, "no setting")
	require.NoError(t, settings.AddFlags(src.Flags, &d, nil))
	require.NoError(t, src.Flags.Parse(flags))
	return settings.Load(d, src)
}

func TestLoad_laterLayersWin(t *testing.T) {
	l, err := load(t, `
http:
  listen: 127.0.0.1:1
  shutdown_grace: 1s
  tls: {cert_file: a.pem}
rate_limit: {burst: 1}
policy: {level: high, modes: {b: high}, may_grant: [x]}
`,
		[]string{
			"LOCKGATE_HTTP_SHUTDOWN_GRACE=2s", "LOCKGATE_RATE_LIMIT_BURST=2", "LOCKGATE_POLICY_MAY_GRANT=org,team", "LOCKGATE_POLICY_STRICT=true",
			"LOCKGATE_PORT=tcp://10.0.0.1:80", "LOCKGATE_RATE_LIMIT_SHARE=", "LOCKGATE_CONFIG=gate.yaml", "PATH=/bin",
		},
		"--rate_limit.burst=3", "--policy.modes=c: low", "--verbose",
	)
	require.NoError(t, err)

	want := defaults()
	want.HTTP.Listen, want.HTTP.Grace, want.HTTP.TLS.Cert = "127.0.0.1:1", 2*time.Second, "a.pem"
	want.RateLimit.Burst = 3
	want.Policy.Level, want.Policy.Strict = 2, true
	want.Policy.MayGrant = []string{"org", "team"}
	want.Policy.Modes = map[string]level{"c": 1}
	require.Empty(t, cmp.Diff(want, l.Config))

	var out strings.Builder
	require.NoError(t, l.Print(&out))
	require.Equal(t, `http.listen          127.0.0.1:1       gate.yaml
http.shutdown_grace  2s                LOCKGATE_HTTP_SHUTDOWN_GRACE
http.tls.cert_file   a.pem             gate.yaml
rate_limit.burst     3                 --rate_limit.burst
rate_limit.share     0.5               default
policy.level         high              gate.yaml
policy.strict        true              LOCKGATE_POLICY_STRICT
policy.may_grant     [org, team]       LOCKGATE_POLICY_MAY_GRANT
policy.modes         {c: low}          --policy.modes
backend.url          file:lockgate.db  default
`, out.String())
}

func TestLoad_mapInTheFileReplacesTheDefault(t *testing.T) {
	l, err := load(t, "policy: {modes: {b: high}}", nil)
	require.NoError(t, err)
	require.Equal(t, map[string]level{"b": 2}, l.Config.Policy.Modes)
}

func TestLoad_nothingIsTheDefaults(t *testing.T) {
	for name, file := range map[string]string{"no file": "", "comment": "# nothing\n", "null block": "http:\n", "null": "~\n"} {
		t.Run(name, func(t *testing.T) {
			l, err := load(t, file, nil)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(defaults(), l.Config))
		})
	}
}

func TestLoad_faultsNameTheirPlace(t *testing.T) {
	for name, tc := range map[string]struct {
		file  string
		env   []string
		flags []string
		want  string
	}{
		"unknown key": {
			file: "http:\n  listen: a:1\n  shutdown_grce: 10s\n",
			want: `gate.yaml:3:3: unknown field "shutdown_grce"
   1 | http:
   2 |   listen: a:1
>  3 |   shutdown_grce: 10s
         ^`,
		},
		"duration": {
			file: "http:\n  shutdown_grace: 10\n",
			want: "gate.yaml:2:19:",
		},
		"text": {
			file: "policy:\n  level: middle\n",
			want: "gate.yaml:2:10: policy.level: must be low or high\n   1 | policy:\n>  2 |   level: middle\n                ^",
		},
		"type":       {file: "rate_limit: {burst: many}", want: "gate.yaml:1:21:"},
		"duplicate":  {file: "http: {}\nhttp: {}\n", want: "gate.yaml:2:1:"},
		"syntax":     {file: "http: {listen: ", want: "gate.yaml:1:"},
		"documents":  {file: "http: {}\n---\nhttp: {}\n", want: "gate.yaml: a configuration is one YAML document"},
		"variable":   {env: []string{"LOCKGATE_RATE_LIMIT_BURST=many"}, want: "LOCKGATE_RATE_LIMIT_BURST: must be of type int"},
		"no setting": {env: []string{"LOCKGATE_HTTP_LISTN=:1"}, want: "LOCKGATE_HTTP_LISTN: there is no such setting"},
		"flags": {
			env:   []string{"LOCKGATE_POLICY_LEVEL=x"},
			flags: []string{"--http.shutdown_grace=1", "--policy.level=y", "--policy.modes=[", "--policy.strict=perhaps"},
			want: `--http.shutdown_grace: must be a duration such as 500ms, 30s or 24h
--policy.level: must be low or high
--policy.modes: must be a map such as a: 1, b: 2
--policy.strict: must be of type bool
LOCKGATE_POLICY_LEVEL: must be low or high`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, tc.file, tc.env, tc.flags...)
			require.Error(t, err)
			require.Truef(t, strings.HasPrefix(err.Error(), tc.want), "got:\n%s\nwant:\n%s", err, tc.want)
		})
	}
}

func TestLoad_fileThatIsNotThere(t *testing.T) {
	_, err := settings.Load(defaults(), settings.Sources{File: filepath.Join(t.TempDir(), "gate.yaml")})
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "gate.yaml")
}

func TestExplain_locatesFaultsByTheLayerThatWon(t *testing.T) {
	l, err := load(t, "# ours\nrate_limit:\n  burst: -1 # none\nhttp: {listen: nonsense}\n", []string{"LOCKGATE_HTTP_LISTEN=worse", "LOCKGATE_POLICY_STRICT=true"}, "--policy.strict=false")
	require.NoError(t, err)
	got := l.Explain(errors.Join(
		&settings.FaultError{Path: "rate_limit.burst", Message: "must be at least 1"},
		errors.Join(&settings.FaultError{Path: "http.listen", Message: "is no address"}, &settings.FaultError{Path: "policy.strict", Message: "must be true"}),
		&settings.FaultError{Path: "backend.url", Message: "is unknown"},
		fmt.Errorf("disk: %w", os.ErrPermission),
	))
	require.EqualError(t, got, `gate.yaml:3:10: rate_limit.burst: must be at least 1
   1 | # ours
   2 | rate_limit:
>  3 |   burst: -1 # none
                ^
   4 | http: {listen: nonsense}
LOCKGATE_HTTP_LISTEN: is no address
--policy.strict: must be true
backend.url: is unknown
disk: permission denied`)
	require.ErrorIs(t, got, os.ErrPermission)
	require.NoError(t, l.Explain(nil))
}

func TestPrint_hidesPasswords(t *testing.T) {
	l, err := load(t, "", []string{"LOCKGATE_BACKEND_URL=redis://app:hunter2@cache:6379/0"})
	require.NoError(t, err)
	var out strings.Builder
	require.NoError(t, l.Print(&out))
	require.Contains(t, out.String(), "redis://app:xxxxx@cache:6379/0")
	require.NotContains(t, out.String(), "hunter2")
}

func TestSchema_isOfTheSameKeys(t *testing.T) {
	d := defaults()
	schema, err := settings.Schema(&d, "Gate", map[string]string{"http.listen": "where to listen"})
	require.NoError(t, err)
	want, err := os.ReadFile(filepath.Join("testdata", "schema.json"))
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(schema))
}

func TestAddFlags_showsHelpTypeAndDefault(t *testing.T) {
	d := defaults()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	require.NoError(t, settings.AddFlags(fs, &d, map[string]string{"http.shutdown_grace": "how long calls may take"}))
	require.Contains(t, fs.FlagUsages(), "--http.shutdown_grace duration   how long calls may take (default 20s)\n")
	require.Contains(t, fs.FlagUsages(), "--policy.may_grant list          \n")
}

func TestDifferences_namesKeys(t *testing.T) {
	a, b := defaults(), defaults()
	require.Empty(t, settings.Differences(&a, &b))
	b.HTTP.TLS.Cert, b.Policy.Modes = "x", map[string]level{"a": 2}
	require.Equal(t, []string{"http.tls.cert_file", "policy.modes"}, settings.Differences(&a, &b))
}

func TestPrint_writesDurationsShort(t *testing.T) {
	for text, want := range map[string]string{
		"0s": "0s", "20s": "20s", "60s": "1m", "90s": "1m30s", "24h": "24h", "1h30m": "1h30m", "3610s": "1h0m10s", "100ms": "100ms", "10m": "10m",
	} {
		l, err := load(t, "", nil, "--http.shutdown_grace="+text)
		require.NoError(t, err)
		var out strings.Builder
		require.NoError(t, l.Print(&out))
		require.Regexp(t, `http.shutdown_grace +`+want+` +--http`, out.String())
	}
}
