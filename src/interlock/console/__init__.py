"""The console: server-rendered pages on the API's parts. No build step, no inline script, nothing of others."""

from interlock.console.assets import FOLDER
from interlock.console.pages import frame
from interlock.console.routers import routers

__all__ = ["FOLDER", "frame", "routers"]
