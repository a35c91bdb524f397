package settings

import "github.com/spf13/pflag"

// AddFlags adds one flag a key of the struct that defaults points to, named as
// in the file: --http.listen. Help says by path what a key is.
func AddFlags(fs *pflag.FlagSet, defaults any, help map[string]string) error {
	for _, k := range keys(defaults) {
		text, err := k.text()
		if err != nil {
			return err
		}
		if k.isEmpty() {
			text = ""
		}
		f := fs.VarPF(&flagValue{text: text, kind: k.kind()}, k.Path, "", help[k.Path])
		if k.kind() == "bool" {
			f.NoOptDefVal = "true"
		}
	}
	return nil
}

// flagValue keeps the text as it was written; Load reads it with the others.
type flagValue struct {
	text, kind string
}

func (v *flagValue) Set(text string) error {
	v.text = text
	return nil
}

func (v *flagValue) String() string { return v.text }

func (v *flagValue) Type() string { return v.kind }

// changedFlag answers the flags of AddFlags that were given.
func changedFlag(f *pflag.Flag) (string, any) {
	if _, ok := f.Value.(*flagValue); !ok || !f.Changed {
		return "", nil
	}
	return f.Name, f.Value.String()
}
