"""Fixes one issue in a source tree and proposes the change."""

from interlock import agent

fixer = agent(
    "fixer",
    prompt="fixer.md",
    tools=["search_code", "read_file", "edit_file", "run_tests", "open_pull_request", "request_permission"],
    max_steps=40,
    max_tokens=400_000,
)
