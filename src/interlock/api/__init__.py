"""The HTTP API: people start, watch and decide runs. docs/reference/api.md states it."""
