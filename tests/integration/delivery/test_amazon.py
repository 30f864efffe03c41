"""What is fetched from Amazon: over TLS that is checked, without following anything, and within bounds."""

import http.server
import ssl
import threading

import pytest
from delivery.use_cases.amazon import MOST_BYTES, Amazon, Unfetched

from tests.fixtures.certificates import self_made


@pytest.fixture
def server(tmp_path):
    """An HTTPS server; what it was asked for, and the certificate to trust."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if self.path.startswith("/away"):
                self.send_response(302)
                self.send_header("Location", "/elsewhere")
                self.end_headers()
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"x" * (MOST_BYTES + 1) if self.path == "/large" else b"pem")

        def log_message(self, *_):
            """Nothing."""

    certificate, key = self_made(tmp_path)
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    made.socket = context.wrap_socket(made.socket, server_side=True)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield f"https://127.0.0.1:{made.server_port}", asked, certificate
    made.shutdown()
    thread.join()
    made.server_close()


async def test_a_certificate_is_fetched_once_and_nothing_is_followed(server):
    url, asked, certificate = server
    amazon = Amazon()
    amazon._context = ssl.create_default_context(cafile=str(certificate))
    assert [await amazon.certificate(f"{url}/a.pem") for _ in range(2)] == [b"pem", b"pem"]
    assert await amazon.fetch(f"{url}/?Action=x&Token=y") == b"pem"
    assert len(await amazon.fetch(f"{url}/large")) == MOST_BYTES
    with pytest.raises(Unfetched):
        await amazon.fetch(f"{url}/away")
    assert asked == ["/a.pem", "/?Action=x&Token=y", "/large", "/away"]


async def test_a_host_that_cannot_prove_itself_is_not_believed(server):
    url, asked, _ = server
    with pytest.raises(Unfetched):
        await Amazon().certificate(f"{url}/a.pem")
    with pytest.raises(Unfetched):
        await Amazon().certificate("https://127.0.0.1:1/a.pem")
    assert asked == []
