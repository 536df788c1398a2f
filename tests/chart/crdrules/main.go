// crdrules says what an API server of the oldest supported Kubernetes finds wrong with CustomResourceDefinitions. It is
// that API server's own validation: it refuses rules whose cost it estimates as too high, and older ones estimate more.
package main

import (
	"context"
	"fmt"
	"os"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

func main() {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	wrong := 0
	for _, path := range os.Args[1:] {
		var written v1.CustomResourceDefinition
		text, err := os.ReadFile(path)
		if err == nil {
			err = yaml.UnmarshalStrict(text, &written)
		}
		var read apiextensions.CustomResourceDefinition
		if err == nil {
			scheme.Default(&written)
			err = scheme.Convert(&written, &read, nil)
		}
		if err != nil {
			fmt.Printf("%s: %v\n", path, err)
			os.Exit(2)
		}
		read.Status.StoredVersions = []string{written.Spec.Versions[0].Name}
		for _, found := range validation.ValidateCustomResourceDefinition(context.Background(), &read) {
			fmt.Printf("%s: %v\n", path, found)
			wrong++
		}
	}
	if wrong > 0 {
		os.Exit(1)
	}
}
