"""The tables of docs/benchmarks.md are replaced in place, and the words around them stay."""

from __future__ import annotations

from bench.run_all import Bench, cell, replaced, section, shown, table

PLAN = Bench(name="plan", title="Planning", script="plan.py", arguments=("--cats-command", "{cats}/bin/cats"))


def test_a_bench_that_needs_a_missing_peer_has_no_command():
    assert PLAN.command({"cats": None}) is None
    assert PLAN.command({"cats": "/x"}) == ["bench/plan.py", "--cats-command", "/x/bin/cats"]


def test_only_what_stands_between_the_markers_is_replaced():
    page = "# B\n\nwords\n\n<!-- bench:plan -->\nold\n<!-- /bench:plan -->\n\nmore words\n"
    renewed = replaced(page, PLAN, "new\n")
    assert renewed == page.replace("old", "new")


def test_a_new_bench_is_added_at_the_end():
    assert replaced("# B\n", PLAN, "rows\n") == "# B\n\n## Planning\n\n<!-- bench:plan -->\nrows\n<!-- /bench:plan -->\n"


def test_rows_become_a_table_with_units_in_its_head():
    assert table([{"median_ms": 12.345678, "who": "a|b"}]) == [
        "| median ms | who |",
        "| --- | --- |",
        "| 12.35 | a\\|b |",
    ]


def test_numbers_are_cut_to_what_they_carry():
    assert [cell(value) for value in (None, 0.000123456, 1234567.8, 12, "x")] == ["-", "0.0001235", "1,234,568", "12", "x"]


def test_each_title_heads_its_table():
    assert "### 96 slots\n\n| n |" in section({"96 slots": [{"n": 1}]}, None)


def test_the_page_names_no_path_of_this_machine():
    command = ["bench/plan.py", "--cats-command", "/x/bin/cats"]
    assert shown(command, {"cats": "/x", "other": None}) == ["bench/plan.py", "--cats-command", "CATS_ENV/bin/cats"]
