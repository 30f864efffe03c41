//go:build tools

// Package crds names what tools/crds.py runs: CloudNativePG's published types, and the generator that makes their
// CustomResourceDefinitions.
package crds

import (
	_ "github.com/cloudnative-pg/api/pkg/api/v1"
	_ "sigs.k8s.io/controller-tools/cmd/controller-gen"
)
