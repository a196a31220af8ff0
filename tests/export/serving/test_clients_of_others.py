"""Clients that nobody here wrote: curl as the documents have it, and ovmsclient over gRPC and REST."""

import json
import re
import secrets
import shutil
import subprocess

import numpy as np
import pytest
from serving_support.exports import ITEMS, TOP_K

ovmsclient = pytest.importorskip("ovmsclient", reason="ovmsclient is not installed.")


@pytest.fixture(scope="module")
def lines(repository) -> list[str]:
    """The lines of curl in the page for writers of clients."""
    page = (repository / "docs" / "tasks" / "clients.md").read_text(encoding="utf-8")
    return re.findall(r"^curl .*$", page, re.MULTILINE)


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed.")
def test_curl_as_the_documents_have_it(lines, contract_addresses):
    assert len(lines) == 4
    answers = []
    for line in lines:
        named = line.replace("localhost:8501", contract_addresses[1]).replace("sku-575", ITEMS[3])
        command = f"session={secrets.token_hex(16)}; {named}"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        answers.append(json.loads(done.stdout))
    status, metadata, stepped, rows = answers
    assert status["model_version_status"][0]["state"] == "AVAILABLE"
    assert "step" in metadata["metadata"]["signature_def"]["signature_def"]
    assert stepped["outputs"]["session_length"] == [1]
    assert len(rows["predictions"][0]["item_ids"]) == TOP_K


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed.")
def test_curl_fails_with_the_servers_status(contract_addresses):
    command = [
        "curl",
        "-sS",
        "--fail",
        f"http://{contract_addresses[1]}/v1/models/other:predict",
        "-d",
        '{"inputs": [1]}',
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 22
    assert "404" in done.stderr


@pytest.fixture(params=["gRPC", "REST"])
def client(request, contract_addresses):
    address = dict(zip(("gRPC", "REST"), contract_addresses, strict=True))[request.param]
    make = {"gRPC": "make_grpc_client", "REST": "make_http_client"}[request.param]
    return getattr(ovmsclient, make)(address)


def test_ovmsclient_predicts(client, server):
    items = [[ITEMS[3], ITEMS[50]]]
    expected = server.call("recommend", item_ids=items)
    answer = client.predict({"item_ids": items}, "gru4rec", model_version=1)
    np.testing.assert_allclose(answer["scores"], expected["scores"], rtol=0, atol=1e-5)
    assert np.asarray(answer["item_ids"], str).tolist() == expected["item_ids"].astype(str).tolist()


def test_ovmsclient_reads_status_and_metadata(client):
    assert client.get_model_status("gru4rec", 1) == {
        1: {"state": "AVAILABLE", "error_code": 0, "error_message": ""}
    }
    metadata = client.get_model_metadata("gru4rec", 1)
    if "metadata" in metadata:  # over REST it knows another server's spelling, and passes on what it gets
        metadata = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert metadata["inputs"].keys() == {"item_ids"}
    assert metadata["outputs"].keys() == {"item_ids", "scores"}
