"""What the image starts: the folder that holds this file, as `python3 -I /opt/interlock LIFETIME`."""

import importlib
import sys

# Named by text: this package has another name in the image than in the engine.
importlib.import_module("guest.runner").main(float(sys.argv[1]))
