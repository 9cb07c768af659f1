"""`interlock policy show`: what the files come to: the bundle, a rule of it, or what Casbin gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from interlock.cli import say
from interlock.cli.choices import among
from interlock.cli.options import AsJson
from interlock.cli.session import bundle_of, settings
from interlock.errors import InvalidInput

if TYPE_CHECKING:
    from interlock.policy import Bundle
    from interlock.policy.compiled import CompiledRule


def show(
    rule: Annotated[str, typer.Argument(metavar="[RULE]", help="One rule's id.", show_default=False)] = "",
    casbin: Annotated[bool, typer.Option("--casbin", help="Casbin's model and its rows instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the policy as it is loaded: digest, counts, rules strongest first.

    With --casbin the model and each row, as Casbin's own file adapter reads them. Casbin calls four functions with
    a row's id, which look at the rule itself; the other columns are for people.
    """
    if rule and casbin:
        raise InvalidInput("RULE and --casbin exclude each other", next_step="interlock policy show --help")
    bundle = bundle_of(settings())
    if casbin:
        _casbin(bundle, as_json=as_json)
    elif rule:
        _rule(bundle, rule, as_json=as_json)
    else:
        _bundle(bundle, as_json=as_json)


def _bundle(bundle: Bundle, *, as_json: bool) -> None:
    from interlock.policy.entries import SECTIONS
    from interlock.policy.summary import counts

    found = counts(bundle)
    rules = [_summary(rule) for rule in bundle.rules]
    if as_json:
        say.document({"bundle": bundle.digest, "counts": found, "rules": rules})
        return
    say.line(f"policy  {bundle.digest}")
    say.line(", ".join(f"{found[name]} {name}" for name in SECTIONS if found[name]))
    say.table(
        ["rule", "effect", "owner", "source"], [[r["id"], _effect(r), r["owner"], r["source"]] for r in rules]
    )


def _summary(rule: CompiledRule) -> dict[str, Any]:
    own = rule.rule
    return {
        "id": own.id,
        "effect": own.effect,
        "guardrail": own.guardrail,
        "owner": own.owner,
        "expires": own.expires.isoformat() if own.expires else None,
        "source": rule.source,
    }


def _effect(rule: dict[str, Any]) -> str:
    return f"{rule['effect']}{' (guardrail)' if rule['guardrail'] else ''}"


def _rule(bundle: Bundle, name: str, *, as_json: bool) -> None:
    ids = [rule.id for rule in bundle.rules]
    place = ids.index(among(name, ids, "RULE"))
    rule = bundle.rules[place]
    keys = rule.rule.model_dump(mode="json", by_alias=True, exclude_unset=True)
    conditions = [condition.text for condition in rule.conditions]
    if as_json:
        about = {"source": rule.source, "position": place + 1, "rule": keys, "conditions": conditions}
        say.document({"bundle": bundle.digest, **about})
        return
    say.line(f"{rule.id}: {_effect(_summary(rule))}, {place + 1} of {len(ids)}, {rule.source}", style="bold")
    for key in keys.keys() - {"id", "effect", "guardrail", "when"}:
        keys[key] = _text(keys[key])
    for key, text in keys.items():
        if isinstance(text, str) and key not in ("id", "effect"):
            say.line(f"{key:<10} {text}")
    for text in conditions:
        say.line(f"when       {text}")


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items() if item is not None)
    return str(value)


def _casbin(bundle: Bundle, *, as_json: bool) -> None:
    from interlock.policy.enforcer import MODEL
    from interlock.policy.summary import casbin_lines, casbin_rows

    if as_json:
        say.document({"bundle": bundle.digest, "model": MODEL, "rows": casbin_rows(bundle)})
        return
    say.line(MODEL)
    for line in casbin_lines(bundle):
        say.line(line)
