"""What a demonstration found: lines to print, and figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Report:
    """Result of a demonstration.

    Attributes:
        name: of the demonstration.
        lines: what was found, in sentences and aligned tables.
        figures: by name.
    """

    name: str
    lines: list[str]
    figures: dict[str, Figure]

    def write(self, folder: Path) -> list[Path]:
        """Write the lines and the figures into a folder, and return the files."""
        folder.mkdir(parents=True, exist_ok=True)
        text = folder / f"{self.name}.txt"
        text.write_text("\n".join(self.lines) + "\n")
        files = [text]
        for name, figure in self.figures.items():
            files.append(folder / f"{name}.png")
            figure.savefig(files[-1], dpi=150)
        return files
