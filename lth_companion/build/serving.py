"""The book on this machine, while it is built anew beside."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
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


def show(html: Path, port: int, build: Callable[[], bool]) -> bool:
    """Serve a folder until interrupted, `build` it meanwhile; whether that succeeded. Without a book, old or new, there
    is nothing to serve, and it returns."""
    try:
        server = serve(html, port)
    except OSError as error:
        print(f"lth_core: port {port} cannot be used ({error.strerror}): give another by --port.", file=sys.stderr)
        return False
    there = (html / "index.html").exists()
    address = f"http://{server.server_address[0]!s}:{server.server_port}"
    print(f"{address} {'shows the book as it is' if there else 'will show the book'}; building", flush=True)
    built = False
    try:
        built = build()
        while there or built:
            time.sleep(3600)
    except KeyboardInterrupt:
        pass
    finally:
        server.shutdown()
        server.server_close()
    return built
