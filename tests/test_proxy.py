"""The configuration of nginx in examples/, read by nginx, and calls through it to an echo of gRPC."""

import contextlib
import os
import shutil
import socket
import subprocess
from concurrent import futures

import grpc
import pytest

# Debian and others keep it where only root looks.
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
PREDICT = "/tensorflow.serving.PredictionService/Predict"

pytestmark = [
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed"),
]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority, and a certificate of it for the server and for a client."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new_key = ("req", "-newkey", "rsa:2048", "-nodes")
    openssl(
        *new_key, "-x509", "-days", "2", "-keyout", "ca.key", "-out", "clients.crt", "-subj", "/CN=authority"
    )
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    for name in ("server", "client"):
        openssl(*new_key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signing = ("-CA", "clients.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names")
        openssl("x509", "-req", "-days", "2", "-in", f"{name}.csr", "-out", f"{name}.crt", *signing)
    return folder


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Echo(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(lambda request, context: request)


@pytest.fixture
def echo():
    """The port of a server that sends back what it gets."""
    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[Echo()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None).wait()


@contextlib.contextmanager
def proxy(repository, folder, certificates, upstream, **changes):
    """Runs nginx with the example's configuration on free ports; gives the port to call."""
    port, text = free_port(), (repository / "examples" / "nginx.conf").read_text()
    for old, new in {
        "8443": f"127.0.0.1:{port}",
        "127.0.0.1:8500": f"127.0.0.1:{upstream}",
        **changes,
    }.items():
        assert old in text
        text = text.replace(old, new)
    for path in certificates.iterdir():
        shutil.copy(path, folder)
    (folder / "nginx.conf").write_text(text)
    command = [NGINX, "-p", str(folder), "-c", "nginx.conf"]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    process = subprocess.Popen([*command, "-g", "daemon off;"])
    try:
        yield port
    finally:
        process.terminate()
        process.wait(10)


def call(port, certificates, method=PREDICT, with_certificate=True, request=b"click"):
    def read(name):
        return (certificates / name).read_bytes() if with_certificate or name == "clients.crt" else None

    credentials = grpc.ssl_channel_credentials(read("clients.crt"), read("client.key"), read("client.crt"))
    with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
        return channel.unary_unary(method)(request, timeout=10, wait_for_ready=with_certificate)


def refused(*arguments, **named):
    with pytest.raises(grpc.RpcError) as error:
        call(*arguments, **named)
    return error.value.code()


def test_calls_pass_with_a_certificate_alone(repository, tmp_path, certificates, echo):
    with proxy(repository, tmp_path, certificates, echo) as port:
        assert call(port, certificates) == b"click"
        assert len(call(port, certificates, request=bytes(2**20))) == 2**20
        assert refused(port, certificates, with_certificate=False) in (
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.UNKNOWN,
            grpc.StatusCode.INTERNAL,
        )
        assert refused(port, certificates, "/grpc.health.v1.Health/Check") == grpc.StatusCode.UNIMPLEMENTED


def test_what_is_over_the_quota_is_refused_and_the_rest_passes(repository, tmp_path, certificates, echo):
    slow = {"2000r/s": "1r/m", "burst=400": "burst=1"}
    with proxy(repository, tmp_path, certificates, echo, **slow) as port:
        assert [call(port, certificates), call(port, certificates)] == [b"click", b"click"]
        assert refused(port, certificates) == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_server_that_is_away_is_said_to_be(repository, tmp_path, certificates):
    with proxy(repository, tmp_path, certificates, free_port()) as port:
        assert refused(port, certificates) == grpc.StatusCode.UNAVAILABLE
