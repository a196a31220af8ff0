"""What the documents say is so: links lead somewhere, commands parse, examples name what there is."""

import ast
import dataclasses
import importlib.util
import re
import shlex
import xml.etree.ElementTree

import pytest
from source_tree import ROOT

import tfrs_gru4rec
from tfrs_gru4rec.export.signatures import SIGNATURES

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "datasets").rglob("*.md")])
LINK = re.compile(r"!?\[[^]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def name(path):
    return str(path.relative_to(ROOT))


def fences(kind):
    """Returns the blocks of code of a kind, each with the page that it is in."""
    return [
        (name(page), text)
        for page in PAGES
        for found, text in FENCE.findall(page.read_text(encoding="utf-8"))
        if found in kind
    ]


def commands():
    """Returns every call of one of our commands in a block of shell, as words."""
    found = []
    for page, text in fences(("bash", "")):
        for line in text.replace("\\\n", " ").splitlines():
            start = re.match(r"(?:\w+=\S+ )*(gru4rec-\w+) ", line)
            if start and " → " not in line and "$LOG" not in line:
                found.append(pytest.param(shlex.split(line, comments=True), id=f"{page}: {line[:40]}"))
    return found


@pytest.fixture(scope="module")
def generated():
    """The pages that are made from the code, by their path in the site."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pages()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_to_a_file(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = [target.split("#")[0] for target in LINK.findall(text) if "://" not in target]
    missing = [target for target in targets if target and not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_of_ours_that_is_named_is_there(page):
    named = re.findall(
        r"(?<![\w/])((?:examples|docs|export|tfrs_gru4rec/export)/[\w/]+\.\w+)",
        page.read_text(encoding="utf-8"),
    )
    paths = [path.removeprefix("tfrs_gru4rec/") if "tfrs_gru4rec/export" in path else path for path in named]
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("words", commands())
def test_every_command_parses(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("shop", "canary"):
        (tmp_path / "exports" / folder).mkdir(parents=True)
    module = importlib.import_module(f"tfrs_gru4rec.cli.{words[0].removeprefix('gru4rec-')}")
    words = words[: words.index("&")] if "&" in words else words
    words = [word.replace("studies/shop/best.flags", "rsc15") for word in words]  # a file that there is
    # Nor is there the folder of the older model that a warm start would ask for settings.
    assert dataclasses.replace(module.COMMAND, settings_from=None).parse(words)


@pytest.mark.parametrize(("page", "code"), fences(("python",)))
def test_python_is_python_and_names_what_there_is(page, code):
    tree = ast.parse(code)
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "g4r"
    }
    assert used <= set(tfrs_gru4rec.__all__)


def test_commands_and_code_are_found():
    assert len(commands()) > 15
    assert len(fences(("python",))) > 3


def test_the_page_of_a_command_has_its_flags(generated):
    page = generated["commands/train.md"]
    assert "--sample_alpha=NUMBER" in page
    assert "(greater than 0; default: 128)" in page, "the default of the command, which a preset gives"


def test_the_reference_names_every_public_class_and_function(generated):
    named = {
        line.rsplit(".", 1)[-1] for line in generated["reference.md"].splitlines() if line.startswith("::: ")
    }
    rooms = {"losses", "metrics", "sampling"}
    assert set(tfrs_gru4rec.__all__) - rooms <= named
    assert {"BPRMax", "NegativeSampler", "SessionClient"} <= named


def test_the_page_for_other_languages_names_every_signature_and_its_inputs():
    page = (ROOT / "docs" / "tasks" / "clients.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    inputs = {name: row[1] for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    assert set(SIGNATURES) <= set(inputs)
    for signature in SIGNATURES.values():
        wanted = {each.name for each in signature.inputs}
        named = set(re.findall(r"`(\w+)`", inputs[signature.name]))
        if signature.name.endswith("_filtered"):  # "those above", and the filters
            wanted -= {each.name for each in SIGNATURES[signature.name.removesuffix("_filtered")].inputs}
        assert named == wanted


def test_every_page_is_in_the_navigation(generated):
    navigation = (ROOT / "docs" / "mkdocs.yml").read_text()
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")} | set(generated)
    assert [page for page in sorted(pages) if f"- {page}\n" not in navigation] == []


@pytest.mark.parametrize("picture", sorted((ROOT / "docs" / "pictures").glob("*.svg")), ids=name)
def test_a_picture_is_whole_and_says_what_it_shows(picture):
    assert xml.etree.ElementTree.parse(picture).getroot().get("aria-label")


def test_the_messages_for_other_languages_are_those_of_tensorflow_serving():
    from tensorflow.core.framework import tensor_pb2
    from tensorflow_serving.apis import model_pb2, predict_pb2

    text = (ROOT / "examples" / "clients" / "predict.proto").read_text()
    messages = {
        "PredictRequest": predict_pb2.PredictRequest,
        "PredictResponse": predict_pb2.PredictResponse,
        "ModelSpec": model_pb2.ModelSpec,
        "TensorProto": tensor_pb2.TensorProto,
    }
    for message, theirs in messages.items():
        body = re.search(rf"message {message} {{(.*?)\n}}", text, re.DOTALL)[1]
        numbers = {field: int(number) for field, number in re.findall(r"(\w+) = (\d+);", body)}
        assert numbers
        assert numbers == {field: theirs.DESCRIPTOR.fields_by_name[field].number for field in numbers}
