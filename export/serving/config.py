"""Settings of the embedded server."""

import dataclasses
import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from tfrs_gru4rec.checks import require, require_at_least
from tfrs_gru4rec.export import signatures
from tfrs_gru4rec.settings import Range, Settings

_Port = Range(at_least=0, at_most=65535)
_Count = Annotated[int, Range(above=0)]
_NotNegative = Annotated[float, Range(at_least=0)]


@dataclasses.dataclass(frozen=True)
class ServerConfig(Settings):
    """Where the server finds models, where it listens, and how much it takes on.

    >>> ServerConfig(Path("."), version_labels={"stable": 3}).port
    8500

    Attributes:
      export_dir: folder that holds the version folders.
      model_name: name that requests must ask for.
      host: address to listen on.
      port: TCP port of gRPC; 0: any that is free.
      rest_port: TCP port of TF Serving's REST API, with the Prometheus metrics at /metrics and the health at /healthz;
        none: none of these, 0: any port that is free.
      version_labels: names of versions, as in stable=3,canary=4.
      poll_seconds: time between two looks at the folder.
      probe_seconds: time between two looks whether the model still takes steps, and how long a look may take.
      max_batch_size: rows of a request and of a merged batch.
      batch_wait_seconds: how long an incomplete batch waits for more while the model is idle.
      batch_threads: signatures that may run at once.
      model_threads: threads that large operations share; 0: one a core.
      max_message_bytes: size of a request; the default takes the largest row of the contract.
      max_id_bytes: bytes of one string in a request.
      max_waiting_rows: rows that wait for the model, those of step and of all else apart, a row of many ids for
        one a 16 ids, and no less than one a 16 KiB; beyond, requests get UNAVAILABLE.
      max_concurrent_requests: requests in hand, health checks apart; beyond, they get UNAVAILABLE. Connections of REST,
        too; those beyond are closed.
      receive_seconds: time in which a request must have come in whole; over gRPC between half of it and all of it.
      handle_seconds: time in which it must have been answered.
      refusal_seconds: a call with a wrong request waits so long for its error, so that a loop of them costs little.
      max_streams: calls under way on one connection; further ones wait in the client.
      connection_idle_seconds: a connection without a call for so long is closed.
      connection_age_seconds: a connection of gRPC is closed after so long; clients make a new one and lose no call.
      drain_seconds: time that calls under way have to finish at shutdown.
      unavailable_path: text file with an item id a line: items not to recommend at first; clients change that by
        `set_availability`, which survives new versions but not the server's end.
      tls_certificate: PEM file of the server's certificate chain; none: no TLS.
      tls_key: PEM file of the certificate's private key.
      tls_client_ca: PEM file of the authorities that clients must be certified by; none: any client.
    """

    export_dir: Path
    model_name: str = signatures.DEFAULT_MODEL_NAME
    host: str = "127.0.0.1"
    port: Annotated[int, _Port] = 8500
    rest_port: Annotated[int | None, _Port] = None
    version_labels: Annotated[Mapping[str, int], Range(at_least=0)] = dataclasses.field(default_factory=dict)
    poll_seconds: Annotated[float, Range(above=0)] = 1.0
    probe_seconds: Annotated[float, Range(above=0)] = 5.0
    max_batch_size: Annotated[int, Range(at_least=1, at_most=signatures.MAX_BATCH)] = 128
    batch_wait_seconds: _NotNegative = 0.0
    batch_threads: _Count = 2
    model_threads: Annotated[int, Range(at_least=0)] = 0
    max_message_bytes: _Count = 4 << 20
    max_id_bytes: _Count = signatures.MAX_ITEM_ID_BYTES
    max_waiting_rows: int = 4096
    max_concurrent_requests: _Count = 1024
    receive_seconds: Annotated[float, Range(above=0)] = 5.0
    handle_seconds: Annotated[float, Range(above=0)] = 30.0
    refusal_seconds: _NotNegative = 0.1
    max_streams: _Count = 256
    connection_idle_seconds: _Count = 300
    connection_age_seconds: _Count = 3600
    drain_seconds: _NotNegative = 10.0
    unavailable_path: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.export_dir.is_dir(), "export_dir must be a folder.", export_dir=str(self.export_dir))
        require(bool(self.model_name), "model_name must not be empty.", model_name=self.model_name)
        require_at_least(self.max_batch_size, max_waiting_rows=self.max_waiting_rows)
        require(
            (self.tls_certificate is None) == (self.tls_key is None),
            "tls_certificate and tls_key go together.",
            tls_certificate=self.tls_certificate,
            tls_key=self.tls_key,
        )
        require(
            self.tls_client_ca is None or self.tls_key is not None,
            "tls_client_ca needs tls_certificate and tls_key.",
            tls_client_ca=self.tls_client_ca,
        )

    @property
    def is_local(self) -> bool:
        """Whether this machine alone can reach the server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"
