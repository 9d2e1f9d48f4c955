"""Git adapter: bare repositories, safe YAML, commit messages, smart HTTP, kustomize and schema checks."""
