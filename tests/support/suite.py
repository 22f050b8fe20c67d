"""A small suite in the benchmark's file format, with prompts of our own: several dimensions, one shared prompt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rushes_vbench.suite import FILE, Suite, suite_of

SHARED = "A potter shapes a bowl."
"""Serves Diversity and Mechanics."""
LONG = "A slow walk through an old town" + ", past one more house with a red door" * 5 + " (the end)."
"""Longer than the 180 characters that a file name keeps."""


def suite_rows() -> list[dict[str, Any]]:
    """Entries of ten dimensions."""
    rows: list[dict[str, Any]] = [
        {"prompt_en": SHARED, "dimension": ["Diversity"]},
        {"prompt_en": "A shelf of jars.", "dimension": ["Diversity"]},
        {"prompt_en": SHARED, "dimension": ["Mechanics"], "auxiliary_info": ["Is there clay? (yes or no)", "Does it?"]},
        {"prompt_en": LONG, "dimension": ["Complex_Landscape"], "auxiliary_info": ["a", "b", "c"]},
        {"prompt_en": "Kiln at 900°C, it\u2019s déjà vu.", "dimension": ["Thermotics"], "auxiliary_info": ["Glows?"]},
        {"prompt_en": "Barn, zoom in.", "dimension": ["Camera_Motion"], "auxiliary_info": "zoom_in"},
        {"prompt_en": "Two hens.", "dimension": ["Instance_Preservation"], "auxiliary_info": "2.hens"},
        {"prompt_en": "Someone laughs.", "dimension": ["Human_Identity"]},
        {
            "prompt_en": "A cow with fins.",
            "dimension": ["Composition"],
            "auxiliary_info": {"question": ["a cow", "fins"], "judge": [True, False]},
        },
        {
            "prompt_en": "He yawns, then nods.",
            "dimension": ["Motion_Order_Understanding"],
            "auxiliary_info": ["x", "y"],
        },
    ]
    colours = ("red", "blue", "green", "white", "black", "brown")
    rows += [
        {
            "prompt_en": f"A {one} paint meets {two} paint.",
            "dimension": ["Material"],
            "auxiliary_info": ["Do they mix?"],
        }
        for one, two in zip(colours, colours[1:] + colours[:1], strict=True)
    ]
    return rows


def small_suite(rows: list[dict[str, Any]] | None = None) -> Suite:
    """The entries, read as a file is read."""
    return suite_of(json.dumps(suite_rows() if rows is None else rows).encode(), "test suite")


def write_suite(folder: Path, rows: list[dict[str, Any]] | None = None) -> Path:
    """The file in a folder; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(json.dumps(suite_rows() if rows is None else rows), encoding="utf-8")
    return folder
