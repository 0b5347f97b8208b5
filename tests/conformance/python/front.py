"""A TLS front on 127.0.0.1: takes the TLS off and passes the bytes on."""

import asyncio
import datetime
import ipaddress
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID


class Front:
    """A listener with a certificate that was made for this run; leaving its context ends it."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="startguard-conformance-")
        self._server: asyncio.Server | None = None
        self._inside: tuple[str, int] | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self._served: set[asyncio.Task[None]] = set()
        self.certificate = Path(self._folder.name) / "certificate.pem"
        self.key_and_certificate = Path(self._folder.name) / "both.pem"
        self.url = ""

    async def __aenter__(self) -> Self:
        certificate, key = make_certificate()
        self.certificate.write_bytes(certificate)
        self.key_and_certificate.write_bytes(key + certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.key_and_certificate)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"https://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        # Ended from here and not left to the loop's end, which would cancel them and complain.
        for end in self._ends:
            end.transport.abort()
        await asyncio.gather(*self._served, return_exceptions=True)
        self._folder.cleanup()

    def lead_to(self, url: str) -> None:
        """Says where the bytes go."""
        parts = urlsplit(url)
        assert parts.hostname is not None and parts.port is not None
        self._inside = (parts.hostname, parts.port)

    async def beside(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Makes a blocking call while the front goes on."""
        return await asyncio.to_thread(call, *arguments)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert self._inside is not None and task is not None
        self._served.add(task)
        inner_reader, inner_writer = await asyncio.open_connection(*self._inside)
        ends = {writer, inner_writer}
        self._ends |= ends
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))
        self._ends -= ends
        self._served.discard(task)


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copies until one side has ended."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except (ConnectionError, ssl.SSLError):
        pass  # The other side is gone; closing this one says so.
    finally:
        writer.close()


def make_certificate() -> tuple[bytes, bytes]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "startguard conformance")])
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day).not_valid_after(now + day)
        .add_extension(here, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return certificate.public_bytes(serialization.Encoding.PEM), private
