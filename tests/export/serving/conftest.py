"""Version folders, and servers of them."""

import gc
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator

import pytest
from serving_support import calls, exports, rest_calls, servers, tiny_models

from tfrs_gru4rec.export import stock_operations


@pytest.fixture(scope="session", autouse=True)
def tiny_models_are_served() -> Iterator[None]:
    """Lets servers of this process take the models of the tests, whose operations are not those of an export.

    And spares them, as a server does, the collection of what is there already.
    """
    gc.freeze()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stock_operations, "ALLOWED", stock_operations.ALLOWED | tiny_models.OPERATIONS)
        yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def tiny_versions(tmp_path_factory) -> pathlib.Path:
    """A folder with versions 1 and 2 of the counting model, the second with a warm-up; not to be changed."""
    folder = tmp_path_factory.mktemp("tiny")
    tiny_models.save(folder, 1)
    tiny_models.save(folder, 2, warm_up_ids=("warm-1", "warm-2"))
    return folder


@pytest.fixture
def publish(tiny_versions, tmp_path) -> Callable[..., pathlib.Path]:
    """Copies a version of the counting model into an export folder of this test, whole at once."""
    export_dir = tmp_path / "export"
    export_dir.mkdir()

    def copy(version: int, source: int = 1) -> pathlib.Path:
        hidden = export_dir / f".{version}"
        shutil.copytree(tiny_versions / str(source), hidden)
        return hidden.rename(export_dir / str(version))

    return copy


@pytest.fixture(scope="session")
def real_export(tmp_path_factory) -> pathlib.Path:
    """Version 1 of a real export of random weights; not to be changed."""
    return exports.write_export(tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="session")
def contract_addresses(real_export) -> Iterator[tuple[str, str]]:
    """Addresses, gRPC and REST, of a server of the real export: the embedded one, or a TensorFlow Serving.

    TF_SERVING_TARGET and TF_SERVING_REST_TARGET name its ports. It must serve, under the name gru4rec, what
    `PYTHONPATH=tests python -m serving_support.exports FOLDER` writes.
    """
    target = os.environ.get("TF_SERVING_TARGET")
    if target:
        yield target, os.environ.get("TF_SERVING_REST_TARGET", "")
        return
    with servers.serving(real_export.parent, rest_port=0) as server:
        yield server.address, server.rest_address


@pytest.fixture(scope="session")
def contract_address(contract_addresses) -> str:
    """The address of gRPC."""
    return contract_addresses[0]


@pytest.fixture(scope="session")
def server(contract_address) -> Iterator[calls.Caller]:
    """Calls that server over gRPC."""
    caller = calls.Caller(contract_address)
    yield caller
    caller.channel.close()


@pytest.fixture(scope="session")
def grpc_server(server) -> calls.Caller:
    """The same, for modules whose `server` is asked over either."""
    return server


@pytest.fixture(scope="session")
def rest(contract_addresses) -> rest_calls.RestCaller:
    """Calls that server over REST."""
    if not contract_addresses[1]:
        pytest.skip("TF_SERVING_REST_TARGET does not say where TensorFlow Serving's REST API is.")
    return rest_calls.RestCaller(f"http://{contract_addresses[1]}/v1/models/gru4rec")
