"""gru4rec-serve: serves an exported model over TF Serving's gRPC API.

    gru4rec-serve --export_dir=serving/shop --port=8500

serves the largest version in serving/shop, and newer ones as they appear, until SIGTERM or SIGINT.
Clients: tfrs_gru4rec/export/serving/client.py, or any for TF Serving.
"""

from absl import logging

from tfrs_gru4rec.cli.command import Command
from tfrs_gru4rec.export.serving.config import ServerConfig


def main(server: ServerConfig) -> int:
    """Serves until stopped by SIGTERM or SIGINT; returns the exit code."""
    logging.info("Loading what is in %s.", server.export_dir)
    # Loads TensorFlow, so not before the flags have been found right.
    from tfrs_gru4rec.export.serving.server import Listening, run

    def announce(listening: Listening) -> None:
        print(f"serving {server.model_name} version {listening.version or '(none yet)'}")
        if listening.metrics_address:
            print(f"metrics on http://{listening.metrics_address}/metrics")
        print(f"listening on {listening.address}", flush=True)

    run(server, announce)
    return 0


COMMAND = Command("gru4rec-serve", main)
run = COMMAND.run

if __name__ == "__main__":
    run()
