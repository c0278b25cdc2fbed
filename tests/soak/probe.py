"""Asks /health twenty times a second, in a process of its own: the others' work would delay its clock.

Standard input has the addresses, one after the other; standard output a line for each answer: moment, seconds, status.
"""

from __future__ import annotations

import http.client
import sys
import threading
import time
from urllib.parse import urlsplit

EVERY_S = 0.05
GIVE_UP_S = 10.0


class Address:
    """The one that was told last."""

    def __init__(self) -> None:
        self.place = ""

    def listen(self) -> None:
        """Read addresses until there are no more."""
        for line in sys.stdin:
            self.place = urlsplit(line.strip()).netloc
        self.place = "end"


def main() -> None:
    """Ask until standard input ends."""
    address = Address()
    threading.Thread(target=address.listen, daemon=True).start()
    connection, at = None, ""
    while (place := address.place) != "end":
        if not place:
            time.sleep(EVERY_S)
            continue
        if connection is None or at != place:
            connection, at = http.client.HTTPConnection(place, timeout=GIVE_UP_S), place
        began = time.monotonic()
        try:
            connection.request("GET", "/health")
            answer = connection.getresponse()
            answer.read()
            status = answer.status
        except (OSError, http.client.HTTPException):
            connection.close()
            connection, status = None, 0
        took = time.monotonic() - began
        print(f"{began} {took} {status}", flush=True)
        time.sleep(max(EVERY_S - took, 0.0))


if __name__ == "__main__":
    main()
