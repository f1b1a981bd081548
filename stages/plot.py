"""Draw the figures and write the report."""

from __future__ import annotations

from pathlib import Path

from emopipe.figures import drawing
from emopipe.io.errors import run_stage
from emopipe.io.outputs import write_text
from emopipe.parameter_file import ParameterFile
from emopipe.report import content, page
from emopipe.results.reading import Results
from emopipe.schemas.tables import write_csv

FIGURES, NUMBERS, REPORT = Path("metrics/figures"), Path("metrics/plots"), Path("metrics/report.html")


def main() -> None:
    """Write metrics/figures, the numbers behind each in metrics/plots, and metrics/report.html.

    Nothing is computed here that the evaluation has not: a branch that is switched off shows nothing.
    """
    parameters, results = ParameterFile.load(), Results.read()
    numbers = drawing.tables(results)
    for name, table in numbers.items():
        write_csv(table, NUMBERS / f"{name}.csv", "%.6g")
    figures = drawing.draw(numbers, results, FIGURES, parameters.plot.dpi)
    report = content.build(results, parameters.model_dump(exclude={"runtime"}))
    write_text(page.render(report, figures, parameters.plot.dpi), REPORT)
    print(f"plot: {len(figures)} figures, {REPORT}")


if __name__ == "__main__":
    run_stage(main)
