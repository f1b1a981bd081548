"""Which code a stage runs: a fingerprint that changes when the meaning of the code may have changed, and else does not.

A stage's fingerprint lists, in the manner of ``sha256sum``, every module that it reaches by imports (those inside
functions too) and every other file of ours that one of them names (a template, a list of checksums), then the versions
of the packages that decide its numbers. Docstrings, comments and blank lines are cut out of a module before it is
hashed. So DVC reruns a stage for another formula or another release of PyTorch, and not for a better comment.

The whole-file check of the parameters is left out: it knows every parameter of every stage, and can only stop a run.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from functools import cached_property
from hashlib import sha256
from importlib import metadata
from pathlib import Path

from emopipe.io.errors import UserError

ROOT = Path(__file__).parent.parent
OURS = ("emopipe", "stages")
LEFT_OUT = {("emopipe.parameters", "emopipe.parameter_file")}  # importing module, imported module

# Packages that decide numbers, by the names they are imported by. What only reads, writes or draws them is not here.
DECIDING = {
    "accelerate": ("accelerate",),
    "av": ("av",),
    "espeakng_loader": ("espeakng-loader",),
    "funasr": ("funasr",),
    "numpy": ("numpy",),
    "onnx": ("onnx",),
    "onnxruntime": ("onnxruntime",),
    "onnxscript": ("onnxscript",),
    "parselmouth": ("praat-parselmouth",),
    "pyroomacoustics": ("pyroomacoustics",),
    "scipy": ("scipy",),
    "sklearn": ("scikit-learn",),
    "skops": ("skops",),
    "soundfile": ("soundfile",),
    "soxr": ("soxr",),
    "torch": ("torch",),
    "transformers": ("transformers", "tokenizers"),
}
PINNED = re.compile(r"^([\w.-]+)==([^\s+;]+)", re.MULTILINE)  # without a build such as +cpu


class Tree:
    """The code below a folder; each file is read once, however many stages reach it."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self._modules: dict[Path, _Module] = {}
        self._told: set[str] = set()  # packages of which another version is installed

    def fingerprint(self, stage: str) -> str:
        """Return the fingerprint of a stage: a line per file, then a line per package.

        Args:
            stage: its name, that of a script in stages/

        Raises:
            UserError: if a package that decides numbers stands in no line of requirements.txt
        """
        files = self._closure(self.root / "stages" / f"{stage}.py")
        lines = [f"{digest}  {path.relative_to(self.root).as_posix()}" for path, digest in sorted(files.items())]
        packages = sorted({name for path in files if path.suffix == ".py" for name in self._module(path).packages})
        return "".join(f"{line}\n" for line in [*lines, *(f"{name} {self._version(name)}" for name in packages)])

    def files(self, module: Path) -> set[Path]:
        """Return the files that a module reaches, itself included, relative to the root."""
        return {path.relative_to(self.root) for path in self._closure(module)}

    def _closure(self, script: Path) -> dict[Path, str]:
        digests: dict[Path, str] = {}
        waiting = [script]
        while waiting:
            path = waiting.pop()
            if path in digests:
                continue
            if path.suffix == ".py":
                module = self._module(path)
                digests[path] = module.digest
                waiting += module.files
            else:
                digests[path] = sha256(path.read_bytes()).hexdigest()
        return {path: digest for path, digest in digests.items() if path.suffix != ".py" or self._module(path).code}

    def _module(self, path: Path) -> _Module:
        if path not in self._modules:
            self._modules[path] = _Module(self.root, path)
        return self._modules[path]

    @cached_property
    def _pins(self) -> dict[str, str]:
        return dict(PINNED.findall((self.root / "requirements.txt").read_text(encoding="utf-8")))

    def _version(self, package: str) -> str:
        """Return the version that is locked, and say where another one is installed."""
        if package not in self._pins:
            raise UserError(
                f"requirements.txt: no line {package}==VERSION, but its version decides numbers; `make lock`"
            )
        locked = self._pins[package]
        try:
            installed = metadata.version(package).split("+")[0]
        except metadata.PackageNotFoundError:
            installed = "none"
        if installed != locked and package not in self._told:
            self._told.add(package)
            print(f"code: {package} {installed} is installed, requirements.txt says {locked}", file=sys.stderr)
        return locked


class _Module:
    """One file of Python: what it means, and what it reaches."""

    def __init__(self, root: Path, path: Path) -> None:
        self.root, self.path = root, path
        self.text = path.read_text(encoding="utf-8")
        self.tree = ast.parse(self.text)

    @cached_property
    def code(self) -> str:
        return meaning(self.text, self.tree)

    @cached_property
    def digest(self) -> str:
        return sha256(self.code.encode()).hexdigest()

    @cached_property
    def files(self) -> list[Path]:
        """Our files that it imports or names."""
        own = ".".join(self.path.relative_to(self.root).with_suffix("").parts)
        found = [file for name in self._imported() if (own, name) not in LEFT_OUT for file in self._files_of(name)]
        words = [n.value for n in ast.walk(self.tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        named = {word for word in words if re.fullmatch(r"[\w.-]+\.\w+", word) and not word.endswith(".py")}
        return found + [file for word in sorted(named) if (file := self.path.parent / word).is_file()]

    @cached_property
    def packages(self) -> set[str]:
        """The packages that it imports and that decide numbers."""
        return {package for name in self._imported() for package in DECIDING.get(name.split(".")[0], ())}

    def _imported(self) -> Iterator[str]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    def _files_of(self, name: str) -> Iterator[Path]:
        """Give the file of a module of ours, and of the packages around it, whose code runs with it."""
        parts = name.split(".")
        if parts[0] not in OURS:
            return
        for length in range(1, len(parts) + 1):
            place = self.root.joinpath(*parts[:length])
            yield from (file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file())


def meaning(text: str, tree: ast.Module | None = None) -> str:
    r"""Return Python code without docstrings, comments and blank lines.

    They are cut out by position: unlike a dump of the syntax tree, what is left is the same in every version of Python.

    >>> print(meaning('def f():  # why\n    "What."\n\n    return "# no comment"\n'))
    def f():
        return "# no comment"
    """
    lines = text.splitlines()
    cuts = [
        (node.lineno - 1, node.col_offset, node.end_lineno - 1, node.end_col_offset)
        for node in _docstrings(tree or ast.parse(text))
    ]
    blank = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        row, column = token.start[0] - 1, token.start[1]
        if token.type == tokenize.COMMENT:
            cuts.append((row, len(lines[row][:column].encode()), row, len(lines[row].encode())))
        elif token.type == tokenize.NL and not token.line.strip():
            blank.add(row)
    for first, start, last, end in sorted(cuts, reverse=True):
        before, after = lines[first].encode()[:start].decode(), lines[last].encode()[end:].decode()
        lines[first : last + 1] = [(before + after).rstrip(), *[""] * (last - first)]
        if not lines[first].strip():
            blank |= set(range(first, last + 1))
        else:
            blank |= set(range(first + 1, last + 1))
    return "\n".join(line for row, line in enumerate(lines) if row not in blank)


def _docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                yield first.value
