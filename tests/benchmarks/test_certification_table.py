"""The tables of `benchmarks/certification.py` show its raw results."""

import pytest

pytestmark = pytest.mark.one_backend


@pytest.fixture
def save(tmp_path, monkeypatch):
    import results

    monkeypatch.setattr(results, "FOLDER", tmp_path)
    return lambda name, rows: results.save("certification", name, rows)


def cells(table):
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
    ]


def run(certified, candidate="ibp", **others):
    row = {"attacked": 0.95, "accuracy": 0.98, "warnings": 1}
    return {"candidate": candidate, "certified": certified, **row, **others}


def test_without_results_there_are_no_tables(save):
    import certification_table as tables

    for make_table in (
        tables.certification_table,
        tables.bracket_table,
        tables.smoothing_table,
        tables.speed_table,
    ):
        assert make_table() == ""


def test_only_the_last_choice_counts(save):
    from certification_table import certification_table

    save("mnist, linf 0.1", [run(0.1, "earlier"), run(0.92), run(0.94)])
    save("speed", [{"examples": 1000, "kerascope": 1.5}])
    head, _, row = cells(certification_table())
    assert head[1:4] == ["certified", "under attack", "clean"]
    assert row[1:6] == ["93.00 % ± 1.41", "95.00 % ± 0.00", "98.00 % ± 0.00", "2", "2"]
    assert row[6].startswith("KW 89.1")


def test_a_bracket_has_a_row_for_each_epsilon(save):
    from certification_table import bracket_table

    bounds = {"ibp": (0.5, 0.0), "crown": (0.9, 0.6), "alpha-crown": (0.92, 0.7)}
    save(
        "bracket",
        [
            {
                "network": "plain",
                "method": method,
                "epsilon": epsilon,
                "certified": one,
                "attacked": 0.95,
            }
            for method, pair in bounds.items()
            for epsilon, one in zip((0.01, 0.05), pair, strict=True)
        ],
    )
    assert cells(bracket_table())[2:] == [
        ["plain", "0.01", "95.0 %", "92.0 %", "90.0 %", "50.0 %", "3.0 points"],
        ["plain", "0.05", "95.0 %", "70.0 %", "60.0 %", "0.0 %", "25.0 points"],
    ]


def test_smoothing_and_speed(save):
    from certification_table import smoothing_table, speed_table

    shares = {"radius 0.0": 0.98, "radius 0.25": 0.964, "radius 0.5": 0.9}
    save("smoothing", [{"sigma": 0.25, **shares}])
    expected = ["0.25", "98.0 %", "96.4 %", "90.0 %"]
    assert cells(smoothing_table())[2] == expected
    row = {"examples": 1000, "kerascope": 1.234}
    save("speed", [row])
    assert cells(speed_table())[2] == ["1,000", "1.23", "-", "-"]
    save("speed", [row | {"auto_LiRPA": 2.5, "largest_difference": 3e-6}])
    assert cells(speed_table())[2] == ["1,000", "1.23", "2.50", "3e-06"]


def test_a_table_has_a_place_if_and_only_if_it_has_results():
    from tables import insert_tables

    place = "<!-- table: some -->\nold\n<!-- end -->"
    assert insert_tables("text", {"some": lambda: ""}) == "text"
    assert insert_tables(place, {"some": lambda: "new"}) == place.replace("old", "new")
    for text, table in (("text", "new"), (place, ""), (2 * place, "new")):
        with pytest.raises(ValueError, match="tables 'some'"):
            insert_tables(text, {"some": lambda table=table: table})
