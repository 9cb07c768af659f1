"""Hand in a report."""

from typing import Annotated, TypedDict

from interlock import artifact, tool

REPORT = "report.md"


class Report(TypedDict):
    artifact: str
    lines: int


@tool(action="report", resource="artifact:report.md", idempotent=True, sentence="Write the report {title}")
def write_report(
    title: Annotated[str, "One line."],
    body: Annotated[str, "The report in Markdown, without the title."],
) -> Report:
    """Write the report of this run, as the artifact report.md. A second report replaces the first."""
    if not title.strip() or "\n" in title:
        raise ValueError("title must be one line that is not empty")
    if not body.strip():
        raise ValueError("body is empty: a report says something")
    text = f"# {title.strip()}\n\n{body.strip()}\n"
    return Report(artifact=artifact(REPORT, text), lines=text.count("\n"))
