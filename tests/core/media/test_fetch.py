"""Fetching images by address: what is refused, and that what is checked is what is connected to."""

from __future__ import annotations

import asyncio
import datetime
import io
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from core.errors import InvalidImage, InvalidRequest
from core.media import fetch
from core.media.fetch import MAX_REDIRECTS, fetch_image, is_public
from core.media.images import MAX_BYTES
from core.settings import Settings


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (6, 5), "red").save(buffer, "PNG")
    return buffer.getvalue()


@dataclass
class Site:
    """A server on a free port of 127.0.0.1 whose paths answer with functions; keeps the headers that it was sent."""

    port: int
    pages: dict[str, Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)


def answer(status: int, body: bytes = b"", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in {"Content-Length": str(len(body)), **sent}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return respond


@pytest.fixture
def site() -> Iterator[Site]:
    yield from serve(None)


def serve(context: ssl.SSLContext | None) -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            site.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            site.pages.get(self.path, answer(404))(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    site = Site(server.server_address[1], {"/red.png": answer(200, png())})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield site
    server.shutdown()
    server.server_close()
    thread.join()


class Names:
    """A resolver with a book of names, which counts how often it was asked."""

    def __init__(self, **book: list[str]) -> None:
        self.book = {name.replace("_", "."): addresses for name, addresses in book.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if host not in self.book:
            raise socket.gaierror(8, "nodename nor servname provided")
        return self.book[host]


def get(url: str, resolve: Names | None = None, allow: tuple[str, ...] = ("127.0.0.1",)):
    names = resolve or Names(images_test=["127.0.0.1"])
    return asyncio.run(fetch_image(url, Settings(), resolve=names, allowed=lambda address: address in allow))


def test_an_image_comes_back_checked_and_named(site):
    image = get(f"http://images.test:{site.port}/red.png")
    assert (image.media_type, image.width, image.height, image.name) == ("image/png", 6, 5, "red.png")


def test_the_server_is_told_the_hosts_name_and_who_asks(site):
    site.pages["/red.png?size=1"] = answer(200, png())
    get(f"http://images.test:{site.port}/red.png?size=1#part")
    ((path, headers),) = site.seen
    assert path == "/red.png?size=1"
    assert headers["host"] == f"images.test:{site.port}"
    assert headers["user-agent"].startswith("Assay/")
    assert headers["accept-encoding"] == "identity"
    assert "cookie" not in headers


def test_a_name_is_resolved_once_and_the_checked_address_is_connected_to(site):
    names = Names(images_test=["127.0.0.1"])
    get(f"http://images.test:{site.port}/red.png", names)
    assert names.asked == ["images.test"]  # and no resolver of the system knows images.test


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.0.1",
        "198.18.0.1",
        "192.0.2.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd12:3456::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "2002:7f00:1::",
        "2002:808:808::",
        "2001:0:4136:e378::1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "not an address",
        "",
    ],
)
def test_addresses_that_are_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::808:808"])
def test_addresses_that_are_public(address):
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]"])
def test_by_default_this_machine_is_refused_however_it_is_spelled(site, host):
    with pytest.raises((InvalidRequest, InvalidImage), match=r"not on the public internet|cannot be (found|read)"):
        asyncio.run(fetch_image(f"http://{host}:{site.port}/red.png", Settings()))
    assert site.seen == []


def test_by_default_a_name_that_leads_to_this_machine_is_refused(site):
    names = Names(evil_test=["127.0.0.1"])
    with pytest.raises(InvalidRequest, match=r"evil\.test is not on the public internet") as caught:
        asyncio.run(fetch_image(f"http://evil.test:{site.port}/red.png", Settings(), resolve=names))
    assert "127.0.0.1" not in str(caught.value)
    assert site.seen == []


def test_one_private_address_among_public_ones_refuses_the_host(site):
    names = Names(images_test=["127.0.0.1", "10.0.0.1"])
    with pytest.raises(InvalidRequest, match="not on the public internet"):
        get(f"http://images.test:{site.port}/red.png", names)
    assert site.seen == []


def test_a_redirect_is_followed_and_checked_again(site):
    site.pages["/old"] = answer(302, Location="/middle")
    site.pages["/middle"] = answer(301, Location=f"http://other.test:{site.port}/red.png")
    names = Names(images_test=["127.0.0.1"], other_test=["127.0.0.1"])
    assert get(f"http://images.test:{site.port}/old", names).width == 6
    assert names.asked == ["images.test", "images.test", "other.test"]
    assert [headers["host"].split(":")[0] for _, headers in site.seen] == ["images.test", "images.test", "other.test"]


@pytest.mark.parametrize(
    "target", ["http://inside.test:{port}/red.png", "http://10.0.0.1/red.png", "//inside.test:{port}/red.png"]
)
def test_a_redirect_inside_is_refused(site, target):
    site.pages["/out"] = answer(302, Location=target.format(port=site.port))
    names = Names(images_test=["127.0.0.1"], inside_test=["192.168.0.1"], **{"10_0_0_1": ["10.0.0.1"]})
    with pytest.raises(InvalidRequest, match="not on the public internet"):
        get(f"http://images.test:{site.port}/out", names)
    assert len(site.seen) == 1


def test_rebinding_between_two_redirects_is_caught(site):
    class Rebinding(Names):
        async def __call__(self, host: str, port: int) -> list[str]:
            await super().__call__(host, port)
            return ["127.0.0.1"] if len(self.asked) == 1 else ["192.168.0.1"]

    site.pages["/a"] = answer(302, Location="/red.png")
    with pytest.raises(InvalidRequest, match="not on the public internet"):
        get(f"http://images.test:{site.port}/a", Rebinding(images_test=[]))
    assert [path for path, _ in site.seen] == ["/a"]


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://images.test/a", "gopher://x/"])
def test_a_redirect_to_another_scheme_is_refused(site, target):
    site.pages["/out"] = answer(302, Location=target)
    with pytest.raises(InvalidRequest, match="http and https"):
        get(f"http://images.test:{site.port}/out")


def test_redirects_end(site):
    site.pages["/round"] = answer(302, Location="/round")
    with pytest.raises(InvalidImage, match=f"redirected more than {MAX_REDIRECTS} times"):
        get(f"http://images.test:{site.port}/round")
    assert len(site.seen) == MAX_REDIRECTS + 1


@pytest.mark.parametrize(
    "url",
    [
        "",
        "red.png",
        "/etc/passwd",
        "file:///etc/passwd",
        "ftp://images.test/red.png",
        "http://",
        "http://user:secret@images.test/red.png",
        "http://images.test:99999/red.png",
        "http://[::1/red.png",
        "http://images.test/" + "a" * 5000,
        "http://images.test/\x00",
    ],
)
def test_addresses_that_are_no_addresses_are_refused_without_a_lookup(url):
    names = Names(images_test=["127.0.0.1"])
    with pytest.raises(InvalidRequest) as caught:
        get(url, names)
    assert names.asked == []
    assert "secret" not in str(caught.value)


def test_an_unknown_host_says_so():
    with pytest.raises(InvalidImage, match=r"nowhere\.test cannot be found"):
        get("http://nowhere.test/a.png", Names())


@pytest.mark.parametrize(
    ("page", "why"),
    [
        (answer(404), "answered 404"),
        (answer(206, png()), "answered 206"),
        (answer(200, b"<html>"), "not a readable PNG, JPEG, WebP or GIF"),
        (answer(200, png(), Content_Encoding="gzip"), "came compressed"),
        (answer(200, b"", Content_Length=str(MAX_BYTES + 1)), "larger than 21 MB"),
        (answer(200, png()[:20], Content_Length="100000", Connection="close"), "broke off"),
        (answer(302), "redirected more than"),
    ],
)
def test_what_is_not_an_image_within_limits_is_refused(site, page, why):
    def closing(handler: BaseHTTPRequestHandler) -> None:
        page(handler)
        handler.close_connection = True

    site.pages["/x"] = closing
    with pytest.raises(InvalidImage, match=why):
        get(f"http://images.test:{site.port}/x")


def test_a_body_without_a_length_is_cut_off_at_the_limit(site):
    sent = []

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        block = b"\0" * 1_000_000
        try:
            for _ in range(100):
                handler.wfile.write(block)
                sent.append(len(block))
        except OSError:
            pass
        handler.close_connection = True

    site.pages["/endless"] = endless
    with pytest.raises(InvalidImage, match="larger than 21 MB"):
        get(f"http://images.test:{site.port}/endless")
    assert sum(sent) < 60e6


def test_a_slow_server_is_given_up(site, monkeypatch):
    monkeypatch.setattr(fetch, "TIMEOUT_S", 0.3)
    leave = threading.Event()

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not leave.wait(0.05):
            try:
                handler.wfile.write(b"\x89")
            except OSError:
                break
        handler.close_connection = True

    site.pages["/slow"] = trickle
    with pytest.raises(InvalidImage, match=r"images\.test did not arrive within"):
        get(f"http://images.test:{site.port}/slow")
    leave.set()


def test_a_closed_port_is_an_invalid_image():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(InvalidImage, match="could not be fetched: no connection"):
            get(f"http://images.test:{port}/a?token=secret")


def test_fetching_can_be_switched_off(site):
    off = Settings(fetch_images=False)
    with pytest.raises(InvalidRequest, match="fetch_images = false"):
        asyncio.run(fetch_image(f"http://images.test:{site.port}/red.png", off))
    assert site.seen == []


def test_proxies_of_the_environment_are_not_used(site, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert get(f"http://images.test:{site.port}/red.png").width == 6


@pytest.fixture
def tls_site(tmp_path, monkeypatch) -> Iterator[Site]:
    """An https server whose certificate is for images.test alone, and a client that trusts its issuer."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "images.test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("images.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "site.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    monkeypatch.setattr(fetch, "_tls", lambda: ssl.create_default_context(cafile=str(pem)))
    yield from serve(server)


def test_tls_checks_the_name_of_the_url_and_not_the_pinned_address(tls_site):
    names = Names(images_test=["127.0.0.1"], other_test=["127.0.0.1"])
    assert get(f"https://images.test:{tls_site.port}/red.png", names).width == 6
    with pytest.raises(InvalidImage, match=r"other\.test could not be fetched"):
        get(f"https://other.test:{tls_site.port}/red.png", names)
    tls_site.pages["/move"] = answer(302, Location=f"https://other.test:{tls_site.port}/red.png")
    with pytest.raises(InvalidImage, match=r"other\.test could not be fetched"):
        get(f"https://images.test:{tls_site.port}/move", names)
