"""A version that would break the clients of an export folder is not published."""

import pytest
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2

from tfrs_gru4rec.export.contract import Contract, read_contract, served_contract
from tfrs_gru4rec.export.publishing import publish, versions


def write(dtype=types_pb2.DT_INT64, top_k=20, signatures=("step", "score")):
    """Returns a writer of a file that declares signatures and holds no graph."""

    def write_declaration(folder):
        model = saved_model_pb2.SavedModel()
        definitions = model.meta_graphs.add().signature_def
        for name in (*signatures, "__saved_model_init_op"):
            definitions[name].method_name = "predict"
        default = definitions["serving_default"]
        default.inputs["item_ids"].dtype = dtype
        for size in (-1, top_k):
            default.outputs["item_ids"].tensor_shape.dim.add(size=size)
        (folder / "saved_model.pb").write_bytes(model.SerializeToString())

    return write_declaration


def test_a_contract_is_read_from_the_files(tmp_path):
    publish(tmp_path, 3, write())
    (tmp_path / "4").mkdir()
    expected = Contract("integer", 20, frozenset({"step", "score", "serving_default"}))
    assert read_contract(tmp_path / "3") == expected
    assert served_contract(tmp_path) == (3, expected)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"dtype": types_pb2.DT_STRING}, "one type.*served_version=3, served='integer', new='string'"),
        ({"top_k": 19}, "top_k of at least that.*served=20, new=19"),
        ({"signatures": ("score",)}, "lacks.*gone=\\['step'\\]"),
    ],
)
def test_what_clients_rely_on_stays(tmp_path, broken, message):
    publish(tmp_path, 3, write())
    with pytest.raises(ValueError, match=message) as error:
        publish(tmp_path, None, write(**broken))
    assert "\n" not in str(error.value)
    assert versions(tmp_path) == [3]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3"]


def test_more_may_be_offered(tmp_path):
    publish(tmp_path, None, write())
    publish(tmp_path, None, write(top_k=21, signatures=("step", "score", "stats")))
    assert versions(tmp_path) == [1, 2]
