"""The one way out: whether a byte of the request can have left is told apart, over TLS as well."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from connectors.http import NotSent, Unclear, Way
from tests.product import free_port


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of 127.0.0.1, signed by nobody but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serves one connection; what it does is up to `serve`."""
    listening = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with closing(listening.accept()[0]) as connection:
            serve(connection)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    listening.close()
    thread.join(5)


def over_tls(certificate: Path, serve: Callable[[ssl.SSLSocket], None]) -> Callable[[socket.socket], None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def run(connection: socket.socket) -> None:
        try:
            with context.wrap_socket(connection, server_side=True) as secure:
                serve(secure)
        except OSError:
            pass  # the client turned away

    return run


def trusting(certificate: Path) -> Way:
    way = Way(total=2)
    way.pool.connection_pool_kw["ca_certs"] = str(certificate)
    return way


def answer(connection: socket.socket) -> None:
    connection.recv(1 << 16)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def broken_record(secure: ssl.SSLSocket) -> None:
    """The request is read, and what comes back is a record of TLS that cannot be deciphered."""
    secure.recv(1 << 16)
    secure.recv(1 << 16)
    with socket.socket(fileno=secure.detach()) as plain:
        plain.sendall(b"\x17\x03\x03\x00\x20" + b"?" * 32)


def test_an_answer_over_tls_is_read(certificate: Path) -> None:
    with server(over_tls(certificate, answer)) as port:
        assert trusting(certificate).call("POST", f"https://127.0.0.1:{port}/", body=b"x").body == b"ok"


def test_a_certificate_nobody_vouches_for_is_refused_before_a_byte_left(certificate: Path) -> None:
    got: list[bytes] = []
    serve = over_tls(certificate, lambda secure: got.append(secure.recv(1 << 16)))
    with server(serve) as port, pytest.raises(NotSent):
        Way(total=2).call("POST", f"https://127.0.0.1:{port}/", body=b"x")
    assert not any(got)


def test_a_tls_error_after_the_request_is_unclear(certificate: Path) -> None:
    with server(over_tls(certificate, broken_record)) as port, pytest.raises(Unclear):
        trusting(certificate).call("POST", f"https://127.0.0.1:{port}/", body=b"x")


def test_a_server_that_does_not_speak_tls_got_nothing() -> None:
    with server(answer) as port, pytest.raises(NotSent):
        Way(total=2).call("POST", f"https://127.0.0.1:{port}/", body=b"x")


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/", "http://nowhere.invalid/", "http:///"])
def test_where_nobody_is_nothing_was_sent(url: str) -> None:
    with pytest.raises(NotSent):
        Way(total=2).call("GET", url.format(port=free_port()))


def test_a_handshake_that_never_ends_was_not_sent() -> None:
    def wait(connection: socket.socket) -> None:
        while connection.recv(1 << 16):  # until the client gives up
            pass

    with server(wait) as port, pytest.raises(NotSent):
        Way(total=0.3).call("GET", f"https://127.0.0.1:{port}/")


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    def redirect(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")

    with server(redirect) as port:
        assert Way().call("GET", f"http://127.0.0.1:{port}/").status == 302


def test_an_answer_that_drips_is_given_up_in_time() -> None:
    def drip(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        try:
            while True:
                connection.sendall(b"x")
                time.sleep(0.02)
        except OSError:
            pass  # the client gave up

    with server(drip) as port, pytest.raises(Unclear):
        Way(total=0.4).call("GET", f"http://127.0.0.1:{port}/")


def test_an_answer_that_stops_halfway_is_given_up_in_time() -> None:
    def stop(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        while connection.recv(1 << 16):  # until the client gives up
            pass

    began = time.monotonic()
    with server(stop) as port, pytest.raises(Unclear):
        Way(total=0.5).call("GET", f"http://127.0.0.1:{port}/")
    assert time.monotonic() - began < 3  # and not the eight seconds of one read


def test_a_connection_is_used_again_with_its_own_time_outs() -> None:
    def thrice(connection: socket.socket) -> None:
        for _call in range(3):
            answer(connection)
            time.sleep(0.2)

    with server(thrice) as port:
        way = Way(total=1)
        assert [way.call("GET", f"http://127.0.0.1:{port}/").body for _call in range(3)] == [b"ok"] * 3
