"""The address policy gives the verdict of every case in `tests/testdata/ssrf_cases.json`, and of development."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from temula.kernel.addresses import (
    RESERVED_SUFFIXES,
    AddressPolicy,
    AddressRefused,
    check_answers,
    check_url,
    classify,
)

DATA = json.loads((Path(__file__).parents[1] / "testdata" / "ssrf_cases.json").read_text())
P0 = DATA["policy_P0"]
POLICY = AddressPolicy(own_hosts=frozenset(P0["own_hosts"]))
GOOGLE_V6 = "2001:4860:4860::8888"
DEVELOPMENT = AddressPolicy(allow_loopback=True)


def cases(group: str) -> list[Any]:
    return [pytest.param(case, id=case["id"]) for case in DATA["cases"] if case["group"] == group]


def refusal(url: str, policy: AddressPolicy = POLICY) -> str | None:
    try:
        check_url(url, policy)
    except AddressRefused as refused:
        return refused.code
    return None


def test_defaults_are_the_written_policy() -> None:
    """A policy made without arguments is P0, so that nobody forgets a port or a name."""
    assert POLICY.schemes == set(P0["schemes"])
    assert POLICY.ports == set(P0["ports"])
    written = {"metadata.goog" if suffix.startswith("goog ") else suffix for suffix in P0["reserved_suffixes"]}
    assert written == RESERVED_SUFFIXES
    assert not POLICY.allow_loopback


@pytest.mark.parametrize("case", cases("address"))
def test_address_is_classified(case: dict[str, Any]) -> None:
    """Every address of the table is public or denied as written."""
    assert classify(case["ip"]).public is (case["expect"] == "allow"), case["why"]


@pytest.mark.parametrize("case", cases("url"))
def test_url_is_accepted_or_refused_with_its_code(case: dict[str, Any]) -> None:
    """Every URL of the table may be saved, or is refused with the code that customers see."""
    assert refusal(case["url"]) == case.get("code"), case["why"]


@pytest.mark.parametrize("case", cases("dns"))
def test_answers_are_refused_all_together(case: dict[str, Any]) -> None:
    """One denied answer refuses all of them, in every case of the table whose last answer is to be blocked."""
    last = case["answers"][-1]
    answers = last.get("A", []) + last.get("AAAA", [])
    if case["expect"]["verdict"] == "block_dial":
        with pytest.raises(AddressRefused, match="address_not_allowed"):
            check_answers(answers, POLICY)
    elif case["expect"]["verdict"] == "dial":
        assert check_answers(answers, POLICY) == tuple(answers)


def test_at_most_three_answers_are_tried() -> None:
    """Four good answers give the first three, but a bad one behind them still refuses all."""
    good = ["93.184.216.34", "1.1.1.1", "8.8.8.8", "93.184.216.34", "9.9.9.9"]
    assert check_answers(good, POLICY) == ("93.184.216.34", "1.1.1.1", "8.8.8.8")
    with pytest.raises(AddressRefused):
        check_answers([*good, "10.0.0.1"], POLICY)


@given(st.lists(st.ip_addresses().map(str) | st.sampled_from(["1.1.1.1", "8.8.8.8", GOOGLE_V6]), max_size=6))
def test_what_is_tried_was_checked(answers: list[str]) -> None:
    """Whatever a name answers, what we try is among the answers and public, or nothing is tried."""
    public = all(classify(answer).public for answer in answers)
    try:
        tried = check_answers(answers, POLICY)
    except AddressRefused:
        assert not public
    else:
        assert public
        assert set(tried) <= set(answers)
        assert len(tried) <= 3


def test_refusal_does_not_tell_what_a_name_resolves_to() -> None:
    """A customer cannot read our inner network's names from the refusal."""
    with pytest.raises(AddressRefused) as refused:
        check_answers(["10.96.0.1"], POLICY)
    assert "10.96" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("HTTPS://Hooks.Example.COM/Case/Path", "https://hooks.example.com/Case/Path"),
        ("https://hooks.example.com./", "https://hooks.example.com/"),
        ("https://hooks.example.com:/", "https://hooks.example.com/"),
        ("https://hooks.example.com", "https://hooks.example.com/"),
        ("https://hooks.example.com?x=1", "https://hooks.example.com/?x=1"),
        ("https://hooks.example.com:8443/%2e%2e/%2fx?a[]=%20", "https://hooks.example.com:8443/%2e%2e/%2fx?a[]=%20"),
        ("https://faß.example.com/", "https://xn--fa-hia.example.com/"),
    ],
)
def test_path_is_kept_and_host_is_normalised(given: str, stored: str) -> None:
    """The host is stored in one spelling; path and query stay byte for byte."""
    assert check_url(given, POLICY).url == stored
    assert check_url(stored, POLICY).url == stored


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://hooks.example.com\\@127.0.0.1/", "url_invalid"),
        ("https://hooks.example.com/\\x", "url_invalid"),
        ("https://hooks.example.com/ü", "url_invalid"),
        ("https://hooks.example.com/%zz", "url_invalid"),
        ("https://hooks..example.com/", "url_invalid"),
        ("https://-hooks.example.com/", "url_invalid"),
        ("https://xn--a.example.com/", "url_invalid"),
        ("https://hooks.example.com:443:443/", "url_invalid"),
        ("https://[::1/", "url_invalid"),
        ("https:///x", "url_invalid"),
        ("https://./", "url_invalid"),
        ("https://metadata.goog/", "host_not_public"),
        ("https://127.1/", "ip_literal_not_allowed"),
        ("https://a.0x1/", "ip_literal_not_allowed"),
        ("http://hooks.example.com/", "scheme_not_allowed"),
        ("https://hooks.example.com/" + "a" * 2048, "url_invalid"),
    ],
)
def test_what_parsers_read_differently_is_refused(url: str, code: str) -> None:
    """Beyond the table: backslashes, broken escapes, empty labels and short IPv4 are refused."""
    assert refusal(url) == code


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9000/x", "http://localhost:3000", "https://localhost:8443/", "http://[::1]:80/"]
)
def test_development_opens_this_machine(url: str) -> None:
    """With `allow_loopback` a receiver on this machine is fine, on any port and without TLS."""
    assert check_url(url, DEVELOPMENT).loopback
    assert refusal(url) is not None


@pytest.mark.parametrize(
    "url",
    [
        *("http://10.0.0.1/", "http://192.168.1.1:8080/", "http://169.254.169.254/", "http://0.0.0.0/"),
        *("http://127.0.0.2/", "http://foo.localhost/", "http://intranet/", "http://hooks.example.com/"),
        *("http://2130706433/", "ftp://localhost/", "http://localhost:0/", "http://user@localhost/"),
    ],
)
def test_development_opens_nothing_else(url: str) -> None:
    """With `allow_loopback` every other private address, and plain HTTP to others, stays refused."""
    assert refusal(url, DEVELOPMENT) is not None


def test_development_does_not_let_names_lead_home() -> None:
    """Only a URL that names this machine may resolve to it, and it may resolve to nothing else."""
    assert check_answers(["127.0.0.1", "::1"], DEVELOPMENT, loopback=True) == ("127.0.0.1", "::1")
    with pytest.raises(AddressRefused):
        check_answers(["127.0.0.1"], DEVELOPMENT)
    with pytest.raises(AddressRefused):
        check_answers(["127.0.0.1"], POLICY, loopback=True)
    with pytest.raises(AddressRefused):
        check_answers(["93.184.216.34"], DEVELOPMENT, loopback=True)
