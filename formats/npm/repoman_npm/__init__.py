"""Repositories of npm packages: packuments, tarballs, and what npm, yarn and pnpm publish."""
