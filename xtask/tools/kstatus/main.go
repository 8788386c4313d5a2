// Prints the kstatus of objects: the status that Argo CD, Flux and other deployers compute from conditions. Objects are read
// from standard input, one YAML or JSON document each; per object one line "STATUS<tab>MESSAGE" is printed. Read by e2e/src/kstatus.rs.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	documents := yaml.NewYAMLOrJSONDecoder(in, 4096)
	for {
		// Read by its own method, which makes whole numbers whole.
		object := &unstructured.Unstructured{}
		if err := documents.Decode(object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		result, err := status.Compute(object)
		if err != nil {
			return err
		}
		message := strings.Join(strings.Fields(result.Message), " ")
		if _, err := fmt.Fprintf(out, "%s\t%s\n", result.Status, message); err != nil {
			return err
		}
	}
}
