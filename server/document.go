package server

import "vaultpam/edge/httpapi"

// Document is the OpenAPI document of the API, in JSON.
func Document(version string) ([]byte, error) { return httpapi.Document(version) }
