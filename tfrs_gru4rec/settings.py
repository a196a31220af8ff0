"""Settings as dataclasses: name, type, default, range and meaning of each stand in one place.

A field gives name, type and default, `typing.Annotated` its range, and the docstring's `Attributes:` its meaning.
Checks, flags and `--help` are made from these.
"""

import csv
import dataclasses
import inspect
import re
import textwrap
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from tfrs_gru4rec.checks import require, require_one_of

_Settings = TypeVar("_Settings", bound="Settings")
_NOUNS = {int: "a whole number", float: "a number"}


@dataclasses.dataclass(frozen=True)
class Range:
    """The numbers that a setting may be; of a tuple or mapping, that each of its values may be.

    >>> str(Range(above=0)), str(Range(at_least=0, below=1)), str(Range(at_least=0, at_most=65535))
    ('greater than 0', 'at least 0 and below 1', '0 to 65535')
    """

    at_least: float | None = None  # smallest number allowed
    above: float | None = None  # largest number below all that are allowed
    at_most: float | None = None  # largest number allowed
    below: float | None = None  # smallest number above all that are allowed

    def __contains__(self, value: float) -> bool:
        """Returns whether the value is allowed; NaN never is."""
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        """Returns the range in words, as in "at least 0 and below 1"."""
        if self.at_least is not None and self.at_most is not None:
            return f"{self.at_least} to {self.at_most}"
        words = {
            "at least": self.at_least,
            "greater than": self.above,
            "at most": self.at_most,
            "below": self.below,
        }
        return " and ".join(f"{word} {bound}" for word, bound in words.items() if bound is not None)


@dataclasses.dataclass(frozen=True)
class OneOf:
    """The words that a setting may be.

    >>> str(OneOf(("tea", "coffee")))
    'one of tea, coffee'
    """

    words: tuple[str, ...]  # those allowed

    def __contains__(self, value: str) -> bool:
        """Returns whether the word is allowed."""
        return value in self.words

    def __str__(self) -> str:
        """Returns the words as a list in words."""
        return f"one of {', '.join(self.words)}"


@dataclasses.dataclass(frozen=True)
class Setting:
    """One field of a dataclass, as those need it who show it or read it from text."""

    name: str  # of the field
    kind: type  # type of the value, or of each value of a tuple or mapping: bool, int, float, str or Path
    container: type | None  # tuple; dict, from names to values; or None for a single value
    default: Any  # the value if none is given; `dataclasses.MISSING` where one must be
    meaning: str  # what the class' docstring says of it
    allowed: Range | OneOf | None  # the values that it may be, in words by `str`; None for all of its type
    may_be_none: bool  # whether None is a value

    @property
    def is_required(self) -> bool:
        """Whether a value must be given."""
        return self.default is dataclasses.MISSING

    def parse(self, text: str) -> Any:
        """Reads the value from text: several are parted by commas, of a mapping written as name=value.

        An empty text is None where that is allowed, and no values in a tuple or mapping.

        Raises:
          ValueError: the text is of another type.
        """
        if self.container is None:
            return self._parse_one(text) if text or not self.may_be_none else None
        parts = [part.strip() for part in next(csv.reader([text]), [])]
        if self.container is tuple:
            return tuple(map(self._parse_one, parts))
        return dict(map(self._parse_pair, parts))

    def check(self, value: Any) -> None:
        """Raises ValueError unless the value is one that is allowed."""
        if self.allowed is None or value is None:
            return
        parts = value.values() if self.container is dict else value if self.container else (value,)
        is_allowed = all(part in self.allowed for part in parts)
        what = f"each of {self.name}" if self.container else self.name
        require(is_allowed, f"{what} must be {self.allowed}.", **{self.name: value})

    def _parse_one(self, text: str) -> Any:
        try:
            return self.kind(text)
        except ValueError:
            rule = f"{self.name} must be {_NOUNS[self.kind]}."
            raise ValueError(f"{rule} Received: {self.name}={text!r}.") from None

    def _parse_pair(self, text: str) -> tuple[str, Any]:
        name, _, value = text.partition("=")
        require(bool(name and value), f"{self.name} must be name=value,name=value.", **{self.name: text})
        return name, self._parse_one(value)


def settings_of(config: type) -> tuple[Setting, ...]:
    """Reads the fields of a dataclass, which need not derive from `Settings`.

    >>> [setting.name for setting in settings_of(OneOf)]
    ['words']
    """
    hints = typing.get_type_hints(config, include_extras=True)
    meanings = _attribute_docs(config.__doc__)
    return tuple(
        _setting(field, hints[field.name], meanings.get(field.name, ""))
        for field in dataclasses.fields(config)
        if field.init
    )


@dataclasses.dataclass(frozen=True)
class Settings:
    """Base of the dataclasses whose fields are checked where they are made, and go to JSON and back.

    >>> @dataclasses.dataclass(frozen=True)
    ... class OvenConfig(Settings):
    ...     degrees: typing.Annotated[float, Range(above=0, at_most=300)] = 180.0
    >>> OvenConfig(degrees=500.0)
    Traceback (most recent call last):
    ValueError: degrees must be greater than 0 and at most 300. Received: degrees=500.0.
    >>> OvenConfig.from_dict(OvenConfig(90.0).to_dict())
    OvenConfig(degrees=90.0)
    """

    def __post_init__(self) -> None:
        """Checks each setting by itself; a class that has rules over several adds them.

        Raises:
          ValueError: a value is not allowed, or two contradict each other.
        """
        for setting in settings_of(type(self)):
            setting.check(getattr(self, setting.name))

    def to_dict(self) -> dict[str, Any]:
        """Returns the settings as plain values that JSON can hold."""
        settings = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}

    @classmethod
    def from_dict(cls: type[_Settings], settings: Mapping[str, Any]) -> _Settings:
        """Builds a config from what `to_dict` returned.

        Raises:
          ValueError: a name is no setting, or a value is out of range.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for name in settings:
            require_one_of(known, **{f"a setting of {cls.__name__}": name})
        return cls(**{name: tuple(v) if isinstance(v, list) else v for name, v in settings.items()})


def _setting(field: "dataclasses.Field[Any]", hint: Any, meaning: str) -> Setting:
    allowed = None
    if typing.get_origin(hint) is typing.Annotated:
        hint, allowed = typing.get_args(hint)
    may_be_none = typing.get_origin(hint) in (typing.Union, types.UnionType)
    if may_be_none:
        (hint,) = (each for each in typing.get_args(hint) if each is not type(None))
    container: type | None = None
    if typing.get_origin(hint) is tuple:
        container, hint = tuple, typing.get_args(hint)[0]
    elif typing.get_origin(hint) is Mapping:
        container, hint = dict, typing.get_args(hint)[1]
    factory = field.default_factory
    default = field.default if factory is dataclasses.MISSING else factory()
    return Setting(field.name, hint, container, default, meaning, allowed, may_be_none)


def _attribute_docs(docstring: str | None) -> dict[str, str]:
    """Reads the meaning of each attribute from a docstring, however far that is indented.

    Python 3.13 strips the indentation that earlier ones keep, and `python -OO` leaves no docstring at all.
    """
    _, _, rest = inspect.cleandoc(docstring or "").partition("\nAttributes:\n")
    section = textwrap.dedent(re.split(r"\n(?=\S)", rest)[0])
    parts = (part.partition(": ") for part in re.split(r"\n(?=\w+: )", section))
    return {name.strip(): " ".join(meaning.split()) for name, _, meaning in parts}
