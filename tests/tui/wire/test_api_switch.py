"""The API's switch by itself: on, off, a taken port, a failure, a question before requests are ended."""

from __future__ import annotations

from typing import Any

import pytest
from textual.app import App

from core.errors import PortInUse
from tests.tui.conftest import until
from tui.screens.confirm import Confirm
from tui.state import ApiPhase
from tui.wire.api_switch import ApiSwitch


class Record:
    def __init__(self) -> None:
        self.live: list[object] = []


class Server:
    """A server that starts on any port but `taken`, or raises `broken`."""

    def __init__(self, taken: PortInUse | None = None, broken: Exception | None = None) -> None:
        self.record = Record()
        self.taken = taken
        self.broken = broken
        self.ports: list[int | None] = []
        self.stopped = 0

    def start(self, port: int | None = None) -> str:
        self.ports.append(port)
        if self.broken is not None:
            raise self.broken
        if self.taken is not None and port is None:
            raise self.taken
        return f"http://127.0.0.1:{port or 8484}"

    def stop(self) -> None:
        self.stopped += 1


class Bench(App[None]):
    """An app with nothing in it but the switch."""

    def __init__(self) -> None:
        super().__init__()
        self.phases: list[tuple[ApiPhase, str]] = []
        self.said: list[str] = []
        self.switch = ApiSwitch(self, lambda phase, url: self.phases.append((phase, url)))

    def notify(self, message: str, **_: Any) -> None:  # type: ignore[override]
        self.said.append(message)

    def toggle(self, server: Server) -> None:
        phase = self.phases[-1][0] if self.phases else ApiPhase.OFF
        self.run_worker(self.switch.toggle(server, phase))  # type: ignore[arg-type]

    def over(self) -> bool:
        return all(worker.is_finished for worker in self.workers)


async def test_it_goes_on_and_off() -> None:
    bench, server = Bench(), Server()
    async with bench.run_test() as pilot:
        bench.toggle(server)
        await until(pilot, bench.over)
        assert bench.phases == [(ApiPhase.STARTING, ""), (ApiPhase.ON, "http://127.0.0.1:8484")]
        assert "http://127.0.0.1:8484 is open" in bench.said[0]
        bench.toggle(server)
        await until(pilot, bench.over)
        assert bench.phases[2:] == [(ApiPhase.STOPPING, ""), (ApiPhase.OFF, "")]
        assert server.stopped == 1


async def test_a_taken_port_is_asked_about() -> None:
    bench, server = Bench(), Server(taken=PortInUse("Port 8484 is in use.", 8484, 8485))
    async with bench.run_test() as pilot:
        bench.toggle(server)
        await until(pilot, lambda: isinstance(bench.screen, Confirm))
        assert bench.phases[-1] == (ApiPhase.OFF, "")
        await pilot.press("y")
        await until(pilot, bench.over)
        assert server.ports == [None, 8485]
        assert bench.phases[-1] == (ApiPhase.ON, "http://127.0.0.1:8485")


async def test_a_failure_is_said_and_it_is_off() -> None:
    bench = Bench()
    async with bench.run_test() as pilot:
        bench.toggle(Server(broken=OSError("no such address")))
        await until(pilot, bench.over)
        assert bench.phases[-1] == (ApiPhase.OFF, "")
        assert bench.said == ["no such address"]


@pytest.mark.parametrize(("key", "phase"), [("y", ApiPhase.OFF), ("n", ApiPhase.ON)])
async def test_running_requests_are_asked_about(key: str, phase: ApiPhase) -> None:
    bench, server = Bench(), Server()
    async with bench.run_test() as pilot:
        bench.toggle(server)
        await until(pilot, bench.over)
        server.record.live = [object(), object()]
        bench.toggle(server)
        await until(pilot, lambda: isinstance(bench.screen, Confirm))
        await pilot.press(key)
        await until(pilot, bench.over)
        assert bench.phases[-1][0] is phase


async def test_while_it_is_on_its_way_that_is_said() -> None:
    bench = Bench()
    async with bench.run_test() as pilot:
        bench.phases.append((ApiPhase.STARTING, ""))
        bench.toggle(Server())
        await until(pilot, bench.over)
        assert bench.said == [ApiPhase.STARTING.says]
