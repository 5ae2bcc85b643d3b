"""The Docker format: private registries that implement the registry API V2, OCI 1.1 and V1."""
