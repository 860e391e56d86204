"""Loopback ports: finding a free one, keeping it, and telling whether one is taken."""

import socket
from pathlib import Path


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen here now. Connections that linger from a last run do not count."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def any_free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def kept(path: Path) -> int:
    """The port that this file remembers, or a new one, remembered, if something else listens there by now."""
    remembered = path.read_text().strip() if path.is_file() else ""
    if remembered.isdecimal() and is_free(int(remembered)):
        return int(remembered)
    port = any_free()
    path.write_text(f"{port}\n")
    return port
