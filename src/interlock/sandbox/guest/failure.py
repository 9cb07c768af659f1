"""How a call fails for a reason of its own."""


class ToolError(Exception):
    """The call failed; the message is for the model to read."""
