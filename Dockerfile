# The product in an image: gru4rec-serve by default, and every other command.
#
#   docker build --tag gru4rec .
#   docker run --rm --publish 127.0.0.1:8500:8500 --publish 127.0.0.1:8501:8501 --volume "$PWD/exports/shop:/exports:ro" gru4rec
#   docker run --rm --volume "$PWD:/shop" --user "$(id -u)" --entrypoint gru4rec-train gru4rec \
#       --train_path /shop/train.tsv --model_dir /shop/model
FROM python:3.13-slim AS build
WORKDIR /source
COPY . .
# Every file is checked by its hash; what builds from source comes first, so that no build fetches tools of its own.
RUN python -m venv /opt/gru4rec \
    && sed -n '/^\(packaging\|pip\|setuptools\|wheel\)==/,/[^\\]$/p' requirements.lock > /tmp/build-tools.lock \
    && /opt/gru4rec/bin/python -m pip install --no-cache-dir --require-hashes --requirement /tmp/build-tools.lock \
    && /opt/gru4rec/bin/python -m pip install --no-cache-dir --require-hashes --no-build-isolation --requirement requirements.lock \
    && /opt/gru4rec/bin/python -m pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
COPY --from=build /opt/gru4rec /opt/gru4rec
RUN useradd --system --uid 10001 --create-home gru4rec
USER gru4rec
WORKDIR /home/gru4rec
ENV PATH="/opt/gru4rec/bin:$PATH" TF_CPP_MIN_LOG_LEVEL=3
EXPOSE 8500 8501
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/healthz', timeout=2)"]
# Who can reach a port can use any session whose id he knows: publish to loopback, or add --tls_certificate (SECURITY.md).
ENTRYPOINT ["gru4rec-serve", "--host=0.0.0.0", "--rest_port=8501", "--export_dir=/exports"]
