"""One governed run, shown step by step: `make demo`.

Agent `fixer` gets a released package that has a bug, and an issue text. It works in sandboxes, asks a person before
it opens a pull request, and everything it did is replayed from the record. Then one recorded tool result is altered
in a copy of the record, and the replay names it. Exits 1 if anything is not as it says.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final, NoReturn

from demo_support import Interlock, NotAsClaimed, alone, alter_result, claim, copy_database, free_port
from rich.console import Console
from rich.prompt import Confirm
from rich.syntax import Syntax

from interlock.errors import InterlockError
from interlock.project import prepare_sample

ROOT: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = ROOT / ".state" / "demo"
SAMPLE: Final = ROOT / "tests" / "project" / "fix_issue"
REQUESTER: Final = "user:alice"
APPROVER: Final = "user:carol"
RUN_S: Final = 120
"""How long the run may take to its approval, and from there to its end, in seconds."""

console = Console()
ON_TERMINAL: Final = console.is_terminal and sys.stdin.isatty()


def main() -> int:
    """Run the demo; whatever happens, stop what it started."""
    started = time.monotonic()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with alone(FOLDER):
            approved = show()
    except (NotAsClaimed, InterlockError) as error:
        console.print(f"\nThe demo stopped: {error}", style="bold red", markup=False, highlight=False)
        return 1
    except KeyboardInterrupt:
        console.print("\nstopped; nothing of it runs any more", style="yellow")
        return 130
    told = "Everything was as claimed." if approved else "You rejected the call, and nothing was published."
    say(f"\nDone in {time.monotonic() - started:.0f} s. {told} The record: {FOLDER}")
    return 0


def _interrupt(number: int, frame: object) -> NoReturn:
    """End as Ctrl-C ends it."""
    raise KeyboardInterrupt


def show() -> bool:
    """The story. Returns whether the call was approved."""
    workspace = FOLDER / "workspace"
    heading("The work: a released package with a bug, and an issue")
    source = prepare_sample(SAMPLE, workspace, ROOT / ".state" / "samples")
    issue = (SAMPLE / "issue.md").read_text()
    console.print(f"{source.name} {source.version}, with a test that fails. The issue:\n")
    console.print(issue.strip(), style="italic", markup=False)

    with Interlock(ROOT, FOLDER, console, port=free_port()) as interlock:
        heading("Start: Temporal, an executor and a graph worker, each in a process of its own")
        interlock.start()
        heading(f"{REQUESTER} starts the run")
        arguments = ["--input", json.dumps({"issue": issue}), "--workspace", str(workspace), "--as", REQUESTER]
        run = interlock.read("run", "start", "fix_issue", *arguments)["run"]
        request = follow(interlock, run)
        approved = decide(interlock, request)
        heading("The run goes on to its end")
        say(interlock.output("run", "wait", run).rstrip())
        if approved:
            heading("What was approved is what was done: the patch")
            show_patch(interlock.output("run", "artifact", run, "change.patch"))
        else:
            heading("What was rejected is not done")
            claim_nothing_published(interlock, run)
        heading("The timeline")
        interlock.show("run", "show", run)
        heading("Replay: the chain, every blob and every decision are computed again")
        interlock.show("replay", run)
        forge(interlock, run)
    return approved


def follow(interlock: Interlock, run: str) -> str:
    """Print the run's events as they come, to the approval request. Returns the request's name."""
    seen = 0
    deadline = time.monotonic() + RUN_S
    with console.status("the agent works") as status:
        while time.monotonic() < deadline:
            events = interlock.read("run", "show", run, quiet=True)["events"]
            for event in events[seen:]:
                console.print(line(event), markup=False, highlight=False)
                if event["kind"] == "approval.requested":
                    return str(event["request_id"])
                claim(event["kind"] != "run.ended", f"the run waits for a person; it ended: {event.get('detail')}")
                status.update(f"the agent works: {event['kind']}")
            seen = len(events)
            time.sleep(0.3)
    raise NotAsClaimed(f"run {run} did not come to its approval in {RUN_S} s; see {interlock.log}")


def line(event: dict[str, Any]) -> str:
    """One event in one line."""
    names = ("agent", "tool", "verdict", "rule", "status", "by", "detail")
    told = "  ".join(str(event[name]) for name in names if event.get(name))
    return f"{event['seq']:>4}  {event['kind']:<19} {told}"[: console.width]


def decide(interlock: Interlock, request: str) -> bool:
    """Show the request and decide it: a person at a terminal is asked. Returns whether it was approved."""
    heading("A person must approve: exactly this call, and no other")
    interlock.show("approval", "show", request)
    if ON_TERMINAL and not Confirm.ask(f"\nApprove as {APPROVER}?", default=True, console=console):
        interlock.show("approval", "reject", request, "--as", APPROVER, "--message", "Rejected at the demo.")
        return False
    interlock.show("approval", "approve", request, "--as", APPROVER)
    return True


def show_patch(patch: str) -> None:
    """Print a patch; in colours where there is a terminal, byte for byte where there is none."""
    claim(patch.startswith("diff --git"), "the run left a patch")
    if console.is_terminal:
        console.print(Syntax(patch, "diff", background_color="default", word_wrap=True))
    else:
        say(patch.rstrip())


def claim_nothing_published(interlock: Interlock, run: str) -> None:
    """After a rejection: the call never ran, and the agent read why."""
    events = interlock.read("run", "show", run, quiet=True)["events"]
    refused = [event for event in events if event["kind"] == "call.refused"]
    claim(len(refused) == 1 and refused[0]["tool"] == "open_pull_request", "the rejected call was refused")
    ran = {event["call_id"] for event in events if event["kind"] == "call.finished"}
    claim(refused[0]["call_id"] not in ran, "the rejected call never ran")
    code, _ = interlock.run("run", "artifact", run, "change.patch")
    claim(code != 0, "there is no patch")
    say(f"the agent read: {refused[0]['detail']}")


def forge(interlock: Interlock, run: str) -> None:
    """Alter one recorded tool result in a copy of the record, and show that the replay names it."""
    heading("Now one byte of one recorded tool result is altered, in a copy of the record")
    copies = {
        name: copy_database(interlock.state / f"{name}.db", FOLDER / "altered") for name in ("ledger", "blobs")
    }
    events = interlock.read("run", "show", run, quiet=True)["events"]
    finished = next(event for event in events if event["kind"] == "call.finished" and event["output"])
    alter_result(copies["blobs"], finished["output"])
    say(f"altered: the output of event {finished['seq']}, {finished['output']}")
    settings = {f"INTERLOCK_{name.upper()}_URL": f"sqlite:///{path}" for name, path in copies.items()}
    code, said = interlock.run("replay", run, **settings)
    say(said.rstrip())
    claim(code == 1, f"replay of the altered copy exits 1 (it was {code})")
    _, said = interlock.run("replay", run, "--json", **settings)
    first = json.loads(said)["first"]
    found = (first["seq"], first["kind"], first["field"])
    wanted = (finished["seq"], "call.finished", "output")
    claim(found == wanted, f"replay names the event whose result was altered, {wanted} (it named {found})")


def say(text: str) -> None:
    """Print text as it is, never cut or folded where there is no terminal."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def heading(text: str) -> None:
    """Begin a step."""
    console.print()
    console.rule(f"[bold]{text}", align="left")


if __name__ == "__main__":
    sys.exit(main())
