"""Sets as data: a made-up one, small enough to work by hand."""

import pytest

from tfrs_gru4rec.datasets.recipe import Recipe
from tfrs_gru4rec.datasets.source import Columns, Source, load_splits, read_source
from tfrs_gru4rec.events.delimited import Layout

HOUR = 3_600
COLUMNS = Columns("user", "item", "at", kind=("kind", "view"))
RULES = {"min_length": 1, "min_support": 1, "gap_seconds": HOUR}
TEXT = "user;item;at;kind\n7;50;0;view\n7;60;3000;cart\n7;50;6000;view\n8;70;9000;view\n"


def shop(folder, **changes):
    (folder / "log.csv").write_text(TEXT)
    settings = {"columns": COLUMNS, "layout": Layout(";"), "recipe": Recipe(**RULES, test_from=8_000)}
    return Source(files=("log.csv",), **{**settings, **changes})


def test_a_source_is_read_and_follows_its_recipe(tmp_path):
    loaded = load_splits(shop(tmp_path), tmp_path)
    train, test = loaded.splits["train"], loaded.splits["test"]
    assert loaded.item_ids[train.items].tolist() == [50, 50]
    assert train.sessions.tolist() == [0, 1]  # 6,000 s apart
    assert loaded.item_ids[test.items].tolist() == [70]
    assert test.times.tolist() == [9_000]


def test_events_of_other_kinds_are_read_only_if_they_count_for_pauses(tmp_path):
    log = read_source(shop(tmp_path), tmp_path)
    assert log.item_ids[log.events.items].tolist() == [50, 50, 70]
    bridged = shop(tmp_path, recipe=Recipe(**RULES, gap_over_all_events=True, collapse_repeats=False))
    log = read_source(bridged, tmp_path)
    assert log.item_ids.tolist() == [50, 60, 70]
    assert log.events.items.tolist() == [0, -1, 0, 2]
    assert load_splits(bridged, tmp_path).splits["train"].sessions.tolist() == [0, 0, 1]


def test_text_ids_may_lack_the_item_which_makes_no_event_to_keep(tmp_path):
    source = shop(tmp_path, columns=Columns("user", "item", "at", has_text_ids=True))
    (tmp_path / "log.csv").write_text("user;item;at\nbob;lamp;1\nann;;2\nann;desk;3\n")
    log = read_source(source, tmp_path)
    assert log.events.sessions.tolist() == [1, 0, 0]  # they sort as the names do
    assert log.item_ids.tolist() == ["", "desk", "lamp"]
    assert log.events.items.tolist() == [2, -1, 1]


def test_times_may_count_from_the_first_day_of_the_session(tmp_path):
    source = shop(tmp_path, columns=Columns("user", "item", "at", day="day", ticks_per_second=1_000))
    (tmp_path / "log.csv").write_text(
        "user;item;at;day\n1;5;900;1970-01-03\n1;6;20;1970-01-02\n2;5;7;1970-01-01\n"
    )
    assert read_source(source, tmp_path).events.times.tolist() == [86_400_900, 86_400_020, 7]


def test_a_set_with_rules_of_its_own_is_not_split_by_a_recipe(tmp_path):
    with pytest.raises(ValueError, match=r"without a recipe.*log\.csv"):
        load_splits(shop(tmp_path, recipe=None), tmp_path)


def test_declarations_load_no_tensorflow(run_fresh):
    code = "import sys\nfrom tfrs_gru4rec.datasets import published\nprint('tensorflow' in sys.modules)"
    ended = run_fresh(code)
    assert ended.stdout.strip() == "False", ended.stderr
