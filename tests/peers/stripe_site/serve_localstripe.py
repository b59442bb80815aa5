"""localstripe on this machine alone: its own command listens on every interface. Its argument: the port."""

import sys

from aiohttp import web
from localstripe import resources
from localstripe.server import app

# It would keep its state in one file for all its instances, whatever else runs on the machine.
resources.Store.dump_to_disk = lambda self: None
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
