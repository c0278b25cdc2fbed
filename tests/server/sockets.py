"""Requests byte by byte, as no client sends them."""

from __future__ import annotations

import json
import re
import socket
from typing import Any

import httpx

PATH = "/v1/chat/completions"
CHAT = {"model": "toy", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}
BODY = json.dumps(CHAT).encode()
MB = 2**20


def connect(url: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", httpx.URL(url).port), timeout=20)


def head(key: str, *lines: str, first: str = f"POST {PATH} HTTP/1.1") -> bytes:
    usual = ("host: localhost", f"x-api-key: {key}", "content-type: application/json")
    return "\r\n".join((first, *usual, *lines, "", "")).encode()


def rest(line: socket.socket) -> bytes:
    """All that comes until the server closes."""
    heard = b""
    while piece := line.recv(65536):
        heard += piece
    return heard


def answered(heard: bytes) -> tuple[int, dict[str, str], Any]:
    """The last answer of what was heard: its status, headers, and JSON."""
    start = [found.start() for found in re.finditer(rb"HTTP/1\.1 \d{3} ", heard)][-1]
    top, _, body = heard[start:].partition(b"\r\n\r\n")
    first, *lines = top.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return int(first.split()[1]), headers, json.loads(body) if body else None


def said(url: str, raw: bytes) -> tuple[int, dict[str, str], Any]:
    with connect(url) as line:
        line.sendall(raw)
        return answered(rest(line))
