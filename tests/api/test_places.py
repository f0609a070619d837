"""Places as users of the Python API name them: packaged regions, their own files, homes; read once a zone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenai import api
from greenai.errors import InputError, NoFeasibleWindow
from greenai.testing.grid import FakeGrid

TABLE = "region,UTC_hour,carbon_intensity_gco2_per_kwh\n" + "".join(
    f"{zone},{hour},{value}\n" for zone, value in (("DE", 400), ("GB", 200), ("SE-SE3", 30), ("BE", 150)) for hour in range(24)
)
PLACES = "aws:eu-west-2,aws:eu-north-1,gcp:europe-west1"


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name, value in {"HOME": str(tmp_path / "home"), "ZONE": "DE"}.items():
        monkeypatch.setenv(f"GREENAI_{name}", value)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "table.csv"
    path.write_text(TABLE)
    return path


def by_name(answer: api.PlacesAnswer) -> dict:
    return {place["name"]: place for place in answer.document()["places"]}


def test_the_cleanest_place_is_chosen_and_the_difference_to_home_signed(table: Path) -> None:
    answer = api.plan_places(PLACES, duration="2h", series=table, power_kw=3)
    document = answer.document()
    assert (document["home"], document["chosen"]) == ("DE", "aws:eu-north-1")
    assert [place["name"] for place in document["places"]] == ["aws:eu-north-1", "gcp:europe-west1", "aws:eu-west-2", "DE"]
    found = by_name(answer)
    assert found["DE"]["total_g"]["value"] == pytest.approx(3 * 2 * 400)
    assert found["aws:eu-north-1"]["difference_g"]["value"] == pytest.approx(3 * 2 * (30 * 1.1 - 400))
    assert found["aws:eu-north-1"]["water_l"] == pytest.approx(3 * 2 * 0.02)
    assert not answer.power_assumed


def test_without_a_power_figures_are_per_kilowatt(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = api.plan_places(PLACES, duration="1h", series=table)
    assert (answer.question.power_kw, answer.power_assumed) == (1.0, True)
    monkeypatch.setenv("GREENAI_ASSUMED_W", "250")
    answer = api.plan_places(PLACES, duration="1h", series=table)
    assert (answer.question.power_kw, answer.power_assumed) == (0.25, False)


@pytest.mark.parametrize(
    ("home", "name", "zone"), [("aws:eu-west-2", "aws:eu-west-2", "GB"), ("gb", "GB", "GB"), (None, "DE", "DE")]
)
def test_home_is_a_place_or_a_zone_or_the_settings(table: Path, home: str | None, name: str, zone: str) -> None:
    answer = api.plan_places(["aws:eu-north-1"], home=home, duration="1h", series=table)
    assert answer.routing.home.site.name == name
    assert answer.routing.home.site.place.zone == zone
    assert answer.routing.home.site.place.pue_stated is (home == "aws:eu-west-2")


def test_residency_distance_and_latency_count_from_home_or_a_point(table: Path) -> None:
    eu = api.plan_places(PLACES, allow="EU", duration="1h", series=table)
    assert [p["name"] for p in eu.document()["places"] if p["refused"]] == ["aws:eu-west-2"]
    near = api.plan_places(PLACES, home="aws:eu-west-2", within_km=500, duration="1h", series=table)
    assert near.document()["chosen"] == "gcp:europe-west1"
    quick = api.plan_places(PLACES, near=(59.3, 18.1), max_latency_ms=1, duration="1h", series=table)
    assert quick.document()["chosen"] == "aws:eu-north-1"


OWN = """
[[place]]
name = "cellar"
zone = "SE-SE3"
pue = 1.4
wue = 0.5
price_per_hour = 2
currency = "eur"
hardware = ["A100", "V100"]
country = "se"
lat = 59.3
lon = 18.1

[[place]]
name = "aws:eu-west-2"
price_per_hour = 3.06
currency = "EUR"
"""


def test_own_places_from_toml_stand_beside_the_packaged_ones(table: Path, tmp_path: Path) -> None:
    path = tmp_path / "places.toml"
    path.write_text(OWN)
    found = by_name(api.plan_places(places_file=path, duration="2h", series=table, egress_price=0.1, data_gb=10))
    assert set(found) == {"DE", "cellar", "aws:eu-west-2"}
    assert (found["cellar"]["money"], found["cellar"]["currency"], found["cellar"]["hardware"]) == (5, "EUR", ["a100", "v100"])
    assert (found["cellar"]["pue"], found["cellar"]["pue_source"]) == (1.4, "stated in places.toml, place 1")
    # What the file does not say of a packaged region stays as packaged.
    assert (found["aws:eu-west-2"]["pue"], found["aws:eu-west-2"]["price_per_h"]) == (1.135, 3.06)
    some = by_name(api.plan_places("cellar,gcp:europe-west1", places_file=path, duration="2h", series=table, hardware="a100"))
    assert set(some) == {"DE", "cellar", "gcp:europe-west1"}
    assert [name for name, place in some.items() if not place["refused"]] == ["cellar", "DE"]


def test_own_places_from_csv(table: Path, tmp_path: Path) -> None:
    path = tmp_path / "places.csv"
    path.write_text("name,zone,pue,price_per_hour,currency,hardware\ncellar,BE,1.2,1.5,EUR,a100; v100\nattic,GB,,,,\n")
    found = by_name(api.plan_places(places_file=path, duration="1h", series=table))
    assert (found["cellar"]["hardware"], found["cellar"]["money"]) == (["a100", "v100"], 1.5)
    assert (found["attic"]["pue"], found["attic"]["price_per_h"], found["attic"]["pue_taken"]) == (None, None, 1.58)


def test_a_packaged_region_on_another_zone_is_of_its_country(table: Path, tmp_path: Path) -> None:
    path = tmp_path / "places.csv"
    path.write_text("name,zone\naws:eu-west-2,BE\n")
    assert by_name(api.plan_places(places_file=path, duration="1h", series=table))["aws:eu-west-2"]["country"] == "BE"


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("p.toml", "x = ", "is not TOML"),
        ("p.toml", "place = 3", "not a list of tables"),
        ("p.toml", "", "has no places"),
        ("p.toml", '[[place]]\nzone = "DE"', "has no name"),
        ("p.toml", '[[place]]\nname = "a"', "has no grid zone"),
        ("p.toml", '[[place]]\nname = "a"\nzone = "DE"\nlat = 3', "half a point"),
        ("p.toml", '[[place]]\nname = "a"\nzone = "DE"\npue = 0.5', "place 1, pue: 0.5 is out of range"),
        ("p.toml", '[[place]]\nname = "a"\nzone = "DE"\nhardware = [3]', "place 1, hardware: 3 is not a text"),
        ("p.toml", '[[place]]\nname = "a"\nzone = "DE"\nprice = 3', "unknown 'price'"),
        ("p.toml", '[[place]]\nname = "a"\nzone = "DE"\nprice_per_hour = 3', "no currency"),
        ("p.csv", "name,zone\na,DE\nA,GB\n", "the place 'a' twice"),
        ("p.csv", "name,zone\na,de dijon\n", "is not a grid zone"),
    ],
)
def test_a_wrong_file_says_where_and_what(tmp_path: Path, name: str, body: str, words: str) -> None:
    (tmp_path / name).write_text(body)
    with pytest.raises(InputError, match=words):
        api.plan_places(places_file=name, duration="1h")


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        ({"places": "aws:eu-wset-2"}, "there is no place"),
        ({"places": "aws:eu-west-2", "home": "aws:moon-1"}, "there is no place"),
        ({"places": ""}, "no places to choose among"),
        ({"places": PLACES, "allow": "Europa"}, "is not a country"),
        ({"places": PLACES, "near": "here"}, "is not a point"),
        ({"places": PLACES, "near": "95,0"}, "no point on Earth"),
        ({"places": PLACES, "within_km": 3}, "needs the point"),
        ({"places": PLACES, "duration": None}, "how long the job takes"),
        ({"places": PLACES, "scaling": "1=1,2=2"}, "one place only"),
        ({"places": PLACES, "places_file": "nowhere.toml"}, "there is no file"),
    ],
)
def test_wrong_words_are_one_sentence(table: Path, ask: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        api.plan_places(**{"duration": "1h", "series": table, **ask})


@pytest.mark.parametrize("setting", ["SERIES", "HISTORY", "CONSTANT_G_PER_KWH"])
def test_the_series_of_one_grid_does_not_stand_for_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    one = tmp_path / "one.csv"
    one.write_text("start_utc,g_per_kwh\n2026-11-24T00:00Z,100\n2026-11-24T01:00Z,100\n")
    monkeypatch.setenv(f"GREENAI_{setting}", "250" if setting.startswith("C") else str(one))
    with pytest.raises(InputError, match="cannot stand for several grids: DE, GB"):
        api.plan_places("aws:eu-west-2", duration="1h")
    if setting.startswith("C"):
        assert api.plan_places("aws:eu-west-2", home="GB", duration="1h").document()["chosen"] == "GB"


def test_each_grid_that_was_read_is_told(table: Path) -> None:
    told: list[tuple[str, int, int]] = []
    api.plan_places(PLACES, duration="1h", series=table, tell=lambda *each: told.append(each))
    zones = {part["zone"] for part in api.plan_places(PLACES, duration="1h", series=table).document()["places"]} - {"WORLD"}
    assert {what for what, _, _ in told} == {f"reading the grid of {zone}" for zone in zones}
    assert sorted(done for _, done, _ in told) == list(range(1, len(zones) + 1))
    assert {of for _, _, of in told} == {len(zones)}


def test_an_unknown_keyword_is_a_typing_error() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'durration'"):
        api.plan_places(PLACES, durration="1h")


def test_regions_are_listed_near_first_and_by_residency() -> None:
    found = api.regions("AWS", near="52.5,13.4", allow="EU", within_km=1000)
    assert [one.site.name for one in found[:2]] == ["aws:eu-central-1", "aws:eu-north-1"]
    assert all(one.distance_km <= 1000 and one.site.country != "GB" for one in found)
    assert found[0].g_per_kwh > 200 > found[1].g_per_kwh
    assert len(api.regions()) == 158
    assert api.regions()[0].distance_km is None
    with pytest.raises(InputError, match="no cloud 'awz'"):
        api.regions("awz")
    with pytest.raises(InputError, match="needs the point"):
        api.regions(within_km=3)


@pytest.fixture
def grid(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGrid]:
    with FakeGrid() as service:
        monkeypatch.setenv("GREENAI_UK_URL", service.url)
        monkeypatch.setenv("GREENAI_ELECTRICITYMAPS_URL", service.url_of("electricitymaps"))
        monkeypatch.setenv("GREENAI_ELECTRICITYMAPS_KEY", "good-key-1234")
        monkeypatch.setenv("GREENAI_ENERGYCHARTS_URL", service.url_of("energycharts"))
        monkeypatch.setenv("GREENAI_WATTTIME_URL", service.url_of("watttime"))
        monkeypatch.setenv("GREENAI_HTTP_TIMEOUT_S", "8")
        yield service


def test_each_zone_is_read_once(grid: FakeGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    from greenai.api import places

    asked = []
    read, lock = places.foresee, threading.Lock()

    def counted(query, **how):
        with lock:
            asked.append(query.zone)
        return read(query, **how)

    monkeypatch.setattr(places, "foresee", counted)
    answer = api.plan_places("aws:eu-west-2,azure:uksouth,gcp:europe-west2", home="GB", duration="1h")
    assert asked == ["GB"]
    assert {offer.known.step for offer in answer.routing.offers} == {"live"}


def test_a_place_nobody_covers_is_shown_with_the_reason(table: Path) -> None:
    found = by_name(api.plan_places("aws:ap-south-1,aws:eu-north-1", duration="1h", series=table))
    assert "has no region IN-WE" in found["aws:ap-south-1"]["refused"][0]
    assert found["aws:ap-south-1"]["total_g"] is None
    with pytest.raises(NoFeasibleWindow, match="no place can be chosen"):
        api.plan_places("aws:ap-south-1", home="FR", duration="1h", series=table)


def test_the_world_is_no_home_to_compare_with(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENAI_ZONE", "WORLD")
    answer = api.plan_places("aws:eu-north-1", duration="1h", series=table)
    assert answer.document()["chosen"] == "aws:eu-north-1"
    assert answer.routing.chosen.priced is not None
    assert answer.routing.chosen.priced.difference_g is None
    assert "no place to compare with" in answer.routing.home.refused[0]
    with pytest.raises(NoFeasibleWindow, match="no place to compare with"):
        api.plan_places("here", places_file=_here(table), duration="1h", series=table)


def _here(table: Path) -> Path:
    path = table.with_name("here.csv")
    path.write_text("name,zone\nhere,WORLD\n")
    return path


def test_average_and_marginal_stand_beside_each_other(grid: FakeGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENAI_WATTTIME_KEY", "me:my-password")
    answer = api.plan_places("aws:us-west-1", home="US-CAL-CISO", duration="1h")
    assert set(answer.beside) == {"US-CAL-CISO", "aws:us-west-1"}
    document = answer.document()
    assert document["bases_disagree"] is False
    assert {place["other_basis"]["basis"] for place in document["places"]} == {"marginal"}
    assert {place["basis"] for place in document["places"]} == {"average"}
