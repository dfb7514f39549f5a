// Prints how the built-in kinds look on the wire in protobuf, as `data/wire.txt`.
//
// usage, in a Go module that requires k8s.io/kubernetes (crates/testkit/real):
//
//	go run ../../kube-api/examples/wire/main.go > ../../kube-api/data/wire.txt
//
// One line per type: its name, then its fields as `number:name:kind:flags`. Kinds: s text, b bytes, i integer,
// t boolean, f float, and the name of another type. Flags: r repeated, m map with text keys, p pointer,
// o omitted when empty (which a structure never is), z omitted when zero, n members of the parent. Lines that begin with `=` give the type of a kind.
package main

import (
	"fmt"
	"os"
	"reflect"
	"sort"
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

var seen = map[reflect.Type]bool{}
var lines []string

func name(t reflect.Type) string {
	return strings.TrimPrefix(t.PkgPath(), "k8s.io/") + "." + t.Name()
}

func kind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "s"
	case reflect.Bool:
		return "t"
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint32, reflect.Uint64, reflect.Uint8:
		return "i"
	case reflect.Float32, reflect.Float64:
		return "f"
	case reflect.Struct:
		walk(t)
		return name(t)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "b"
		}
		// A named list is a message with one repeated field.
		if t.Name() != "" {
			walk(t)
			return name(t)
		}
	}
	panic("no kind for " + t.String())
}

func walk(t reflect.Type) {
	if seen[t] {
		return
	}
	seen[t] = true
	if t.Kind() == reflect.Slice {
		lines = append(lines, name(t)+" 1::"+kind(t.Elem())+":r")
		return
	}
	var fields []string
	for i := 0; i < t.NumField(); i++ {
		f := t.Field(i)
		tag := f.Tag.Get("protobuf")
		if tag == "" || tag == "-" {
			continue
		}
		number := strings.Split(tag, ",")[1]
		json := strings.Split(f.Tag.Get("json"), ",")
		flags := ""
		ft := f.Type
		if ft.Kind() == reflect.Pointer {
			flags += "p"
			ft = ft.Elem()
		}
		k := ""
		switch {
		case ft.Kind() == reflect.Map:
			flags += "m"
			k = kind(ft.Elem())
		case ft.Kind() == reflect.Slice && ft.Elem().Kind() == reflect.Uint8:
			k = "b"
		case ft.Kind() == reflect.Slice:
			flags += "r"
			e := ft.Elem()
			if e.Kind() == reflect.Pointer {
				e = e.Elem()
			}
			k = kind(e)
		default:
			k = kind(ft)
		}
		for _, option := range json[1:] {
			if option == "omitempty" {
				flags += "o"
			}
			if option == "omitzero" {
				flags += "z"
			}
			if option == "inline" {
				flags += "n"
			}
		}
		if json[0] == "" && !strings.Contains(flags, "n") {
			flags += "n"
		}
		fields = append(fields, fmt.Sprintf("%s:%s:%s:%s", number, json[0], k, flags))
	}
	lines = append(lines, name(t)+" "+strings.Join(fields, " "))
}

func main() {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, apiextensions.AddToScheme, apiregistration.AddToScheme} {
		if err := add(s); err != nil {
			panic(err)
		}
	}
	for gvk, t := range s.AllKnownTypes() {
		if gvk.Version != "v1" && gvk.Version != "v2" || strings.HasSuffix(gvk.Kind, "List") || gvk.Group == "" && strings.HasPrefix(t.PkgPath(), "k8s.io/apimachinery") {
			continue
		}
		if strings.HasPrefix(t.PkgPath(), "k8s.io/apimachinery") {
			continue
		}
		walk(t)
		lines = append(lines, "="+gvk.GroupVersion().String()+"/"+gvk.Kind+" "+name(t))
	}
	for gvk, t := range s.AllKnownTypes() {
		if gvk.Kind == "DeleteOptions" && gvk.Group == "apps" && gvk.Version == "v1" {
			walk(t)
		}
	}
	sort.Strings(lines)
	fmt.Fprintln(os.Stdout, strings.Join(lines, "\n"))
}
