"""XLA's registers: asked for where the processor has them, and where the user has said nothing."""

import os
import subprocess
import sys

import pytest

from tfrs_gru4rec.cli.processor import WIDE, use_whole_registers

KNOWS = "processor\t: 0\nmodel name\t: of some make\nflags\t\t: fpu avx_vnni sse2 avx512f avx512_bf16\n"
KNOWS_NOT = "processor\t: 0\nmodel name\t: avx_vnni\nflags\t\t: fpu sse2 avx512f avx512_bf16\n"


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        (KNOWS, {}, {"XLA_FLAGS": WIDE}),
        (KNOWS, {"XLA_FLAGS": ""}, {"XLA_FLAGS": WIDE}),
        (KNOWS, {"XLA_FLAGS": "--xla_cpu_max_isa=AVX2"}, {"XLA_FLAGS": "--xla_cpu_max_isa=AVX2"}),
        (KNOWS, {"XLA_FLAGS": "/etc/xla_flags"}, {"XLA_FLAGS": "/etc/xla_flags"}),
        (KNOWS_NOT, {}, {}),
        (None, {}, {}),
    ],
)
def test_flags_by_processor_and_user(tmp_path, text, before, after):
    cpu_info, environment = tmp_path / "cpuinfo", dict(before)
    if text is not None:
        cpu_info.write_text(text)
    use_whole_registers(environment, cpu_info)
    assert environment == after


def test_xla_knows_the_flag():
    # It ends a process that is given one which it does not know.
    code = "import tensorflow as tf; tf.function(lambda: tf.range(3) * 2, jit_compile=True)()"
    environment = {**os.environ, "XLA_FLAGS": WIDE}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_commands_ask_before_tensorflow_is_loaded():
    code = (
        "import os, sys\nfrom tfrs_gru4rec.cli import train\n"
        "train.COMMAND.parse(['train', '--train_path=-', '--model_dir=-'])\n"
        "print('tensorflow' in sys.modules, os.environ.get('XLA_FLAGS', ''))"
    )
    environment, expected = {**os.environ, "XLA_FLAGS": ""}, {}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    use_whole_registers(expected)  # what this machine is told
    assert ended.stdout.strip() == f"False {expected.get('XLA_FLAGS', '')}".strip()
