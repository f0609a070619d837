"""What a service may need beside its two functions, as the chain does it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.engine.test_read import HOUR, NOW, FakeArchive, FakeDoor, answer, fake, query, sources, told

from greenai.engine.read import Sources, read_intensity
from greenai.errors import ProviderRefused, ProviderUnavailable, StoreError
from greenai.model.intensity import Access, Login, Payload, Request, Rights

MINUTE = timedelta(minutes=1)
QUARTER = timedelta(minutes=15)
KEYED = replace(fake("grid", zones=("GB", "KE")), needs="key")
NOT_FOUND = ProviderRefused("answered 404", status=404)


class Asked:
    """A door that keeps whole requests and answers by the first word of the path that fits."""

    def __init__(self, **answers: Payload | Exception) -> None:
        self.answers, self.requests = answers, []

    def fetch(self, request: Request) -> Payload:
        self.requests.append(request)
        found = next(found for word, found in self.answers.items() if word in request.url)
        if isinstance(found, Exception):
            raise found
        return found


# Keys and addresses.


def test_without_its_key_a_source_is_not_asked_and_the_variable_is_named():
    base = sources(answer())
    asked = replace(base, providers=(KEYED, *base.providers), door=FakeDoor(https=ProviderUnavailable("away"), package=answer()))
    reading = read_intensity(query(), sources=asked)
    assert reading.fallback_reason == "uk: away; grid: not asked, set GREENAI_GRID_KEY"
    assert len(asked.door.asked) == 2


def test_what_is_live_all_the_same_says_nothing_of_keys():
    base = sources(answer())
    assert told(read_intensity(query(), sources=replace(base, providers=(KEYED, *base.providers)))) == ("live", 100, None)


def test_require_live_names_the_variable_that_would_help():
    alone = Sources(providers=(KEYED,), door=FakeDoor())
    with pytest.raises(ProviderRefused, match="without a key") as caught:
        read_intensity(query(zone="KE"), sources=alone, require_live=True)
    assert caught.value.hint == "set GREENAI_GRID_KEY"


def test_with_its_key_it_is_asked():
    keyed = Sources(providers=(KEYED,), door=FakeDoor(https=answer()), access={"grid": Access(key="secret")})
    assert read_intensity(query(), sources=keyed).step == "live"


def test_a_source_that_wants_an_address_is_passed_over_in_silence():
    base = sources(answer())
    gateway = replace(fake("gateway"), needs="url")
    assert gateway.lacks(Access()) == "url"
    assert not gateway.lacks(Access(base_url="https://here.example/"))
    away = replace(base, providers=(gateway, *base.providers), door=FakeDoor(https=ProviderUnavailable("away"), package=answer()))
    assert read_intensity(query(), sources=away).fallback_reason == "uk: away"


# Log-ins.


def logging_in(door: Asked) -> Sources:
    login = Login(
        request=lambda access: Request(url="https://login", headers={"A": access.key}), token=lambda got: got.body.decode()
    )

    def requests(_query, access):
        return (Request(url="https://data", headers={"A": access.key}),)

    provider = replace(fake("grid"), needs="key", login=login, requests=requests)
    return Sources(providers=(provider,), door=door, access={"grid": Access(key="me:pass")}, archive=FakeArchive())


def test_the_token_takes_the_place_of_the_key_and_is_not_archived():
    token = Payload(url="https://login", body=b"token", sha256="t", fetched_at=NOW)
    asked = logging_in(Asked(login=token, data=answer()))
    assert read_intensity(query(), sources=asked).step == "live"
    assert [request.headers["A"] for request in asked.door.requests] == ["me:pass", "token"]
    assert asked.archive.payload("t") is None
    assert asked.archive.payload("100") is not None


def keeping(door: Asked, life: timedelta = 25 * MINUTE) -> Sources:
    asked = logging_in(door)
    provider = asked.providers[0]
    return replace(asked, providers=(replace(provider, login=replace(provider.login, life=life)),))


TOKEN = Payload(url="https://login", body=b"token", sha256="t", fetched_at=NOW)
EXPIRED = ProviderRefused("answered 401", status=401)


@pytest.mark.parametrize(("later", "logins"), [(MINUTE, 1), (24 * MINUTE, 1), (25 * MINUTE, 2), (-MINUTE, 2)])
def test_a_token_is_kept_for_its_life(later, logins):
    asked = keeping(Asked(login=TOKEN, data=answer()))
    for now_at in (NOW, NOW + later):
        assert read_intensity(query(now_at=now_at), sources=asked).step == "live"
    assert [request.url for request in asked.door.requests].count("https://login") == logins
    assert "token" not in repr(asked.keyring)
    assert "pass" not in repr(asked.keyring)
    assert asked.archive.payload("t") is None


def test_another_key_has_another_token():
    asked = keeping(Asked(login=TOKEN, data=answer()))
    for key in ("me:pass", "you:pass", "me:pass"):
        read_intensity(query(), sources=replace(asked, access={"grid": Access(key=key)}))
    assert [request.url for request in asked.door.requests].count("https://login") == 2


class Expiring(Asked):
    """Refuses the data so many times."""

    refusals = 0

    def fetch(self, request: Request) -> Payload:
        found = super().fetch(request)
        if "data" in request.url and self.refusals:
            self.refusals -= 1
            raise EXPIRED
        return found


@pytest.mark.parametrize(("refusals", "step"), [(1, "live"), (2, "none")])
def test_a_token_refused_before_its_time_is_renewed_once(refusals, step):
    asked = keeping(Expiring(login=TOKEN, data=answer()))
    read_intensity(query(), sources=asked)
    asked.door.refusals, asked.door.requests = refusals, []
    away = replace(asked, archive=None)
    assert read_intensity(query(), sources=away).step == step
    assert [request.url for request in asked.door.requests] == ["https://data", "https://login", "https://data"]


def test_a_refusal_of_another_sort_is_not_the_tokens_fault():
    asked = keeping(Asked(login=TOKEN, data=answer()))
    read_intensity(query(), sources=asked)
    asked.door.answers["data"], asked.door.requests = ProviderRefused("answered 403", status=403), []
    with pytest.raises(ProviderRefused, match="403"):
        read_intensity(query(), sources=asked, require_live=True)
    assert len(asked.door.requests) == 1


# What a key may read.


def with_rights(door: Asked) -> Sources:
    def explain(error, listing, asked):
        said = "the key is bad" if listing is None else f"{asked.zone} is not in {listing.body.decode()}"
        return ProviderRefused(f"{said}: {error}", status=401)

    def missing(listing, asked):
        return None if asked.zone in listing.body.decode() else explain("not asked", listing, asked)

    rights = Rights(request=lambda _access: Request(url="https://rights"), missing=missing, explain=explain)
    provider = replace(
        fake("grid", zones=("GB", "KE"), url="https://data"), needs="key", rights=rights, refusal=lambda error, _query: error
    )
    return Sources(providers=(provider,), door=door, access={"grid": Access(key="k")})


LISTING = Payload(url="https://rights", body=b"KE", sha256="r", fetched_at=NOW)


@pytest.mark.parametrize(
    ("listing", "words"),
    [
        (LISTING, "GB is not in KE: answered 401"),
        (EXPIRED, "the key is bad: answered 401"),
        (ProviderRefused("answered 403", status=403), "answered 401"),
        (ProviderUnavailable("away"), "answered 401"),
    ],
)
def test_the_list_of_rights_tells_a_bad_key_from_a_small_plan(listing, words):
    asked = with_rights(Asked(rights=listing, data=EXPIRED))
    assert read_intensity(query(), sources=asked).fallback_reason == f"grid: {words}"


def test_what_is_not_covered_is_asked_once_an_hour_and_other_zones_all_the_same():
    asked = with_rights(Asked(rights=LISTING, data=EXPIRED))
    for now_at, requests in ((NOW, 2), (NOW + MINUTE, 2), (NOW + 61 * MINUTE, 4)):
        read_intensity(query(now_at=now_at, start_at=now_at), sources=asked)
        assert len(asked.door.requests) == requests
    asked.door.answers["data"] = answer()
    assert read_intensity(query(zone="KE"), sources=asked).step == "live"


def test_a_good_key_never_costs_a_read_of_its_rights():
    asked = with_rights(Asked(data=answer()))
    assert read_intensity(query(), sources=asked).step == "live"
    assert [request.url for request in asked.door.requests] == ["https://data"]


def test_require_live_says_what_to_do_instead():
    away = replace(sources(answer()), door=FakeDoor(https=ProviderUnavailable("away"), package=answer()))
    with pytest.raises(ProviderUnavailable, match="away") as caught:
        read_intensity(query(), sources=away, require_live=True)
    assert "leave out --require live" in caught.value.hint
    told_already = replace(away, door=FakeDoor(https=ProviderUnavailable("away", hint="check the proxy"), package=answer()))
    with pytest.raises(ProviderUnavailable) as caught:
        read_intensity(query(), sources=told_already, require_live=True)
    assert caught.value.hint == "check the proxy"


def test_without_the_network_nobody_logs_in():
    asked = replace(logging_in(Asked()), network=False)
    assert read_intensity(query(), sources=asked).step == "none"
    assert asked.door.requests == []


def test_refusals_are_put_into_the_providers_words():
    asked = logging_in(Asked(login=ProviderRefused("answered 401", status=401)))
    assert read_intensity(query(), sources=asked).fallback_reason.startswith("grid: answered 401")
    kind = replace(asked.providers[0], refusal=lambda error, about: ProviderRefused(f"no {about.zone} for you: {error.status}"))
    with pytest.raises(ProviderRefused, match="no GB for you: 401"):
        read_intensity(query(), sources=replace(asked, providers=(kind,)), require_live=True)


# What stands in for an address.


def two_versions(door: Asked) -> Sources:
    def requests(_query, _access):
        return (Request(url="https://v4", instead=Request(url="https://v3")),)

    return Sources(providers=(replace(fake(), requests=requests),), door=door)


def test_where_an_address_is_not_found_the_other_is_asked():
    asked = two_versions(Asked(v4=NOT_FOUND, v3=answer()))
    assert read_intensity(query(), sources=asked).step == "live"
    assert [request.url for request in asked.door.requests] == ["https://v4", "https://v3"]


@pytest.mark.parametrize(
    ("answers", "count"),
    [
        ({"v4": answer()}, 1),
        ({"v4": ProviderRefused("answered 403", status=403), "v3": answer()}, 1),
        ({"v4": NOT_FOUND, "v3": NOT_FOUND}, 2),
    ],
)
def test_only_what_is_not_found_is_asked_elsewhere(answers, count):
    asked = two_versions(Asked(**answers))
    read_intensity(query(), sources=asked)
    assert len(asked.door.requests) == count


# Answers used again.


def reusing(archive: FakeArchive | None) -> Sources:
    return Sources(providers=(replace(fake(), reuse_for=QUARTER),), door=FakeDoor(https=answer(value=200)), archive=archive)


@pytest.mark.parametrize(
    ("fetched_at", "value"),
    [
        (NOW - timedelta(minutes=6), 90),
        (NOW - timedelta(minutes=8), 200),
    ],
)
def test_an_answer_of_the_same_quarter_hour_is_used_again(fetched_at, value):
    """NOW is 10:37: a quarter hour begins at 10:30."""
    kept = FakeArchive((query(now_at=fetched_at), answer(NOW - HOUR, value=90, fetched_at=fetched_at)))
    asked = reusing(kept)
    assert told(read_intensity(query(), sources=asked)) == ("live", value, None)
    assert len(asked.door.asked) == (value == 200)


def test_a_young_answer_that_does_not_cover_the_need_is_no_use():
    kept = FakeArchive((query(), answer(NOW - HOUR, hours=4, value=90)))
    assert told(read_intensity(query(), sources=reusing(kept))) == ("live", 200, None)


def test_an_archive_that_cannot_be_read_costs_no_answer():
    broken = FakeArchive(broken=StoreError("disk"))
    assert told(read_intensity(query(), sources=reusing(broken))) == ("live", 200, "archive: disk")


@pytest.mark.parametrize("archive", [None, FakeArchive()])
def test_without_an_answer_kept_the_service_is_asked(archive):
    assert told(read_intensity(query(), sources=reusing(archive))) == ("live", 200, None)
