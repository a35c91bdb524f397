package settings

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// Sources are the layers over the defaults, the weakest first.
type Sources struct {
	File   string         // path of a YAML file; "" for none
	Prefix string         // of the variables in the environment, such as LOCKGATE_
	Env    []string       // as os.Environ answers
	Flags  *pflag.FlagSet // flags registered with [AddFlags]; nil for none
}

// Loaded is a filled configuration that knows where its values came from.
type Loaded[T any] struct {
	Config T

	src    Sources
	source []byte // of the file
	file   *koanf.Koanf
	env    *koanf.Koanf
	flags  *koanf.Koanf
}

// Load fills a configuration. It answers the first fault of the file, or all
// faults of the environment and the flags joined; it does not validate.
func Load[T any](defaults T, src Sources) (*Loaded[T], error) {
	l := &Loaded[T]{Config: defaults, src: src, file: koanf.New("."), env: koanf.New("."), flags: koanf.New(".")}
	if src.File != "" {
		if err := l.loadFile(); err != nil {
			return nil, err
		}
	}
	all := keys(&l.Config)
	if err := l.env.Load(environment(src, all), nil); err != nil {
		return nil, fmt.Errorf("environment: %w", err)
	}
	if src.Flags != nil {
		if err := l.flags.Load(posflag.ProviderWithFlag(src.Flags, ".", l.flags, changedFlag), nil); err != nil {
			return nil, fmt.Errorf("flags: %w", err)
		}
	}
	return l, l.override(all)
}

func (l *Loaded[T]) loadFile() error {
	source, err := os.ReadFile(l.src.File)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	l.source = source
	if err := decodeFile(l.src.File, source, &l.Config); err != nil {
		return err
	}
	if err := l.file.Load(rawbytes.Provider(source), yaml.Parser()); err != nil {
		return fmt.Errorf("configuration %s: %w", l.src.File, err)
	}
	return nil
}

// override sets what the environment and the flags say, the flags last.
func (l *Loaded[T]) override(all []Key) error {
	var faults []error
	for _, layer := range []*koanf.Koanf{l.env, l.flags} {
		for _, path := range layer.Keys() {
			i := slices.IndexFunc(all, func(k Key) bool { return k.Path == path })
			if i < 0 {
				faults = append(faults, fmt.Errorf("%s: there is no such setting", l.src.Prefix+Key{Path: path}.variable()))
				continue
			}
			if err := all[i].set(layer.String(path)); err != nil {
				faults = append(faults, l.locate(path, err.Error(), layer))
			}
		}
	}
	return joinSorted(faults)
}

// environment reads the variables that belong to a key or to a top-level block.
// An empty one counts as not set.
func environment(src Sources, all []Key) *env.Env {
	paths := map[string]string{}
	blocks := map[string]bool{}
	for _, k := range all {
		paths[k.variable()] = k.Path
		block, _, _ := strings.Cut(k.Path, ".")
		blocks[strings.ToUpper(block)+"_"] = true
	}
	return env.Provider(".", env.Opt{
		Prefix:      src.Prefix,
		EnvironFunc: func() []string { return src.Env },
		TransformFunc: func(name, value string) (string, any) {
			name = strings.TrimPrefix(name, src.Prefix)
			if value == "" {
				return "", nil
			}
			if path, ok := paths[name]; ok {
				return path, value
			}
			for block := range blocks {
				if strings.HasPrefix(name, block) {
					return strings.ToLower(name), value // unknown, override says so
				}
			}
			return "", nil
		},
	})
}

// Origin says where a key's value came from: default, file, a variable or a flag.
func (l *Loaded[T]) Origin(path string) string {
	switch {
	case l.flags.Exists(path):
		return "--" + path
	case l.env.Exists(path):
		return l.src.Prefix + Key{Path: path}.variable()
	case l.file.Exists(path):
		return l.src.File
	default:
		return "default"
	}
}
