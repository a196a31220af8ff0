"""gru4rec-inspect on a folder that gru4rec-train wrote, with weights set by hand."""

import json
import shutil

import numpy as np
import pytest
from google.protobuf import text_format
from tensorboard.plugins.projector import ProjectorConfig

from tfrs_gru4rec.cli import inspect, train
from tfrs_gru4rec.training import ModelFolder, load_model
from tfrs_gru4rec.training.checkpoints import Checkpointer

LOG = "SessionId\tItemId\tTime\n1\tred\t1\n1\tred\t2\n1\tblue\t3\n1\tblue\t4\n2\tred\t5\n2\tgreen\t6\n"


@pytest.fixture(scope="module")
def model_dir(uncompiled, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    (folder / "log.tsv").write_text(LOG)
    flags = {"train_path": folder / "log.tsv", "test_path": folder / "log.tsv", "model_dir": folder / "model"}
    flags |= {"layers": 2, "batch_size": 2, "n_sample": 2, "n_epochs": 1, "k": "1,2", "baselines": False}
    train.COMMAND.work(["gru4rec-train", *(f"--{name}={value}" for name, value in flags.items())])
    model = load_model(folder / "model")  # rows: red, blue, green
    model.embedding.output_table.assign(np.array([[2.0, 0.0], [0.0, 5.0], [3.0, 4.0]]))
    model.embedding.output_bias.assign(np.array([0.5, -1.0, 2.0]).reshape(model.embedding.output_bias.shape))
    Checkpointer(model, ModelFolder(folder / "model").checkpoints_path, keep=9).save(1, 0, [])
    return folder / "model"


def shown(capsys, *flags):
    inspect.COMMAND.work(["gru4rec-inspect", *flags])
    return capsys.readouterr().out.splitlines()


def test_what_a_folder_holds(model_dir, tmp_path, capsys):
    (tmp_path / "shop" / "3").mkdir(parents=True)
    lines = shown(capsys, f"--model_dir={model_dir}", "--top_k=2", f"--export_dir={tmp_path / 'shop'}")
    found = dict(line.split(": ", 1) for line in lines if ": " in line)
    assert "layers=[2]" in found["model"]
    assert "batch_size=2" in found["training"]
    assert found["data"].startswith("events=6, sessions=2, items=3")
    assert found["epochs"].startswith("1, loss ")
    assert any(line.split()[:3] == ["recall@1", "recall@2", "MRR@2"] for line in lines)
    assert found["checkpoints"].startswith("ckpt-1")
    assert found["exports"] == "3"
    assert found["largest bias"] == "green (2.000), red (0.500)"
    assert found["smallest bias"] == "blue (-1.000), red (0.500)"


def test_what_recommends_is_named_and_checkpoints_are_in_order(model_dir, tmp_path, capsys):
    copied = shutil.copytree(model_dir, tmp_path / "model")
    report = json.loads((copied / "report.json").read_text())
    report["test"]["recommender"] = "neighbours"
    (copied / "report.json").write_text(json.dumps(report))
    newest = sorted((copied / "checkpoints").glob("ckpt-*"))
    for path in newest:
        shutil.copy(path, path.with_name(path.name.replace(path.stem, f"{path.stem}0", 1)))
    lines = shown(capsys, f"--model_dir={copied}")
    assert any(line.startswith("neighbours") for line in lines)
    numbers = [
        int(name[5:])
        for line in lines
        if line.startswith("checkpoints")
        for name in line.split(": ")[1].split(", ")
    ]
    assert numbers == sorted(numbers)
    assert len({len(str(number)) for number in numbers}) == 2


def test_nearest_items(model_dir, capsys):
    lines = shown(capsys, f"--model_dir={model_dir}", "--item=blue")
    assert lines[-3:] == [
        "item blue: 2 events, bias -1.000; nearest:",
        "  green  0.8000",
        "  red  0.0000",
    ]
    with pytest.raises(ValueError, match="does not know this item. Received: item='grey'"):
        shown(capsys, f"--model_dir={model_dir}", "--item=grey")


def test_names_of_items_in_tables_and_in_the_projector(model_dir, tmp_path, capsys):
    path = tmp_path / "items.csv"
    path.write_text('id,title,shop\nblue,"Blue\tlamp",north\nred,Red desk,south\n')
    flags = (f"--model_dir={model_dir}", f"--item_columns={path}")
    assert shown(capsys, *flags, "--item=blue")[-3:] == [
        "item blue [Blue\tlamp, north]: 2 events, bias -1.000; nearest:",
        "  green  0.8000",
        "  red [Red desk, south]  0.0000",
    ]
    assert shown(capsys, *flags, "--projector")[-1].startswith("projector: 3 items")
    config = ProjectorConfig()
    text_format.Parse((model_dir / "logs" / "projector_config.pbtxt").read_text(), config)
    (embedding,) = config.embeddings
    weights = np.loadtxt(model_dir / "logs" / embedding.tensor_path)
    assert weights.tolist() == [[2.0, 0.0], [0.0, 5.0], [3.0, 4.0]]
    assert (model_dir / "logs" / embedding.metadata_path).read_text().splitlines() == [
        "item\tevents\ttitle\tshop",
        "red\t3\tRed desk\tsouth",
        "blue\t2\tBlue lamp\tnorth",
        "green\t1\t\t",
    ]
