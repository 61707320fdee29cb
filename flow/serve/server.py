"""The page's server: on the loopback of this machine, for browsers that nobody else sent there."""

from __future__ import annotations

import json
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined

from flow.serve.work import FILES, LAYERS, Estimates
from patchbatch.errors import PatchBatchError
from patchbatch.program import explained

LOOPBACK = "127.0.0.1"
MOST_BYTES = 256 * 2**20  # of both image files
_TYPES = {"png": "image/png", "css": "text/css", "js": "text/javascript"}


class FlowServer(ThreadingHTTPServer):
    """Serves the page, and estimates what is sent to it.

    Parameters
    ----------
    port
        0 takes a free one.
    estimates
        Does the work.
    """

    daemon_threads = True

    def __init__(self, port: int, estimates: Estimates):
        super().__init__((LOOPBACK, port), _Handler)
        self.estimates = estimates

    @property
    def address(self) -> str:
        """The page's address."""
        return f"http://{LOOPBACK}:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: FlowServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Send the page, a part of it, or a file of a result."""
        if not self._is_ours():
            return
        parts = urlsplit(self.path).path.strip("/").split("/")
        if parts == [""]:
            self._send(HTTPStatus.OK, page(), "text/html; charset=utf-8")
        elif len(parts) == 1 and parts[0] in ("page.css", "page.js"):
            self._send(HTTPStatus.OK, part(parts[0]), _TYPES[parts[0].rsplit(".", maxsplit=1)[-1]])
        elif len(parts) == 3 and parts[0] == "result":
            self._send_file(parts[1], parts[2])
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such page")

    def do_POST(self) -> None:
        """Take two image files, one behind the other, and answer with a result's key and words."""
        if not self._is_ours():
            return
        query = parse_qs(urlsplit(self.path).query)
        length, first = self.headers.get("Content-Length", ""), query.get("first", [""])[0]
        names = query.get("name1", ["first image"])[0], query.get("name2", ["second image"])[0]
        if urlsplit(self.path).path != "/flow" or not (length.isdigit() and first.isdigit()):
            self._refuse(HTTPStatus.BAD_REQUEST, "send two images to /flow, with the size of the first")
        elif int(length) > MOST_BYTES:
            self.close_connection = True  # what is not read would be taken for the next request
            self._refuse(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the files have {int(length) / 2**20:.0f} MB, more than {MOST_BYTES // 2**20}; give smaller",
            )
        else:
            data = self.rfile.read(int(length))
            self._estimate((data[: int(first)], data[int(first) :]), names)

    def _estimate(self, images: tuple[bytes, bytes], names: tuple[str, str]) -> None:
        try:
            made = self.server.estimates.make(images, names)
        except PatchBatchError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        except Exception as error:  # whatever it is, the page says so and the server stays
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, explained(error))
        else:
            answer = json.dumps({"key": made.key, "said": made.said})
            self._send(HTTPStatus.OK, answer.encode(), "application/json")

    def _send_file(self, key: str, name: str) -> None:
        made = self.server.estimates.get(key)
        if made is None or name not in made.files:
            self._refuse(HTTPStatus.NOT_FOUND, "this result is no longer kept; estimate it again")
            return
        kind = _TYPES.get(name.rsplit(".", maxsplit=1)[-1], "application/octet-stream")
        self._send(HTTPStatus.OK, made.files[name], kind)

    def _is_ours(self) -> bool:
        """Tell whether the request comes from our page; pages of other sites are refused."""
        own = {f"{host}:{self.server.server_port}" for host in (LOOPBACK, "localhost")}
        origin = self.headers.get("Origin")
        if self.headers.get("Host") in own and (origin is None or urlsplit(origin).netloc in own):
            return True
        self.close_connection = True
        self._refuse(HTTPStatus.FORBIDDEN, "only this machine's own page is answered")
        return False

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self._send(status, json.dumps({"error": why}).encode(), "application/json")

    def _send(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", "default-src 'self'; img-src 'self' blob: data:")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Keep quiet: a line for every picture helps nobody."""


@cache
def page() -> bytes:
    """Return the page."""
    templates = Environment(
        loader=PackageLoader("flow.serve", "page"), autoescape=True, undefined=StrictUndefined
    )
    return templates.get_template("page.html").render(layers=LAYERS, files=FILES).encode()


@cache
def part(name: str) -> bytes:
    """Return a file of the page."""
    return (files("flow.serve") / "page" / name).read_bytes()
