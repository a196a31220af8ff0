#!/usr/bin/env bash
# One click of a live session over plain gRPC, by curl; protoc writes and reads the messages.
#
#     examples/clients/click.sh localhost:8500 visitor-17 sku-575 1
#
# The last number is the event's place in its session, from 1. Integer ids: dtype: 9 and int64_val in place of
# dtype: 7 and string_val.
set -euo pipefail
server=$1 session=$2 item=$3 position=$4
here=$(dirname "${BASH_SOURCE[0]}")
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

protoc --encode=tensorflow.serving.PredictRequest -I"$here" predict.proto >"$work/request" <<MESSAGE
model_spec { name: "gru4rec" signature_name: "step" }
inputs { key: "session_id" value { dtype: 7 tensor_shape { dim { size: 1 } } string_val: "$session" } }
inputs { key: "item_id" value { dtype: 7 tensor_shape { dim { size: 1 } } string_val: "$item" } }
inputs { key: "position" value { dtype: 9 tensor_shape { dim { size: 1 } } int64_val: $position } }
MESSAGE

# gRPC puts five bytes before a message: 0, that is not compressed, and the length, the most significant byte first.
length=$(printf '%08x' "$(wc -c <"$work/request")")
{ printf '\0'; printf "\\x${length:0:2}\\x${length:2:2}\\x${length:4:2}\\x${length:6:2}"; cat "$work/request"; } |
    curl --silent --show-error --http2-prior-knowledge --header 'content-type: application/grpc' --header 'te: trailers' \
        --data-binary @- --dump-header "$work/headers" --output "$work/response" \
        "http://$server/tensorflow.serving.PredictionService/Predict"
grep -qi '^grpc-status: 0' "$work/headers" || { grep -i '^grpc-' "$work/headers" >&2; exit 1; }
tail -c +6 "$work/response" | protoc --decode=tensorflow.serving.PredictResponse -I"$here" predict.proto
