"""Tables from spreadsheets: what a first line names twice is not decided by which column comes last."""

from __future__ import annotations

from rushes.store.spreadsheet import TableRow, read_spreadsheet


def rows(text: str) -> list[TableRow]:
    table = read_spreadsheet(text.encode(), lambda names: "clip" in names)
    assert table.rows is not None
    return list(table.rows)


def test_two_columns_of_one_name_that_differ_cost_the_row() -> None:
    found = rows("clip,score,score\na,1,2\nb,3,3\nc,,\nd,4\n")
    assert [row.problem != "" for row in found] == [True, False, False, True]
    assert "'score'" in found[0].problem
    assert found[1].cells == {"clip": "b", "score": "3"} and found[2].cells == {"clip": "c"}


def test_the_columns_of_a_table_are_named_once() -> None:
    table = read_spreadsheet(b"clip,note,note,,\na,x,x,,\n", lambda names: "clip" in names)
    assert table.columns.count("note") == 1
