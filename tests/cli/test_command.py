"""The installed commands as a user meets them: help, presets, errors in one line."""

import dataclasses
import importlib
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import pytest

import tfrs_gru4rec
from tfrs_gru4rec.cli import train
from tfrs_gru4rec.cli.command import Command
from tfrs_gru4rec.cli.flag_groups import UsageError
from tfrs_gru4rec.cli.help_text import help_text
from tfrs_gru4rec.cli.presets import expand
from tfrs_gru4rec.config import GRU4RecConfig, TrainingConfig
from tfrs_gru4rec.presets import PRESETS
from tfrs_gru4rec.settings import OneOf, Range, Setting, Settings, settings_of

COMMANDS = ("train", "tune", "daily", "evaluate", "export", "serve", "recommend", "prepare", "inspect")

# facts: loss, layers, batch, drop embed, drop hidden, learning rate, momentum, sample_alpha, bpreg, logq, final_act
RECIPES = {
    "rsc15": ("cross-entropy", 100, 32, 0.1, 0, 0.1, 0, 0.75, None, 1, "linear"),
    "yoochoose": ("cross-entropy", 480, 48, 0, 0.2, 0.07, 0, 0.2, None, 1, "linear"),
    "rees46": ("cross-entropy", 512, 240, 0.45, 0, 0.065, 0, 0.5, None, 1, "linear"),
    "coveo": ("bpr-max", 512, 144, 0.35, 0, 0.05, 0.4, 0.2, 1.85, 0, "elu-1"),
    "retailrocket": ("bpr-max", 224, 80, 0.5, 0.05, 0.05, 0.4, 0.4, 1.95, 0, "elu-0.5"),
    "diginetica": ("bpr-max", 512, 128, 0.5, 0.3, 0.05, 0.15, 0.3, 0.9, 0, "elu-1"),
}


def run(*arguments, command="train"):
    line = [sys.executable, "-m", f"tfrs_gru4rec.cli.{command}", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)


def command_of(name):
    return importlib.import_module(f"tfrs_gru4rec.cli.{name}").COMMAND


def help_of(command):
    return help_text(command.name, "what it does", command.groups, command.defaults)


@pytest.mark.parametrize("name", RECIPES)
def test_presets_are_the_published_recipes(name):
    found = train.COMMAND.parse(["gru4rec-train", "--model_dir=x", f"--flagfile={name}"])
    model, training = found["model"], found["training"]
    loss, units, batch, embed, hidden, rate, momentum, alpha, bpreg, logq, final_act = RECIPES[name]
    found = (model.loss, model.layers, training.batch_size, model.dropout_p_embed, model.dropout_p_hidden)
    assert found == (loss, (units,), batch, embed, hidden)
    assert (training.learning_rate, training.momentum, model.sample_alpha) == (rate, momentum, alpha)
    assert (model.logq, model.final_act) == (logq, final_act)
    assert bpreg is None or model.bpreg == bpreg
    assert (model.n_sample, model.constrained_embedding, training.n_epochs) == (2048, True, 10)


def test_a_preset_is_named_without_its_path(tmp_path):
    expected = str(PRESETS["coveo"])
    assert expand(["c", "--flagfile=coveo"]) == ["c", f"--flagfile={expected}"]
    assert expand(["c", "-flagfile", "coveo", "--k=1"]) == ["c", "-flagfile", expected, "--k=1"]
    own = tmp_path / "own.flags"
    own.write_text("--layers=3")
    assert expand(["c", f"--flagfile={own}"]) == ["c", f"--flagfile={own}"]
    with pytest.raises(
        UsageError, match="presets coveo, default-bpr-max, .*fast, .*yoochoose. Received: flagfile='rsc16'"
    ):
        expand(["c", "--flagfile", "rsc16"])


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What each command says when it is asked for help or its version, its exit code, and whether TensorFlow is there.

    One process asks all of them, as that takes as long to start as one.
    """
    code = f"""
import contextlib, importlib, io, json, sys
answers = {{}}
for name in {list(COMMANDS)}:
    command = importlib.import_module(f"tfrs_gru4rec.cli.{{name}}")
    for asked in ("--help", "--version"):
        sys.argv = [f"gru4rec-{{name}}", asked]
        with contextlib.redirect_stdout(io.StringIO()) as said:
            try:
                command.run()
            except SystemExit as ended:
                answers[f"{{name}} {{asked}}"] = said.getvalue(), ended.code, "tensorflow" in sys.modules
print(json.dumps(answers))
"""
    line = [sys.executable, "-c", code]
    ended = subprocess.run(
        line, cwd=tmp_path_factory.mktemp("c"), capture_output=True, text=True, timeout=120
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return json.loads(ended.stdout)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_and_version_are_no_errors_and_load_no_tensorflow(name, answers):
    text, code, is_loaded = answers[f"{name} --version"]
    assert (text, code, is_loaded) == (f"gru4rec-{name} {tfrs_gru4rec.__version__}\n", 0, False)
    text, code, is_loaded = answers[f"{name} --help"]
    assert (code, is_loaded) == (0, False)
    assert text.startswith(f"gru4rec-{name}: ")
    for group in command_of(name).groups:
        for flag in group.settings:
            assert len(re.findall(rf"^  --(?:\[no\])?{flag}(?:=| |$)", text, re.MULTILINE)) == 1 + (
                flag == "version"
            )
    assert ("rsc15, yoochoose" in text) == (name in ("train", "daily"))
    assert "--only_check_args" not in text
    assert "--logtostderr" not in text


def test_help_begins_with_what_must_be_given_and_groups_the_rest():
    headings = [line for line in help_of(train.COMMAND).splitlines() if re.fullmatch(r"[A-Z][a-z ]+:", line)]
    assert headings == [
        *("Required:", "Data:", "Columns:", "Validation:", "Model:", "Training:", "Checkpoints:", "Output:"),
        *("Warm start:", "Evaluation:", "Comparison:", "All commands:"),
    ]
    required = help_of(train.COMMAND).split("\n\n")[1].splitlines()
    assert [line.split("=")[0] for line in required[1:]] == ["  --model_dir"]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_gives_every_flag_its_meaning_default_and_range(name):
    shown = help_of(command_of(name))
    words = " ".join(shown.split())
    for group in command_of(name).groups:
        for setting in group.settings.values():
            assert setting.meaning, setting.name
            assert " ".join(setting.meaning.rstrip(".").split()) in words
            if setting.allowed:
                assert str(setting.allowed) in words
    assert max(map(len, shown.splitlines())) <= 120


def test_help_entries_in_full():
    shown = help_of(train.COMMAND)
    assert "\n  --layers=INT,...              units of each GRU layer" in shown
    assert "first to last (greater than 0; default: 128)\n" in shown
    assert "(one of standard, conservative, median; default: standard)" in " ".join(shown.split())
    assert "(0 to 1; default: 0.0)" in shown
    assert (
        "\n  --[no]progress                report within epochs, every ten seconds (default: yes)\n" in shown
    )


@dataclasses.dataclass(frozen=True)
class EverythingConfig(Settings):
    """One field of each kind.

    A text between.

    Attributes:
      place: a required path; with a semicolon:
        and a second line.
      count: a number.
      share: a number or none.
      sizes: several: of them.
      labels: pairs.
      word: one of two.
      note: a text or none.
      is_on: a switch.

    Example:
      not_a_field: is not read.
    """

    place: Path
    count: Annotated[int, Range(at_least=1)] = 3
    share: Annotated[float | None, Range(above=0, below=1)] = None
    sizes: Annotated[tuple[int, ...], Range(above=0)] = (1, 2)
    labels: Mapping[str, int] = dataclasses.field(default_factory=dict)
    word: Annotated[str, OneOf(("tea", "coffee"))] = "tea"
    note: str | None = None
    is_on: bool = True


def everything(all_of_it: EverythingConfig) -> int:
    """Does nothing."""
    return len(all_of_it.sizes)


EVERYTHING = Command("everything", everything)


def parse(*arguments):
    return EVERYTHING.parse(["everything", "--place=here", *arguments])["all_of_it"]


def test_flags_become_typed_settings():
    assert parse() == EverythingConfig(Path("here"))
    assert parse(
        *("--count", "7", "--share=0.5", "--sizes=4,5, 6", "--labels=a=1,b=2"),
        *("--word=coffee", "-note=a b", "--nois_on"),
    ) == EverythingConfig(Path("here"), 7, 0.5, (4, 5, 6), {"a": 1, "b": 2}, "coffee", "a b", False)
    assert parse("--count=7", "--count=8").count == 8
    assert parse("--share=", "--note=", "--sizes=", "--labels=") == EverythingConfig(Path("here"), sizes=())
    assert EVERYTHING.work(["everything", "--place=x", "--sizes=1,2,3"]) == 3


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--count=many", "count must be a whole number. Received: count='many'."),
        ("--count=2.5", "count must be a whole number. Received: count='2.5'."),
        ("--count=0", "count must be at least 1. Received: count=0."),
        ("--share=1", "share must be greater than 0 and below 1. Received: share=1.0."),
        ("--share=nan", "share must be greater than 0 and below 1. Received: share=nan."),
        ("--sizes=4,0", "sizes must be greater than 0. Received: sizes=(4, 0)."),
        ("--labels=a", "labels must be name=value,name=value. Received: labels='a'."),
        ("--labels=a=x", "labels must be a whole number. Received: labels='x'."),
        ("--word=water", "word must be one of tea, coffee. Received: word='water'."),
        ("--is_on=perhaps", "is_on=perhaps"),
        ("--counts=1", "'counts'"),
        ("--note", "note"),
        ("--place=", "--place must be given."),
        ("stray", "Give flags only, as in --name=value. Received: words='stray'."),
    ],
)
def test_wrong_flags_are_named_with_value_and_range(argument, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        parse(argument)


@pytest.mark.parametrize("name", COMMANDS)
def test_without_flags_every_setting_is_the_default_of_its_dataclass_or_of_the_preset(name, tmp_path):
    command = command_of(name)
    needed = {"model_dir": tmp_path, "output_dir": tmp_path, "export_dir": tmp_path, "input_path": tmp_path}
    needed |= {"days_dir": tmp_path, "work_dir": tmp_path}
    required = {
        setting.name: needed[setting.name]
        for group in command.groups
        for setting in group.settings.values()
        if setting.is_required
    }
    parsed = command.parse([name, *(f"--{flag}={value}" for flag, value in required.items())])
    for group in command.groups:
        settings = group.settings
        given = {name: settings[name].kind(value) for name, value in required.items() if name in settings}
        given |= {
            field: True if text == "" else group.settings[field].parse(text)
            for field, text in command.defaults.items()
            if field in group.settings
        }
        assert parsed[group.title] == group.config(**given)


def test_default_settings_give_way_to_whatever_else_says_what_to_train_with(tmp_path):
    def of(*flags):
        found = train.COMMAND.parse(["train", f"--model_dir={tmp_path}", *flags])
        return found["model"], found["training"]

    for loss in ("bpr-max", "cross-entropy"):
        assert of(f"--loss={loss}") == of(f"--flagfile=default-{loss}")
        assert of("--loss", loss) == of(f"--flagfile=default-{loss}")
    assert of() == of("--loss=cross-entropy")
    model, training = of("--layers=7")
    assert (model.layers, training.batch_size) == ((7,), 128)
    assert of("--flagfile=/dev/null") == (GRU4RecConfig(), TrainingConfig()) == of("--flagfile", "/dev/null")
    assert of("--loss=top1-max") == (GRU4RecConfig(loss="top1-max"), TrainingConfig())


@pytest.mark.parametrize("name", COMMANDS)
def test_no_field_is_a_flag_twice(name):
    flags = [flag for group in command_of(name).groups for flag in group.settings]
    assert len(flags) == len(set(flags))


def test_a_default_of_a_function_is_that_of_its_dataclass():
    from tfrs_gru4rec import config
    from tfrs_gru4rec.evaluation.evaluate import evaluate
    from tfrs_gru4rec.export.saved_model import export_saved_model
    from tfrs_gru4rec.models.recommend import recommend
    from tfrs_gru4rec.pipelines.session_log import SessionLog

    for function, settings in (
        (evaluate, config.EvaluationConfig),
        (export_saved_model, config.ExportConfig),
        (recommend, config.RecommendConfig),
        (SessionLog.from_file, config.ColumnConfig),
    ):
        shared = {each.name: each.default for each in settings_of(settings)}.items()
        parameters = inspect.signature(function).parameters
        assert [parameters[name].default for name, _ in shared if name in parameters] == [
            default for name, default in shared if name in parameters
        ]


def test_meanings_survive_a_docstring_of_any_indentation(monkeypatch):
    """Python 3.13 compiles docstrings without their indentation, and -OO without docstrings."""
    meanings = {setting.name: setting.meaning for setting in settings_of(EverythingConfig)}
    assert meanings["place"] == "a required path; with a semicolon: and a second line."
    assert meanings["sizes"] == "several: of them."
    assert meanings["is_on"] == "a switch."
    original = GRU4RecConfig.__doc__
    expected = [setting.meaning for setting in settings_of(GRU4RecConfig)]
    assert all(expected)
    for doc in (inspect.cleandoc(original), original.replace("\n", "\n        ")):
        monkeypatch.setattr(GRU4RecConfig, "__doc__", doc)
        assert [setting.meaning for setting in settings_of(GRU4RecConfig)] == expected
    monkeypatch.setattr(GRU4RecConfig, "__doc__", None)
    assert not any(setting.meaning for setting in settings_of(GRU4RecConfig))
    assert "--layers=INT,..." in help_of(train.COMMAND)


def test_a_setting_reads_its_field():
    settings = {setting.name: setting for setting in settings_of(EverythingConfig)}
    assert settings["place"].is_required
    assert settings["share"] == Setting(
        "share", float, None, None, "a number or none.", Range(above=0, below=1), may_be_none=True
    )
    assert (settings["sizes"].container, settings["labels"].container) == (tuple, dict)
    assert settings["labels"].default == {}


def test_what_went_wrong_is_one_line_and_exits_with_1(tmp_path):
    found = run("--train_path=/no/such/file.tsv", f"--model_dir={tmp_path / 'm'}")
    assert found.returncode == 1
    assert "Traceback" not in found.stderr
    assert "gru4rec-train: " in found.stderr
    assert "/no/such/file.tsv" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch_size=0"], "batch_size must be greater than 0. Received: batch_size=0."),
        (["train.tsv"], "Give flags only, as in --name=value."),
        (["--flagfile=rsc16"], "must be a file or one of the presets coveo"),
        (["--tran_path=x"], "Unknown command line flag 'tran_path'. Did you mean: train_path ?"),
        ([], "Give either --train_path or --dataset."),
    ],
)
def test_misuse_is_one_line_and_exits_with_2(tmp_path, arguments, message):
    found = run(f"--model_dir={tmp_path / 'm'}", *arguments)
    assert (found.returncode, found.stdout) == (2, "")
    (line,) = found.stderr.splitlines()
    assert line.startswith("gru4rec-train: ")
    assert message in line
    assert not (tmp_path / "m").exists()


def test_the_version_of_an_export_is_no_question_for_that_of_the_package(tmp_path):
    export_dir = tmp_path / "shop"
    line = ["gru4rec-export", f"--export_dir={export_dir}", "--version", "3", f"--model_dir={tmp_path}"]
    assert command_of("export").parse(line)["version"].version == 3
    found = run(*line[1:], command="export")
    assert found.returncode == 1
    assert "There is no trained model in this folder" in found.stderr
    assert "Traceback" not in found.stderr
    assert not export_dir.exists()


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        ([], ["warning: heed", "know", "error: broken"]),
        (["--verbosity=-1"], ["warning: heed", "error: broken"]),
        (["--verbosity=1"], ["heed", "know", "debug", "renamed", "sharding", "broken"]),
    ],
)
def test_commands_say_what_they_do_unless_told_otherwise(run_fresh, flags, shown):
    ended = run_fresh(
        "import logging as python, os, sys\nos.environ.pop('TF_CPP_MIN_LOG_LEVEL', None)\n"
        "from absl import logging\nfrom tfrs_gru4rec.cli.command import Command\n"
        "def main() -> int:\n"
        "    logging.warning('heed'); logging.info('know'); logging.debug('debug')\n"
        "    library = '/usr/lib/python3/site-packages/tensorflow/python/functions.py'\n"
        "    for level, text in ((20, 'renamed'), (30, 'sharding'), (40, 'broken')):\n"
        "        logging.get_absl_logger().handle(python.LogRecord('x', level, library, 1, text, (), None))\n"
        "    print(os.environ['TF_CPP_MIN_LOG_LEVEL'])\n"
        "    return 3\n"
        f"sys.argv = ['it', *{flags}]\n"
        "Command('it', main).run()"
    )
    assert ended.returncode == 3
    lines = ended.stderr.splitlines()
    is_all = flags == ["--verbosity=1"]
    assert [line.split("] ")[-1] if is_all else line for line in lines] == shown
    assert ended.stdout == ("0\n" if is_all else "3\n")


def test_what_absl_logs_in_cpp_is_hidden_and_nothing_else_is(run_fresh):
    lines = ["I0000 00:00:1.2 3 device_compiler.h:196] Compiled cluster", "a crash"]
    code = (
        "import os, sys\nfrom tfrs_gru4rec.cli.command import Command\n"
        "def main() -> int:\n"
        f"    os.write(2, {chr(10).join(lines)!r}.encode() + bytes([10]))\n"
        "    print('I0000 00:00: of our own', file=sys.stderr)\n"
        "    os.abort()\n"
        "sys.argv = ['it'{}]\nCommand('it', main).run()"
    )
    assert set(run_fresh(code.replace("{}", "")).stderr.splitlines()) == {
        "a crash",
        "I0000 00:00: of our own",
    }
    shown = run_fresh(code.replace("{}", ", '--verbosity=1'")).stderr
    assert lines[0] in shown


def test_a_file_given_as_a_folder_is_misuse(tmp_path):
    (tmp_path / "file").write_text("notes")
    with pytest.raises(
        UsageError, match=r"--model_dir must be a folder, not a file\. Received: model_dir='.*file'"
    ):
        train.COMMAND.parse(["gru4rec-train", f"--model_dir={tmp_path / 'file'}"])
