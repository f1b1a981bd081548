"""The command ``emopipe``: everything that is not a stage of the pipeline.

A command is a module beside this one with two functions: ``configure(parser)`` declares its arguments, and
``run(arguments)`` does the work. Its docstring is its help. Only the module of the command that is called is imported,
so that ``emopipe --help`` does not wait for PyTorch.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from emopipe.io.errors import run_stage

VERSION = "0.1.0"  # pyproject.toml reads it here; in emopipe/__init__.py a release would rerun every stage

COMMANDS = {
    "backbones": "list the audio backbones, or fetch and verify some",
    "compare": "compare two experiments, or groups of them, on the same test set",
    "corpora": "list the corpora, or check some before a run",
    "crossval": "pool the folds of a cross-validation",
    "export": "write a trained model to a file that needs no emopipe, and check that it answers alike",
    "listen": "predict emotion, or valence, arousal and dominance, while somebody speaks",
    "plan": "say what a corpus costs: disk, processor hours, transfer",
    "predict": "predict emotion, or valence, arousal and dominance, of recordings",
    "publish": "upload the trained audio model and its card to the Hugging Face hub",
    "serve": "answer recordings and streams by HTTP and WebSocket",
    "sweep": "run many experiments, here or on a Ray cluster, or search for the best parameters",
}


def main() -> None:
    """Run the command that the command line names; what a user can mend is told in one line, without a traceback."""
    try:
        run_stage(_run)
        sys.stdout.flush()
    except BrokenPipeError:  # what reads the output, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it once more at the end


def _run() -> None:
    arguments = parse(sys.argv[1:])
    arguments.run(arguments)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return the arguments of a command line, and as ``run`` what does the work with them.

    Args:
        words: what stands behind ``emopipe``
    """
    parser = argparse.ArgumentParser(
        prog="emopipe", description="Emotion recognition from speech and text; `dvc repro` runs the pipeline itself."
    )
    parser.add_argument("--version", action="version", version=f"emopipe {VERSION}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    called = next((word for word in words if not word.startswith("-")), None)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter)
        if name == called:
            module = import_module(f"emopipe.commands.{name}")
            command.description = module.__doc__
            module.configure(command)
            command.set_defaults(run=module.run)
    return parser.parse_args(words)
