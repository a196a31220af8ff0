#!/usr/bin/env bash
# One click of a live session over plain gRPC, by curl; protoc writes and reads the messages.
#
#     session=$(openssl rand -hex 16)
#     examples/clients/click.sh localhost:8500 "$session" sku-575 1
#     examples/clients/click.sh localhost:8500 "$session" 214 1 integer
#
# The number is the event's place in its session, from 1; "integer" if the model's item ids are integers.
set -euo pipefail
server=$1 session=$2 item=$3 position=$4 type=${5:-string}
case $type in
    string) item_value="dtype: 7 string_val: \"$item\"" ;;
    integer) item_value="dtype: 9 int64_val: $item" ;;
    *) echo "The type of item ids is string or integer. Received: $type." >&2; exit 2 ;;
esac
here=$(dirname "${BASH_SOURCE[0]}")
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

protoc --encode=tensorflow.serving.PredictRequest -I"$here" predict.proto >"$work/request" <<MESSAGE
model_spec { name: "gru4rec" signature_name: "step" }
inputs { key: "session_id" value { dtype: 7 tensor_shape { dim { size: 1 } } string_val: "$session" } }
inputs { key: "item_id" value { $item_value tensor_shape { dim { size: 1 } } } }
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
