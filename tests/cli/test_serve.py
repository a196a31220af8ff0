"""gru4rec-serve: flags to settings, and what it says when it cannot start."""

import pathlib

import pytest

from tfrs_gru4rec.cli import serve
from tfrs_gru4rec.cli.flag_groups import UsageError
from tfrs_gru4rec.export.serving.config import ServerConfig


def parse(*arguments: str) -> ServerConfig:
    return serve.COMMAND.parse(["gru4rec-serve", *arguments])["server"]


def test_without_flags_the_settings_are_the_defaults(tmp_path):
    assert parse(f"--export_dir={tmp_path}") == ServerConfig(tmp_path)


def test_flags_become_settings(tmp_path):
    found = parse(
        f"--export_dir={tmp_path}",
        "--model_name=shop",
        "--host=0.0.0.0",
        "--port=0",
        "--version_labels=stable=3,canary=4",
        "--poll_seconds=0.5",
        "--max_batch_size=16",
        "--batch_wait_seconds=0.002",
        "--batch_threads=3",
        "--model_threads=1",
        "--max_message_bytes=1000",
        "--max_id_bytes=10",
        "--max_waiting_rows=100",
        "--max_concurrent_requests=7",
        "--drain_seconds=2",
        "--rest_port=0",
        "--tls_certificate=c.pem",
        "--tls_key=k.pem",
        "--tls_client_ca=a.pem",
    )
    assert found == ServerConfig(
        export_dir=tmp_path,
        model_name="shop",
        host="0.0.0.0",
        port=0,
        version_labels={"stable": 3, "canary": 4},
        poll_seconds=0.5,
        max_batch_size=16,
        batch_wait_seconds=0.002,
        batch_threads=3,
        model_threads=1,
        max_message_bytes=1000,
        max_id_bytes=10,
        max_waiting_rows=100,
        max_concurrent_requests=7,
        drain_seconds=2.0,
        rest_port=0,
        tls_certificate=pathlib.Path("c.pem"),
        tls_key=pathlib.Path("k.pem"),
        tls_client_ca=pathlib.Path("a.pem"),
    )


def test_every_setting_has_a_flag(tmp_path):
    group, page, _ = serve.COMMAND.groups
    assert set(page.settings) == set(vars(serve.PageConfig()))
    assert set(group.settings) == set(vars(ServerConfig(tmp_path)))


def test_export_dir_is_required():
    with pytest.raises(UsageError, match="--export_dir must be given"):
        parse()


@pytest.mark.parametrize("pair", ["stable", "=3", "stable=", "stable=-3", "stable=three"])
def test_labels_must_be_pairs(pair):
    with pytest.raises(UsageError, match="version_labels must be"):
        parse("--export_dir=.", f"--version_labels=canary=4,{pair}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--export_dir=nowhere"], "export_dir must be a folder"),
        (["--export_dir=.", "--max_batch_size=0"], "max_batch_size must be 1 to 1024"),
        (["--export_dir=.", "--version_labels=x"], "version_labels must be name=value"),
        (["--export_dir=.", "--page", "--host=0.0.0.0"], "--page is for this machine alone"),
        (["--export_dir=.", "--item_columns=i.csv"], "--item_columns and --picture_column are for --page"),
        (["--export_dir=.", "--page", "--item_columns=none.csv"], "There is no such file of item names"),
    ],
)
def test_says_what_is_wrong(arguments, message):
    with pytest.raises((ValueError, OSError), match=message):
        serve.COMMAND.work(["gru4rec-serve", *arguments])


def test_bad_settings_are_told_without_loading_tensorflow(run_fresh):
    result = run_fresh(
        "import atexit, sys; from tfrs_gru4rec.cli import serve\n"
        "atexit.register(lambda: print('tensorflow' in sys.modules))\n"
        "sys.argv = ['gru4rec-serve', '--export_dir=nowhere']; serve.run()"
    )
    assert result.returncode == 2
    assert "export_dir must be a folder" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout.split() == ["False"]


def test_a_page_brings_rest_with_it(tmp_path, monkeypatch, capsys):
    from tfrs_gru4rec.export.serving import server

    shown = []

    def run(config, announce, page):
        shown.append(page)
        announce(server.Listening("127.0.0.1:1", f"127.0.0.1:{config.rest_port}", 3))

    monkeypatch.setattr(server, "run", run)
    items = tmp_path / "items.csv"
    items.write_text("item,title,image\n7,Lamp,https://pictures.example/7.png\n")
    flags = ["--page", f"--item_columns={items}", "--picture_column=image"]
    assert serve.COMMAND.work(["gru4rec-serve", f"--export_dir={tmp_path}", *flags]) == 0
    assert capsys.readouterr().out.splitlines()[1:3] == [
        "REST on http://127.0.0.1:8501/v1/models/gru4rec",
        "page on http://127.0.0.1:8501",
    ]
    assert shown[0].find("lamp")[0]["picture"] == "https://pictures.example/7.png"
    assert serve.COMMAND.work(["gru4rec-serve", f"--export_dir={tmp_path}", "--rest_port=0"]) == 0
    assert shown[1] is None
