"""YAML text to plain data, with the line of every key, so that each problem can say where it is.

What no file under params/ has a use for is a problem: tags, keys that are not text, a key twice, NaN.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tasks.core.errors import nearest
from tasks.plan.problems import Document, Keys, bare, show
from tasks.plan.scalars import TAG, CoreLoader, is_number, scalar

HOUSE = tuple(f"{name}.yaml" for name in ("plan", "expectations", "rollout", "promotion", "schedule", "smoke"))
_DEEPEST = 40
_MOST_NODES = 100_000  # a few aliases of aliases can stand for millions of values


def read(file: Path) -> Document:
    """Read one file; whatever its bytes are, what is wrong ends up in the document's problems."""
    doc = Document(file)
    try:
        text = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as e:
        before = e.object[: e.start]
        line, column = before.count(b"\n") + 1, e.start - before.rfind(b"\n")
        doc.give_up(f"the byte 0x{e.object[e.start]:02x}", "UTF-8 text", line=line, column=column)
    except FileNotFoundError:
        others = (f.name for f in file.parent.glob("*.y*ml") if f.name not in HOUSE)
        close = nearest(file.name, others)
        doc.give_up("no such file", f"a YAML file of this name{close}")
    except OSError as e:
        doc.give_up(f"a file that cannot be read ({e.strerror})", "a YAML file")
    else:
        _compose(doc, text)
    return doc


def _compose(doc: Document, text: str) -> None:
    try:
        node = CoreLoader(text).get_single_node()
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        what = ", ".join(part for part in (e.context, e.problem) if part)
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        doc.give_up(f"a syntax error ({bare(what)})", "YAML", line=line, column=column)
    except yaml.reader.ReaderError as e:
        before = text[: e.position]
        line, column = before.count("\n") + 1, e.position - before.rfind("\n")
        doc.give_up(f"the character #x{ord(text[e.position]):04x}", "printable text", line=line, column=column)
    except (ValueError, OverflowError, RecursionError) as e:  # an escape beyond Unicode; brackets without end
        doc.give_up(f"text that YAML cannot hold ({type(e).__name__})", "YAML, nested at most 40 deep")
    else:
        if node is None:
            doc.give_up("an empty file", "a YAML mapping; `{}` where every key may be left out")
            return
        value = _plain(doc, node, ())
        if isinstance(value, dict):
            doc.value = value
        elif doc.readable:
            doc.give_up(show(value), "a mapping of keys to values", line=node.start_mark.line + 1)


def _plain(doc: Document, node: yaml.Node, path: Keys) -> Any:
    doc.nodes += 1
    if len(path) > _DEEPEST or doc.nodes > _MOST_NODES:  # also what ends an alias of itself
        if doc.readable:
            doc.give_up("far too many values", f"{_MOST_NODES} values, nested at most {_DEEPEST} deep")
        return None
    if isinstance(node, yaml.MappingNode) and node.tag == f"{TAG}map":
        return _mapping(doc, node, path)
    if isinstance(node, yaml.SequenceNode) and node.tag == f"{TAG}seq":
        items = []
        for i, item in enumerate(node.value):
            doc.lines[(*path, i)] = item.start_mark.line + 1
            items.append(_plain(doc, item, (*path, i)))
        return items
    return _scalar(doc, node, path)


def _scalar(doc: Document, node: yaml.Node, path: Keys) -> Any:
    text = node.value if isinstance(node, yaml.ScalarNode) else "a collection"
    try:
        return scalar(node.tag, text)
    except ValueError:
        number = is_number(node.tag)
        doc.problem(path, bare(text[:60]), "a finite number" if number else "text or a number, without a tag")
        doc.unread.add(path)
        return None


def _mapping(doc: Document, node: yaml.MappingNode, path: Keys) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        here = (*path, key_node.value if isinstance(key_node, yaml.ScalarNode) else "?")
        first = doc.lines.get(here)
        doc.lines[here] = line
        key = _plain(doc, key_node, here) if isinstance(key_node, yaml.ScalarNode) else None
        if not isinstance(key, str):
            doc.problem(here, "a key that is not text", "a word")
            continue
        if key in value:
            doc.problem(here, f"the same key twice, first on line {first}", "each key once")
        value[key] = _plain(doc, value_node, here)
    return value
