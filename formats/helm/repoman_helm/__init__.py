"""Repositories of Helm charts: the index, archives, provenance, and uploads as of ChartMuseum."""
