"""A client in a process of its own, as every real one is: `python -m tests.benchmarks.http_client`, driven by lines.

A line on standard input is {"url", "key", "bodies"}; the answer on standard output is {"tokens", "seconds", "first"}:
the bodies are sent to /v1/chat/completions at once, and all answers read to their end.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from typing import Any
from urllib.parse import urlsplit


def _ask(connection: http.client.HTTPConnection, key: str, body: Any, told: list[tuple[int, float]]) -> None:
    """Append the tokens of one answer, and the seconds to its first."""
    began, first, tokens = time.perf_counter(), 0.0, 0
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    for line in connection.getresponse():
        if not first and b'"content":"' in line and b'"content":""' not in line:
            first = time.perf_counter() - began
        if line.startswith(b"data: {") and b'"usage":{' in line:
            tokens = json.loads(line[6:])["usage"]["completion_tokens"]
    told.append((tokens, first))


def main() -> None:
    """Serve until standard input ends. Connections are kept for the next line, as clients do."""
    connections: list[http.client.HTTPConnection] = []
    for line in sys.stdin:
        order = json.loads(line)
        while len(connections) < len(order["bodies"]):
            connections.append(http.client.HTTPConnection(urlsplit(order["url"]).netloc, timeout=600))
        told: list[tuple[int, float]] = []
        threads = [
            threading.Thread(target=_ask, args=(connection, order["key"], body, told))
            for connection, body in zip(connections, order["bodies"], strict=False)
        ]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - began
        answer = {"tokens": sum(one for one, _ in told), "seconds": seconds, "first": [one for _, one in told]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
