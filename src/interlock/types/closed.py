"""The base of our models."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Closed(BaseModel):
    """Base of our models: closed, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)
