"""Settings of the server are checked where they are made."""

import dataclasses
import pathlib

import pytest

from tfrs_gru4rec.export import signatures
from tfrs_gru4rec.export.serving.config import ServerConfig


def test_defaults_are_closed_to_the_outside(tmp_path):
    config = ServerConfig(tmp_path)
    assert config.host == "127.0.0.1"
    assert config.is_local
    assert config.rest_port is None
    assert config.max_id_bytes >= max(signatures.MAX_ITEM_ID_BYTES, signatures.MAX_SESSION_ID_BYTES)
    assert config.max_batch_size <= signatures.MAX_BATCH


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"export_dir": pathlib.Path("nowhere")}, "export_dir must be a folder"),
        ({"model_name": ""}, "model_name must not be empty"),
        ({"port": 65536}, "port must be 0 to 65535"),
        ({"port": -1}, "port must be 0 to 65535"),
        ({"rest_port": 70000}, "rest_port must be 0 to 65535"),
        ({"poll_seconds": 0.0}, "poll_seconds must be greater than 0"),
        ({"max_message_bytes": 0}, "max_message_bytes must be greater than 0"),
        ({"max_batch_size": 0}, "max_batch_size must be 1 to 1024"),
        ({"max_batch_size": 1025}, "max_batch_size must be 1 to 1024"),
        ({"max_waiting_rows": 127}, "max_waiting_rows must be at least 128"),
        ({"batch_wait_seconds": -0.1}, "batch_wait_seconds must be at least 0"),
        ({"batch_threads": 0}, "batch_threads must be greater than 0"),
        ({"tls_key": pathlib.Path("key")}, "tls_certificate and tls_key go together"),
        ({"tls_certificate": pathlib.Path("certificate")}, "tls_certificate and tls_key go together"),
        ({"tls_client_ca": pathlib.Path("ca")}, "tls_client_ca needs"),
    ],
)
def test_settings_out_of_range(tmp_path, setting, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(ServerConfig(tmp_path), **setting)


@pytest.mark.parametrize(
    ("host", "is_local"),
    [("localhost", True), ("::1", True), ("127.1.2.3", True), ("0.0.0.0", False), ("shop.example", False)],
)
def test_which_hosts_are_this_machine_alone(tmp_path, host, is_local):
    assert ServerConfig(tmp_path, host=host).is_local == is_local
