"""A card on a terminal, and as plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock.approval.visible import visible_line
from interlock.cli import say
from interlock.cli.file_changes import tell_changes

if TYPE_CHECKING:
    from interlock.approval.card import Card
    from interlock.approval.changes import FileChange

_VERDICTS = {
    "call": "approve, edit or reject",
    "question": "respond or reject",
    "unknown": "approve (run it again), respond (it was done) or reject (it failed)",
    "review": "respond (it was justified) or reject (it was not), each with your findings",
}
_THEN = {"deny": "it is denied", "escalate": "the next stage decides"}


def print_card(card: Card) -> None:
    """Print everything on the card; nothing is cut."""
    say.safe_line(card.sentence, style="bold")
    say.safe_line("")
    _facts(card)
    for warning in card.warnings:
        say.safe_line(f"WARNING: {warning}", style="bold red")
    say.safe_line("")
    say.safe_line("Arguments, exactly:", style="bold")
    for argument in card.arguments:
        if argument.text.startswith("| "):
            say.safe_line(f"  {argument.name}:")
            say.safe_line("\n".join(f"    {text}" for text in argument.text.split("\n")))
        else:
            say.safe_line("\n".join(_indented(f"{argument.name}: {argument.text}")))
    if card.changes is not None:
        _changes(card.changes)


def _indented(text: str) -> list[str]:
    return [f"  {line}" for line in text.split("\n")]


def _facts(card: Card) -> None:
    until = card.expires_at.strftime("%Y-%m-%d %H:%M:%SZ")
    for name, text in (
        ("request", card.request_id),
        ("run", card.run),
        ("agent", f"{card.agent}, for {card.requester}"),
        ("call", f"{card.tool} ({card.call_id})"),
        ("digest", card.call_digest),
        ("rule", card.rule),
        ("why", card.reason),
        ("route", f"{card.route}{_stage(card)}: {card.quorum} of {', '.join(card.approvers)}"),
        ("deadline", f"{until} ({say.left(card.seconds_left)} left; then {_THEN[card.at_deadline]})"),
        ("decide", _decisions(card)),
        *_route(card),
    ):
        say.safe_line(f"{name + ':':<10} {text if name == 'why' else visible_line(text)}")


def _stage(card: Card) -> str:
    return f", stage {card.stage}" if card.stage else ""


def _route(card: Card) -> list[tuple[str, str]]:
    """Its stages, and who else has a say."""
    found = [
        ("stage", f"{one.name}, {one.state}: {one.quorum} of {', '.join(one.approvers)}")
        for one in card.stages
        if len(card.stages) > 1
    ]
    if card.passkey:
        found.append(("passkey", "the decision must be signed with a passkey, in the browser"))
    if card.stand_ins:
        found.append(("stand-ins", ", ".join(card.stand_ins)))
    if card.emergency:
        found.append(("emergency", f"{', '.join(card.emergency)} may approve at once; it is reviewed"))
    return found


def _decisions(card: Card) -> str:
    """What may be decided; of a question that says what it expects, what an answer is."""
    choices, answer = (card.exact_arguments.get(name) for name in ("choices", "answer"))
    if card.kind == "question" and isinstance(choices, list):
        return f"respond with one of {', '.join(map(repr, choices))}; or reject"
    if card.kind == "question" and isinstance(answer, dict):
        return "respond with a JSON object as `answer` says, or reject"
    return _VERDICTS[card.kind]


def _changes(changes: tuple[FileChange, ...]) -> None:
    say.safe_line("")
    if not changes:
        say.safe_line("Changes of files since the run began: none", style="bold")
        return
    say.safe_line(f"Changes of files since the run began: {len(changes)} file(s)", style="bold")
    tell_changes(changes)
