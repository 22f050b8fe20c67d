"""The published table: whole, and consistent with the gains and means that its source states."""

from __future__ import annotations

import pytest

from rushes_vbench.catalogue import facts
from rushes_vbench.published import Published, published

GAINS = (4.31, 6.10, 2.12, 3.73, 1.88, 2.68, 0.53, 8.27, 4.35, 2.93, 3.70, 8.34, 1.33, 0.64, 0.00, 12.07, 5.77)
"""Column "gain" of the source, which is not in our data, in the order of its rows."""
MEANS = (49.53, 48.90, 47.64, 52.98, 52.12, 56.17)
"""Its row "mean"."""


def test_numbers_add_up_to_what_the_source_says() -> None:
    table = published()
    base, tuned = table.columns.index(table.base), table.columns.index(table.tuned)
    assert [round(row[tuned] - row[base], 2) for row in table.rows.values()] == list(GAINS)
    for column, mean in enumerate(MEANS):
        assert sum(row[column] for row in table.rows.values()) / 17 == pytest.approx(mean, abs=0.006)


def test_rows_are_dimensions_and_diversity_is_not_among_them() -> None:
    assert set(facts()) - set(published().rows) == {"Diversity"} and set(published().rows) <= set(facts())
    assert published().score("Motion_Rationality", "GigaVideo-1") == pytest.approx(0.5287)
    assert published().score("Diversity", "Wan2.1") is None


def test_a_table_with_a_gap_is_refused() -> None:
    row = published().model_dump()
    with pytest.raises(ValueError, match="one number per column"):
        Published.model_validate({**row, "rows": {"Material": (1.0,)}})
    with pytest.raises(ValueError, match="base and tuned"):
        Published.model_validate({**row, "base": "Nobody"})
