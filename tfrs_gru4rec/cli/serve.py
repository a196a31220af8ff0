"""gru4rec-serve: serves an exported model over TF Serving's gRPC API.

    gru4rec-serve --export_dir=serving/shop --port=8500

serves the largest version in serving/shop, and newer ones as they appear, until SIGTERM or SIGINT.
Clients: tfrs_gru4rec/export/serving/client.py, or any for TF Serving.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from tfrs_gru4rec.cli.command import run_command
from tfrs_gru4rec.export.serving.config import ServerConfig

# Each is a setting of ServerConfig, which has its default.
_FLAGS: tuple[tuple[Callable[..., Any], str, str], ...] = (
    (flags.DEFINE_string, "model_name", "Name that requests ask for."),
    (flags.DEFINE_string, "host", "Address to listen on."),
    (flags.DEFINE_integer, "port", "TCP port; 0 = any that is free."),
    (flags.DEFINE_float, "poll_seconds", "Time between two looks for a new version."),
    (flags.DEFINE_integer, "max_batch_size", "Rows of a request and of a merged batch."),
    (flags.DEFINE_float, "batch_wait_seconds", "How long an incomplete batch waits for more while idle."),
    (flags.DEFINE_integer, "batch_threads", "Signatures that may run at once."),
    (flags.DEFINE_integer, "model_threads", "Threads that large operations share; 0 = one a core."),
    (flags.DEFINE_integer, "max_message_bytes", "Size of a request."),
    (flags.DEFINE_integer, "max_id_bytes", "Size of one id."),
    (flags.DEFINE_integer, "max_waiting_rows", "Rows that may wait for the model."),
    (flags.DEFINE_integer, "max_concurrent_requests", "Requests in hand at once."),
    (flags.DEFINE_float, "drain_seconds", "Time that calls under way have to finish at shutdown."),
    (flags.DEFINE_integer, "metrics_port", "Port of Prometheus metrics; 0 = any that is free."),
    (flags.DEFINE_string, "metrics_host", "Address of the metrics."),
)
_TLS_FLAGS = (
    ("tls_certificate", "PEM file: the server's certificate chain; without it, no TLS."),
    ("tls_key", "PEM file: the certificate's private key."),
    ("tls_client_ca", "PEM file: the authorities that clients must be certified by."),
)


def define_flags(values: flags.FlagValues) -> None:
    """Defines the command's flags in `values`."""
    defaults = {field.name: field.default for field in dataclasses.fields(ServerConfig)}
    flags.DEFINE_string(
        "export_dir", None, "Folder that holds the version folders.", flag_values=values, required=True
    )
    flags.DEFINE_list("version_labels", [], "Names of versions: stable=3,canary=4.", flag_values=values)
    for define, name, meaning in _FLAGS:
        define(name, defaults[name], meaning, flag_values=values)
    for name, meaning in _TLS_FLAGS:
        flags.DEFINE_string(name, None, meaning, flag_values=values)


def read_config(values: flags.FlagValues) -> ServerConfig:
    """Makes the settings from parsed flags.

    Raises:
      ValueError: a setting is out of its range.
    """
    settings: dict[str, Any] = {name: values[name].value for _, name, _ in _FLAGS}
    for name, _ in _TLS_FLAGS:
        path = values[name].value
        settings[name] = pathlib.Path(path) if path else None
    return ServerConfig(
        export_dir=pathlib.Path(values["export_dir"].value or "."),
        version_labels=parse_labels(values["version_labels"].value or []),
        **settings,
    )


def parse_labels(pairs: Sequence[str]) -> dict[str, int]:
    """Reads "label=version" pairs.

    Raises:
      ValueError: a pair is not of that form.
    """
    labels = {}
    for pair in pairs:
        label, _, version = pair.partition("=")
        if not label or not version.isascii() or not version.isdigit():
            raise ValueError(f"A version label must be label=number. Received: {pair!r}.")
        labels[label] = int(version)
    return labels


def main(values: flags.FlagValues) -> int:
    """Serves until stopped by SIGTERM or SIGINT.

    Args:
      values: parsed flags.

    Returns:
      Exit code.
    """
    config = read_config(values)
    # Loads TensorFlow, so not before the flags have been found right.
    from tfrs_gru4rec.export.serving import server

    def announce(listening: server.Listening) -> None:
        print(f"serving {config.model_name} version {listening.version or '(none yet)'}")
        if listening.metrics_address:
            print(f"metrics on http://{listening.metrics_address}/metrics")
        print(f"listening on {listening.address}", flush=True)

    server.run(config, announce)
    return 0


def run() -> None:
    """Runs the command."""
    run_command("gru4rec-serve", define_flags, main)


if __name__ == "__main__":
    run()
