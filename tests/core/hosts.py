"""Real HTTP servers on loopback that behave as foreign hosts may."""

import socket
import socketserver
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

Behaviour = Callable[[socket.socket, bytes], None]


class Host:
    """A server that gives each connection's request to `behave`, and remembers the requests."""

    def __init__(self, behave: Behaviour) -> None:
        self.requests: list[bytes] = []
        requests = self.requests

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                request = b""
                while b"\r\n\r\n" not in request:
                    received = self.request.recv(4096)
                    if not received:
                        break
                    request += received
                requests.append(request)
                # A caller that has seen enough hangs up; that is what many tests are about.
                try:
                    behave(self.request, request)
                except OSError:
                    return

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.port: int = self.server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving(behave: Behaviour) -> Iterator[Host]:
    """Run a host until the block ends."""
    host = Host(behave)
    thread = Thread(target=host.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield host
    finally:
        host.server.shutdown()
        host.server.server_close()
        thread.join()


def answering(body: bytes, status: str = "200 OK", headers: str = "") -> Behaviour:
    """A host that answers at once."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode()

    def behave(connection: socket.socket, _: bytes) -> None:
        connection.sendall(head + body)

    return behave
