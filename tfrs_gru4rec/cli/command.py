"""What all commands share: settings from flags, `--help`, quiet logs, errors in one line, exit codes."""

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from absl import flags, logging

import tfrs_gru4rec
from tfrs_gru4rec.cli import presets
from tfrs_gru4rec.cli.flag_groups import FlagGroup, UsageError, flag_groups, require_flags
from tfrs_gru4rec.cli.help_text import help_text
from tfrs_gru4rec.cli.processor import use_whole_registers
from tfrs_gru4rec.cli.quiet_logs import hide_native_lines, quieten_tensorflow, speak_plainly

FAILED = 1
MISUSED = 2
INTERRUPTED = 130

# What a user can put right: said in one line, without a traceback.
_EXPECTED = (ValueError, OSError, ArithmeticError, ImportError)


@dataclasses.dataclass(frozen=True)
class Command:
    """A command: a function of settings, whose flags are the fields of its parameters' dataclasses.

    Each parameter of `main` is a group of flags in `--help`, in their order, under the parameter's name.
    """

    name: str  # of the command
    # Does the work and returns the exit code; the docstring of its module is the head of `--help`.
    main: Callable[..., int]
    # By parameter, flags of another name than their field; None for a field that has no flag.
    flag_names: Mapping[str, Mapping[str, str | None]] = dataclasses.field(default_factory=dict)
    # A flag that may name a model's folder: what the command line does not say of the parameters `model` and `training`
    # is then as that model has it.
    settings_from: str | None = None
    # Whether the presets "default-…" say what the command line does not (`presets.with_defaults`).
    has_defaults: bool = False

    @property
    def groups(self) -> list[FlagGroup]:
        """The groups of flags."""
        return flag_groups(self.main, self.flag_names)

    @property
    def defaults(self) -> dict[str, str]:
        """What holds where no flag says otherwise, by flag, if it is not a setting's own default."""
        return presets.default_values(_names(self.groups)) if self.has_defaults else {}

    def parse(self, argv: Sequence[str], values: flags.FlagValues | None = None) -> dict[str, Any]:
        """Turns a command line, the command's name and then the flags, into the arguments of `main`.

        Args:
          argv: the command line.
          values: where to define the flags; a place of its own if None.

        Raises:
          UsageError: a flag is unknown, missing or out of its range, or some contradict each other.
        """
        values = flags.FlagValues() if values is None else values
        groups = self.groups
        for group in groups:
            group.define(values)
        try:
            argv = presets.with_defaults(argv, _names(groups)) if self.has_defaults else argv
            words = values(presets.expand(argv))[1:]
        except flags.Error as error:
            raise UsageError(error if str(error).endswith(("?", ".")) else f"{error}.") from None
        quieten_tensorflow()
        use_whole_registers()
        require_flags(not words, "Give flags only, as in --name=value.", words=" ".join(words))
        missing = [name for group in groups for name in group.missing(values)]
        if missing:
            raise UsageError(f"{' and '.join(missing)} must be given.")
        old = self._old_settings(values)
        return {group.title: group.read(values, old.get(group.title, {})) for group in groups}

    def work(self, argv: Sequence[str], values: flags.FlagValues | None = None) -> int:
        """Does what a command line says, see `parse`; returns the exit code, and lets errors pass."""
        return self.main(**self.parse(argv, values))

    def run(self) -> NoReturn:
        """Does what the process' command line says, and exits with its code."""
        sys.exit(self._exit_code(sys.argv))

    def _exit_code(self, argv: Sequence[str]) -> int:
        speak_plainly()
        try:
            if {"--help", "-help", "-h", "--helpshort", "--helpfull"} & {*argv[1:]}:
                doc = sys.modules[self.main.__module__].__doc__
                print(help_text(self.name, doc, self.groups, self.defaults), flush=True)
                return 0
            if argv[-1] in ("--version", "-version"):  # gru4rec-export has a flag --version=N of its own
                print(self.name, tfrs_gru4rec.__version__)
                return 0
            arguments = self.parse(argv, flags.FLAGS)
            hide_native_lines()
            return self.main(**arguments)
        except KeyboardInterrupt:
            print(f"\n{self.name}: interrupted.", file=sys.stderr)
            return INTERRUPTED
        except UsageError as error:
            print(f"{self.name}: {error} See {self.name} --help.", file=sys.stderr)
            return MISUSED
        except _EXPECTED as error:
            logging.debug("%s failed", self.name, exc_info=True)
            print(f"{self.name}: {error}", file=sys.stderr)
            return FAILED

    def _old_settings(self, values: flags.FlagValues) -> Mapping[str, Any]:
        folder = values[self.settings_from].value if self.settings_from else None
        if not folder:
            return {}
        logging.info("Reading the settings of the model in %s.", folder)
        from tfrs_gru4rec.training.model_folder import ModelFolder  # loads TensorFlow, some seconds

        settings = ModelFolder(folder).settings()
        return {title: settings[title] for title in ("model", "training")}


def _names(groups: Sequence[FlagGroup]) -> list[str]:
    return [name for group in groups for name in group.settings]
