"""The book on this machine, while it is built anew beside."""

from __future__ import annotations

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any


class Quiet(SimpleHTTPRequestHandler):
    """Tells no line for each file that a browser asks for."""

    def log_message(self, *_: Any) -> None:
        pass


def serve(folder: Path, port: int) -> ThreadingHTTPServer:
    """A server of a folder beside whatever else is done, to this machine alone; port 0: any that is free. What the
    folder holds, or whether it is there, may change meanwhile."""
    server = ThreadingHTTPServer(("127.0.0.1", port), partial(Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    return server
