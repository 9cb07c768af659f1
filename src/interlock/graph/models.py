"""The model port: from a name like `openai:gpt-5` to a chat model of langchain-core."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr

from interlock.definitions.agent import DEFAULT_MODEL
from interlock.definitions.manifest import Manifest
from interlock.errors import InvalidInput
from interlock.graph import scripted
from interlock.graph.playbook import read_playbook
from interlock.settings import Settings

if TYPE_CHECKING:
    from interlock.graph.reader import Reader

TIMEOUT_S: Final = 120.0
"""Seconds that one request to a provider may take. The activity's own deadline is longer."""
MAX_OUTPUT_TOKENS: Final = 8192
"""Anthropic asks for a limit in every request."""
ENGINE: Final = "interlock-runtime"


def model_name(spec: str, settings: Settings) -> str:
    """The full name that `spec` means: `default` is what the settings name."""
    return settings.model if spec == DEFAULT_MODEL else spec


def resolve_model(spec: str, settings: Settings, agent: str, manifest: Manifest, reader: Reader) -> BaseChatModel:
    """The chat model that `spec` names.

    Providers' own retries are off: the activity retries, with a record of each attempt.

    Args:
        spec: `default`, `scripted`, `openai:NAME` or `anthropic:NAME`.
        settings: says what `default` is, and the base URL.
        agent: whose playbook the scripted model follows.
        manifest: the run's.
        reader: the blobs.

    Raises:
        InvalidInput: no such model; its package or its key is missing; the playbook is wrong.
    """
    name = model_name(spec, settings)
    provider, _, model = name.partition(":")
    if name == scripted.NAME:
        return _scripted(agent, manifest, reader)
    if provider == "openai" and model:
        return _openai(model, settings)
    if provider == "anthropic" and model:
        return _anthropic(model, settings)
    known = "scripted, openai:NAME, anthropic:NAME"
    raise InvalidInput(f"model {name!r} of agent {agent!r} is unknown", next_step=f"use one of {known}")


def _scripted(agent: str, manifest: Manifest, reader: Reader) -> BaseChatModel:
    digest, file = manifest.agents[agent].playbook, f"agents/{agent}.playbook.yaml"
    if not digest:
        raise InvalidInput(
            f"agent {agent!r} runs on the scripted model and has no playbook",
            next_step=f"write {file}, or set INTERLOCK_MODEL=openai:NAME or anthropic:NAME",
        )
    text = reader.read(digest).decode("utf-8", "replace")
    return scripted.ScriptedModel(turns=read_playbook(text, file), source=file)


def _openai(model: str, settings: Settings) -> BaseChatModel:
    try:
        from langchain_openai import ChatOpenAI
    except ImportError as error:
        raise _not_installed("openai") from error
    options: dict[str, Any] = {"base_url": settings.model_base_url} if settings.model_base_url else {}
    # Servers of one's own seldom ask for a key, but the client refuses to start without one.
    key = _key("OPENAI_API_KEY", otherwise="none" if settings.model_base_url else "")
    return ChatOpenAI(
        model=model, api_key=SecretStr(key), timeout=TIMEOUT_S, max_retries=0, use_responses_api=False, **options
    )


def _anthropic(model: str, settings: Settings) -> BaseChatModel:
    try:
        from langchain_anthropic import ChatAnthropic
    except ImportError as error:
        raise _not_installed("anthropic") from error
    options: dict[str, Any] = {"base_url": settings.model_base_url} if settings.model_base_url else {}
    return ChatAnthropic(
        model_name=model,
        api_key=SecretStr(_key("ANTHROPIC_API_KEY")),
        timeout=TIMEOUT_S,
        max_retries=0,
        max_tokens_to_sample=MAX_OUTPUT_TOKENS,
        stop=None,
        **options,
    )


def _key(variable: str, *, otherwise: str = "") -> str:
    key = os.environ.get(variable, "") or otherwise
    if not key:
        raise InvalidInput(f"{variable} is not set", next_step=f"export {variable}=… for the graph worker")
    return key


def _not_installed(extra: str) -> InvalidInput:
    return InvalidInput(f"langchain-{extra} is not installed", next_step=f"pip install '{ENGINE}[{extra}]'")
