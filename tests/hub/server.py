"""The Hub of the tests over HTTP. Routes and headers are those that huggingface_hub 2.4 asks for and reads."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from tests.hub.repositories import Fault, File, Repository

PIECE = 1 << 16
TOKEN = "hf_tests"
"""The token that opens what is private or gated."""


@dataclass(frozen=True)
class Asked:
    """A request that came in."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    host: str


class Hub:
    """A running Hub. `url` is for HF_ENDPOINT; files in large file storage are redirected to another host, as there."""

    def __init__(self, repositories: Iterable[Repository] = ()) -> None:
        self.repositories = {repository.id: repository for repository in repositories}
        self.served: Counter[str] = Counter()
        """Bytes of bodies by file: "org/name/path"."""
        self.asked: list[Asked] = []
        self.faults: dict[str, Fault] = {}
        """By what a request's path ends with, "api/models/org/name" or "org/name/path"."""
        self.page = 100
        self.reached = threading.Condition()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._server = uvicorn.Server(uvicorn.Config(self._app(), log_level="critical", timeout_graceful_shutdown=1))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)

    def __enter__(self) -> Hub:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join()
        self._socket.close()

    def add(self, *repositories: Repository) -> None:
        self.repositories |= {repository.id: repository for repository in repositories}

    def bytes_of(self, model_id: str) -> int:
        """Bytes served of a model's files."""
        return sum(count for name, count in self.served.items() if name.startswith(f"{model_id}/"))

    def wait_for(self, model_id: str, count: int, timeout: float = 20.0) -> None:
        """Wait until so many bytes of a model's files have been served."""
        with self.reached:
            assert self.reached.wait_for(lambda: self.bytes_of(model_id) >= count, timeout), "the bytes did not come"

    def paths(self, part: str = "") -> list[str]:
        """The paths that were asked for and hold a text."""
        return [asked.path for asked in self.asked if part in asked.path]

    def _app(self) -> FastAPI:
        app = FastAPI()
        app.get("/api/models")(self._search)
        app.get("/api/models/{account}/{name}")(self._info)
        app.get("/api/models/{account}/{name}/revision/{revision:path}")(self._info)
        app.get("/api/models/{account}/{name}/tree/{revision}")(self._tree)
        app.get("/api/models/{account}/{name}/commits/{revision}")(self._commits)
        app.get("/api/models/{account}/{name}/refs")(self._refs)
        for method in (app.get, app.head):
            method("/{account}/{name}/resolve/{revision}/{path:path}")(self._resolve)
            method("/api/resolve-cache/models/{account}/{name}/{revision}/{path:path}")(self._content)
            method("/cdn/{account}/{name}/{revision}/{path:path}")(self._content)
        app.middleware("http")(self._note)
        return app

    async def _note(self, request: Request, forward: Any) -> Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append(
            Asked(request.method, request.url.path, request.url.query, headers, headers.get("host", "").split(":")[0])
        )
        return await forward(request)

    def _fault(self, *paths: str) -> Fault | None:
        for name, fault in self.faults.items():
            if any(path.endswith(name) for path in paths) and fault.times != 0:
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def _failure(self, request: Request) -> Response | None:
        """The answer of a fault that concerns the whole answer."""
        fault = self._fault(request.url.path.lstrip("/"))
        if fault is None:
            return None
        if fault.endless:
            return StreamingResponse(_zeros(*(fault.pace or (PIECE, 0.0))), media_type="application/json")
        if fault.status is None and not fault.body:
            return None
        named = {"X-Error-Code": fault.code} if fault.code else {}
        return Response(fault.body, fault.status or 200, {**fault.headers, **named})

    def _repository(self, request: Request, account: str, name: str) -> Repository | Response:
        repository = self.repositories.get(f"{account}/{name}")
        given = request.headers.get("authorization")
        if given is not None and given != f"Bearer {TOKEN}":
            return _error(401, "Invalid credentials in Authorization header")
        if repository is None or (repository.private and given is None):
            return _error(404 if given else 401, "Repository not found", "RepoNotFound")
        return repository

    def _search(self, request: Request) -> Response:
        if failure := self._failure(request):
            return failure
        asked = request.query_params
        found = [repository for repository in self.repositories.values() if not repository.private]
        if author := asked.get("author"):
            found = [one for one in found if one.id.startswith(f"{author}/")]
        for word in asked.get("search", "").lower().split():
            found = [one for one in found if word in one.id.lower()]
        for tag in asked.getlist("filter"):
            found = [one for one in found if tag in one.record(one.commits[-1], False)["tags"]]
        if tag := asked.get("pipeline_tag"):
            found = [one for one in found if one.pipeline_tag == tag]
        field = {"lastModified": "modified"}.get(asked.get("sort", "downloads"), asked.get("sort", "downloads"))
        found.sort(key=lambda one: getattr(one, field), reverse=True)
        start, limit = int(asked.get("cursor", 0)), min(int(asked.get("limit", self.page)), self.page)
        shown = found[start : start + limit]
        records = [one.record(one.commits[-1], False) for one in shown]
        headers = {}
        if start + limit < len(found):
            rest = [(name, value) for name, value in asked.multi_items() if name != "cursor"]
            query = urlencode([*rest, ("cursor", start + limit)])
            headers["Link"] = f'<{self.url}/api/models?{query}>; rel="next"'
        return JSONResponse(records, headers=headers)

    def _info(self, request: Request, account: str, name: str, revision: str = "main") -> Response:
        if failure := self._failure(request):
            return failure
        repository = self._repository(request, account, name)
        if isinstance(repository, Response):
            return repository
        files = repository.revision(revision)
        if files is None:
            return _error(404, "Invalid rev id", "RevisionNotFound")
        return JSONResponse(repository.record(files, "blobs" in request.query_params))

    def _tree(self, request: Request, account: str, name: str, revision: str) -> Response:
        repository = self._repository(request, account, name)
        if isinstance(repository, Response):
            return repository
        files = repository.revision(revision)
        if files is None:
            return _error(404, "Invalid rev id", "RevisionNotFound")
        return JSONResponse([_entry(path, file) for path, file in files.items()])

    def _commits(self, request: Request, account: str, name: str, revision: str) -> Response:
        repository = self._repository(request, account, name)
        if isinstance(repository, Response):
            return repository
        shas = [repository.sha(number) for number in range(len(repository.commits))]
        told = [{"id": sha, "title": "", "message": "", "date": repository.modified, "authors": []} for sha in shas]
        return JSONResponse(told[::-1])

    def _refs(self, request: Request, account: str, name: str) -> Response:
        repository = self._repository(request, account, name)
        if isinstance(repository, Response):
            return repository
        main = {"name": "main", "ref": "refs/heads/main", "targetCommit": repository.sha()}
        return JSONResponse({"branches": [main], "converts": [], "tags": []})

    def _resolve(self, request: Request, account: str, name: str, revision: str, path: str) -> Response:
        if failure := self._failure(request):
            return failure
        repository = self._repository(request, account, name)
        if isinstance(repository, Response):
            return repository
        if repository.gated and request.headers.get("authorization") is None:
            return _error(401, "Access to model is restricted", "GatedRepo")
        files = repository.revision(revision)
        if files is None:
            return _error(404, "Invalid rev id", "RevisionNotFound")
        if path not in files:
            return _error(404, "Entry not found", "EntryNotFound")
        file = files[path]
        number = next(number for number, other in enumerate(repository.commits) if other is files)
        headers = {"X-Repo-Commit": repository.sha(number), "ETag": f'"{file.etag}"'}
        where = f"{account}/{name}/{repository.sha(number)}/{path}"
        if not file.lfs:
            return Response(status_code=307, headers=headers | {"Location": f"/api/resolve-cache/models/{where}"})
        linked = {"X-Linked-ETag": f'"{file.etag}"', "X-Linked-Size": str(file.size)}
        cdn = f"http://localhost:{self.port}/cdn/{where}"
        return Response(status_code=302, headers=headers | linked | {"Location": cdn})

    def _content(self, request: Request, account: str, name: str, revision: str, path: str) -> Response:
        repository = self.repositories[f"{account}/{name}"]
        file = (repository.revision(revision) or {})[path]
        key = f"{account}/{name}/{path}"
        fault = self._fault(key) or Fault()
        if fault.status is not None:
            return Response(fault.body, fault.status, dict(fault.headers))
        number = next(number for number in range(len(repository.commits)) if repository.sha(number) == revision)
        headers = {"X-Repo-Commit": repository.sha(number), "ETag": f'"{file.etag}"', "Accept-Ranges": "bytes"}
        start, end, status = (
            _range(request.headers.get("range"), len(file.content))
            if not fault.no_ranges
            else (
                0,
                len(file.content),
                200,
            )
        )
        if status == 416:
            return Response(status_code=416, headers={"Content-Range": f"bytes */{len(file.content)}"})
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(file.content)}"
        if not fault.endless:
            headers["Content-Length"] = str(end - start)
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers)
        return StreamingResponse(self._body(key, file, start, end, fault), status, headers)

    async def _body(self, key: str, file: File, start: int, end: int, fault: Fault) -> AsyncIterator[bytes]:
        piece, pause = fault.pace or (PIECE, 0.0)
        stop = end if fault.cut_after is None else min(end, start + fault.cut_after)
        content = file.content
        if fault.corrupt and content:
            content = bytes([content[0] ^ 1]) + content[1:]
        for position in range(start, stop, piece):
            part = content[position : min(position + piece, stop)]
            self._count(key, len(part))
            yield part
            if pause and fault in self.faults.values():  # a fault that is taken back holds nobody up any more
                await asyncio.sleep(pause)
        if stop < end:
            raise ConnectionError("the stream breaks off here")
        if fault.endless:
            async for zeros in _zeros():
                self._count(key, len(zeros))
                yield zeros

    def _count(self, key: str, count: int) -> None:
        with self.reached:
            self.served[key] += count
            self.reached.notify_all()


async def _zeros(count: int = PIECE, pause: float = 0.0) -> AsyncIterator[bytes]:
    while True:
        yield bytes(count)
        await asyncio.sleep(pause)


def _entry(path: str, file: File) -> dict[str, Any]:
    told: dict[str, Any] = {"type": "file", "oid": file.blob_id, "size": file.size, "path": path}
    if file.lfs:
        told["lfs"] = {"oid": file.etag, "size": file.size, "pointerSize": 134}
    return told


def _range(asked: str | None, size: int) -> tuple[int, int, int]:
    """First byte, the one after the last, and the status, for a Range header."""
    if not asked or not asked.startswith("bytes="):
        return 0, size, 200
    first, _, last = asked.removeprefix("bytes=").partition("-")
    start, end = int(first), min(int(last) + 1, size) if last else size
    return (start, end, 206) if start < size else (0, 0, 416)


def _error(status: int, message: str, code: str = "") -> Response:
    headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
    return JSONResponse({"error": message}, status, headers)
