"""Certificates for tests of TLS."""

import pathlib
import subprocess

import pytest


def make_certificates(folder: pathlib.Path) -> dict[str, bytes]:
    """Writes an authority's certificate, a server's for localhost and a client's; returns the files."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    try:
        openssl("version")
    except FileNotFoundError:
        pytest.skip("openssl is not installed, so no certificates can be made.")
    new_key = ("req", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    # From Python 3.13 on, clients refuse an authority that does not say what its key is for, and a
    # certificate that does not name the key that signed it.
    authority = ("-subj", "/CN=test authority", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl(*new_key, "-x509", "-keyout", "ca.key", "-out", "ca.pem", *authority)
    for name in ("server", "client"):
        openssl(*new_key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (folder / "extensions").write_text(
            "subjectAltName=DNS:localhost,IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n"
        )
        signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "extensions")
        openssl("x509", "-req", "-days", "2", "-in", f"{name}.csr", "-out", f"{name}.pem", *signing)
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
