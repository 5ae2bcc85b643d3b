"""The docker format: private registries that speak the registry API V2, OCI 1.1 and V1."""
