"""Turns a folder of logs into a report. Reads only."""

from interlock import agent

triage = agent(
    "triage",
    prompt="triage.md",
    tools=["list_logs", "read_log", "write_report", "request_permission"],
    max_steps=60,
    max_tokens=600_000,
)
