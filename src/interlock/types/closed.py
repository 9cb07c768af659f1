"""The base of our models."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class Closed(BaseModel):
    """Base of our models: closed, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Slim(Closed):
    """Base of models that travel often: what has its default is not written. Nothing that is hashed is one."""

    @model_serializer(mode="wrap")
    def _without_defaults(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        fields = type(self).model_fields
        for name in [name for name in written if getattr(self, name) == fields[name].default]:
            del written[name]
        return written
