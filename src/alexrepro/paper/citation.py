"""Citations: where each constant of the paper comes from.

A field made by `cited` keeps its plain default value and remembers its source, so that the ledger of
`alexrepro facts` is read from the code and cannot drift away from it.
"""

from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Citation:
    """A section of the paper (`§3.3`) or a file of the released 2012 code, with what it states."""

    source: str
    description: str = ""

    def __str__(self) -> str:
        """The source, followed by what it states."""
        return f"{self.source}: {self.description}" if self.description else self.source


def cited(default: T, source: str, description: str = "") -> T:
    """A dataclass field with this default that remembers where the default comes from."""
    value: T = field(default=default, metadata={"citation": Citation(source, description)})
    return value


def citations(cls: type[Any]) -> dict[str, Citation]:
    """The citation of each field of a dataclass, by field name; fields without one are left out."""
    return {f.name: f.metadata["citation"] for f in fields(cls) if "citation" in f.metadata}
