package main

import (
	_ "embed"
	"net/http"
)

// openAPIDocument describes every route.
//
//go:embed openapi.yaml
var openAPIDocument []byte

func openAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	w.WriteHeader(http.StatusOK)
	w.Write(openAPIDocument) // the client's failure to read is the client's to notice
}
