"""One process at a time in a folder, and no lock that outlives its process."""

import threading

import pytest

from tfrs_gru4rec.folder_lock import lock_folder


def test_a_locked_folder_is_refused_until_its_block_ends(tmp_path):
    folder = tmp_path / "new"
    with lock_folder(folder):
        with (
            pytest.raises(BlockingIOError, match=r"Another process is at work in .*new"),
            lock_folder(folder),
        ):
            pass
        with lock_folder(tmp_path / "other"):
            pass
    with lock_folder(folder):
        pass


def test_an_error_in_the_block_lets_the_lock_go(tmp_path):
    with pytest.raises(KeyboardInterrupt), lock_folder(tmp_path):
        raise KeyboardInterrupt
    with lock_folder(tmp_path):
        pass


def test_another_process_is_kept_out_and_a_dead_one_leaves_no_lock(tmp_path, run_fresh):
    code = f"""
from tfrs_gru4rec.folder_lock import lock_folder
with lock_folder({str(tmp_path)!r}):
    print("in", flush=True)
    import os; os._exit(9)
"""
    with lock_folder(tmp_path):
        assert "BlockingIOError" in run_fresh(code).stderr
    ended = run_fresh(code)
    assert (ended.stdout.strip(), ended.returncode) == ("in", 9)
    with lock_folder(tmp_path):
        pass


def test_who_waits_gets_the_folder_once_it_is_free(tmp_path):
    def work():
        with lock_folder(tmp_path, wait=True):
            done.append("waited")

    done = []
    waiting = threading.Thread(target=work)
    with lock_folder(tmp_path):
        waiting.start()
        waiting.join(timeout=0.2)
        done.append("locked")
    waiting.join(timeout=60)
    assert done == ["locked", "waited"]
