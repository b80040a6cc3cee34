// Renders a Helm chart without dependencies as `helm template` does: Go templates with the functions
// of sprig and those of Helm that the chart uses. scripts/chart-test runs it where helm is not
// installed. It needs Go 1.19, sprig 3 and yaml.v3, as Debian 12 packages them.
//
//	render CHART [VALUES...]
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"gopkg.in/yaml.v3"
)

// values are untyped YAML with the types of JSON, so that numbers are float64, as in Helm.
type values = map[string]interface{}

// chartFiles is the `.Files` of the templates.
type chartFiles struct{ dir string }

// Get returns the content of a file of the chart, or nothing if it does not exist.
func (files chartFiles) Get(name string) string {
	content, err := os.ReadFile(filepath.Join(files.dir, name))
	if err != nil {
		return ""
	}
	return string(content)
}

func readYAML(path string) (values, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var parsed values
	if err := yaml.Unmarshal(text, &parsed); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	encoded, err := json.Marshal(parsed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	typed := values{}
	return typed, json.Unmarshal(encoded, &typed)
}

// merge overrides base with the values of over. Maps merge, everything else is replaced.
func merge(base, over values) {
	for key, value := range over {
		overMap, isMap := value.(values)
		baseMap, wasMap := base[key].(values)
		if isMap && wasMap {
			merge(baseMap, overMap)
		} else {
			base[key] = value
		}
	}
}

func functions(set *template.Template) template.FuncMap {
	functions := template.FuncMap(sprig.TxtFuncMap())
	functions["include"] = func(name string, data interface{}) (string, error) {
		var text bytes.Buffer
		err := set.ExecuteTemplate(&text, name, data)
		return text.String(), err
	}
	functions["toYaml"] = func(value interface{}) (string, error) {
		text, err := yaml.Marshal(value)
		return strings.TrimSuffix(string(text), "\n"), err
	}
	functions["required"] = func(message string, value interface{}) (interface{}, error) {
		if value == nil || value == "" {
			return nil, fmt.Errorf("%s", message)
		}
		return value, nil
	}
	// Helm removes these, because the result of a rendering must not depend on its machine.
	for _, name := range []string{"env", "expandenv"} {
		delete(functions, name)
	}
	return functions
}

// chartObject returns the `.Chart` of the templates, whose fields begin with capital letters.
func chartObject(dir string) (values, error) {
	parsed, err := readYAML(filepath.Join(dir, "Chart.yaml"))
	object := values{}
	for key, value := range parsed {
		object[strings.ToUpper(key[:1])+key[1:]] = value
	}
	return object, err
}

func render(dir string, overrides []string) error {
	all, err := readYAML(filepath.Join(dir, "values.yaml"))
	if err != nil {
		return err
	}
	for _, path := range overrides {
		over, err := readYAML(path)
		if err != nil {
			return err
		}
		merge(all, over)
	}
	chart, err := chartObject(dir)
	if err != nil {
		return err
	}
	paths, err := filepath.Glob(filepath.Join(dir, "templates", "*"))
	if err != nil || len(paths) == 0 {
		return fmt.Errorf("%s has no templates: %v", dir, err)
	}
	set := template.New("chart").Option("missingkey=zero")
	set.Funcs(functions(set))
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if _, err := set.New(filepath.Base(path)).Parse(string(text)); err != nil {
			return err
		}
	}
	data := values{
		"Values":  all,
		"Chart":   chart,
		"Files":   chartFiles{dir},
		"Release": values{"Name": "hearth", "Namespace": "browsers", "Service": "Helm"},
	}
	for _, path := range paths {
		name := filepath.Base(path)
		if strings.HasSuffix(name, ".tpl") {
			continue
		}
		var text bytes.Buffer
		if err := set.ExecuteTemplate(&text, name, data); err != nil {
			return err
		}
		if name == "NOTES.txt" || strings.TrimSpace(text.String()) == "" {
			continue
		}
		fmt.Printf("---\n# Source: hearth/templates/%s\n%s\n", name, text.String())
	}
	return nil
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: render CHART [VALUES...]")
		os.Exit(2)
	}
	if err := render(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
}
