"""Items out of stock: set by a client while the server runs, and kept over a version push."""

import types

import pytest
from serving_support.exports import ITEMS, UNKNOWN_ITEM, publish_copy
from serving_support.servers import serving, until
from tensorflow.core.framework import types_pb2

from tfrs_gru4rec.export.serving.availability import Availability
from tfrs_gru4rec.export.serving.client import Filters, SessionClient
from tfrs_gru4rec.export.signatures import SET_AVAILABILITY


def test_what_is_withdrawn_stays_withdrawn_over_a_version_push(real_export, tmp_path):
    export_dir = tmp_path / "shop"
    publish_copy(real_export, export_dir, 1)
    unavailable = tmp_path / "unavailable.txt"
    unavailable.write_text(f"{ITEMS[0]}\n\n{UNKNOWN_ITEM}\n")
    settings = {"poll_seconds": 0.05, "unavailable_path": unavailable}
    with serving(export_dir, **settings) as server, SessionClient(server.address) as client:

        def popular():
            return client.recommend([UNKNOWN_ITEM]).item_ids

        assert popular() == ITEMS[1:11]
        client.set_availability([ITEMS[1], UNKNOWN_ITEM], False)
        client.set_availability(ITEMS[:1], True)
        client._availability.clear()  # so that it is the server that tells the next version
        wanted = [ITEMS[0], *ITEMS[2:11]]
        assert popular() == wanted
        publish_copy(real_export, export_dir, 2)
        until(lambda: popular() == wanted and client._servers[server.address].version == 2)
        many = Filters(exclude_ids=ITEMS[2:5])
        assert client.recommend([UNKNOWN_ITEM], many).item_ids == [ITEMS[0], *ITEMS[5:14]]
        clicked = client.click("a", ITEMS[7], Filters(exclude_seen=True))
        assert ITEMS[7] not in clicked.item_ids
        assert client.click("a", ITEMS[9], Filters(allow_groups=["no group"])).item_ids == []


def test_a_new_version_is_told_of_all_that_are_ids_of_its(caplog):
    availability, told = Availability(), []
    integers = [2**63 - 1, -(2**63), 0]
    foreign = [b"lamp", b"9223372036854775808", b"1_0"]
    availability.remember([*integers, *foreign], [False] * 6)
    item_id = types.SimpleNamespace(dtype=types_pb2.DT_INT64)
    definitions = {SET_AVAILABILITY.name: types.SimpleNamespace(inputs={"item_id": item_id})}
    availability.tell(
        types.SimpleNamespace(
            version=2, signature_defs=definitions, call=lambda name, item_id, available: told.extend(item_id)
        )
    )
    assert sorted(told) == sorted(integers)
    assert all(item.decode() in caplog.text for item in foreign)


@pytest.mark.slow
def test_the_client_tells_another_version_of_a_server_that_forgets(real_export, tmp_path):
    versions = [publish_copy(real_export, tmp_path / str(number), number).parent for number in (1, 2)]
    with serving(versions[0]) as first, SessionClient(first.address) as client:
        client.set_availability(ITEMS[:2], False)
        assert client.recommend([UNKNOWN_ITEM]).item_ids == ITEMS[2:12]
        with serving(versions[1]) as second, SessionClient(second.address) as other:
            # As if the one server had been replaced by the other.
            client._servers[first.address]._call = other._servers[second.address]._call
            client.recommend([UNKNOWN_ITEM])
            assert client.recommend([UNKNOWN_ITEM]).item_ids == ITEMS[2:12]
            assert other.recommend([UNKNOWN_ITEM]).item_ids == ITEMS[2:12]
