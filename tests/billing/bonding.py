"""A bonding contract in a real EVM, behind a small JSON-RPC server: what the rank check reads."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_RECURSION_LIMIT = sys.getrecursionlimit()

import vyper  # noqa: E402
from eth_tester import EthereumTester, PyEVMBackend  # noqa: E402

# The EVM raises it for contracts that call each other a thousand deep, which ours do not. The product
# runs, and is tested, with Python's own limit.
sys.setrecursionlimit(_RECURSION_LIMIT)

SOURCE = """
pool: DynArray[address, 200]

@deploy
def __init__(transcoders: DynArray[address, 200]):
    self.pool = transcoders

@external
@view
def getFirstTranscoderInPool() -> address:
    if len(self.pool) == 0:
        return empty(address)
    return self.pool[0]

@external
@view
def getNextTranscoderInPool(transcoder: address) -> address:
    found: bool = False
    for member: address in self.pool:
        if found:
            return member
        found = member == transcoder
    return empty(address)
"""


class Chain:
    """One EVM with bonding contracts on it. `calls` counts what was asked of it."""

    def __init__(self) -> None:
        self.tester = EthereumTester(PyEVMBackend())
        self.bytecode = vyper.compile_code(SOURCE, output_formats=["bytecode"])["bytecode"]
        self.calls = 0

    def deploy(self, transcoders: list[str]) -> str:
        """A contract whose pool is this list; its address."""
        words = [32, len(transcoders), *(int(address, 16) for address in transcoders)]
        encoded = "".join(f"{word:064x}" for word in words)
        sender = self.tester.get_accounts()[0]
        sent = self.tester.send_transaction(
            {"from": sender, "data": self.bytecode + encoded, "gas": 25_000_000}
        )
        address: str = self.tester.get_transaction_receipt(sent)["contract_address"]
        return address

    def eth_call(self, request: dict[str, Any]) -> Any:
        self.calls += 1
        call, _ = request["params"]
        sender = self.tester.get_accounts()[0]
        return {"jsonrpc": "2.0", "id": request["id"], "result": self.tester.call({"from": sender, **call})}


Answer = Callable[[dict[str, Any]], Any]


@contextmanager
def json_rpc(answer: Answer) -> Iterator[str]:
    """A server that answers each request with what `answer` returns: an object, or raw bytes. Its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            given = answer(asked)
            status, body = (200, json.dumps(given).encode()) if not isinstance(given, tuple) else given
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
