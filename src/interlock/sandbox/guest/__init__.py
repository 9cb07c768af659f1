"""The half of the sandbox that runs inside the container. Standard library only; imports nothing of the engine.

The image holds this package as `guest`, and beside it `definitions/tool.py` as the module `interlock`, which
is what a tool's `from interlock import tool` finds. The runner is the container's first process: the kernel
protects that one from every signal of the processes it contains, and ends them all when it ends.
"""
