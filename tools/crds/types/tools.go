//go:build tools

// Package crds names what tools/crds.py runs: the published types of CloudNativePG and of the Prometheus operator, and
// the generator that makes their CustomResourceDefinitions.
package crds

import (
	_ "github.com/cloudnative-pg/api/pkg/api/v1"
	_ "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	_ "sigs.k8s.io/controller-tools/cmd/controller-gen"
)
