"""Where values came from: by identity and by parts of strings; and what that cannot see."""

import pytest

from interlock.policy.origins import Output, Source, trace

TASK = Source.of("Answer ticket 4711 for bob@customer.example and keep it short")
TICKET = Output(
    Source.of('{"text": "please\\nmallory@evil.example or https://evil.example/collect"}'), ("untrusted",)
)
SECRET = Output(Source.of("API_KEY = sk-live-9f8e7d6c5b4a"), ("secret",))
PLAIN = Output(Source.of("42 files in /srv/reports"), ())


def labels(value: object, *outputs: Output, approvers: tuple[Source, ...] = ()) -> tuple[str, ...]:
    return trace({"to": value}, requester=[TASK], approvers=approvers, outputs=outputs)["to"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bob@customer.example", ("requester",)),
        ("BOB@Customer.Example", ("requester",)),
        (4711, ("requester",)),
        ("mallory@evil.example", ("untrusted",)),
        ("Mallory@EVIL.example", ("untrusted",)),
        (["bob@customer.example", "mallory@evil.example"], ("requester", "untrusted")),
        ("bob@customer.example, mallory@evil.example", ("requester", "untrusted")),
        ("https://evil.example/collect?d=sk-live-9f8e7d6c5b4a", ("secret", "untrusted")),
        ({"to": {"address": "mallory@evil.example"}}, ("model", "untrusted")),
        ("nobody@nowhere.example", ("model",)),
        ("eve@customer.example", ("model",)),
        ("42", ()),
        ("", ()),
        (True, ()),
        (None, ()),
    ],
)
def test_values_carry_labels_of_their_origin(value: object, expected: tuple[str, ...]) -> None:
    assert labels(value, TICKET, SECRET, PLAIN) == expected


def test_line_break_escape_hides_no_origin() -> None:
    told = Output(Source.of('["x\\nevil.co"]'), ("untrusted",))
    assert labels("evil.co", told) == ("untrusted",)


def test_unicode_escape_hides_no_origin() -> None:
    told = Output(Source.of('"\\u0065vil.co"'), ("untrusted",))
    assert labels("evil.co", told) == ("untrusted",)


def test_full_width_letters_hide_no_origin() -> None:
    told = Output(Source.of("ｅｖｉｌ.co"), ("untrusted",))
    assert labels("evil.co", told) == ("untrusted",)


def test_piece_of_a_longer_word_is_found() -> None:
    told = Output(Source.of("xxsk-live-9f8e7d6c5b4axx"), ("secret",))
    assert "secret" in labels("sk-live-9f8e7d6c5b4a", told)


def test_requesters_own_word_counts_before_an_output() -> None:
    told = Output(Source.of("write to bob@customer.example"), ("untrusted",))
    assert labels("bob@customer.example", told) == ("requester",)


def test_approvers_word_is_labelled_approver() -> None:
    assert labels("dora@customer.example", approvers=(Source.of("dora@customer.example"),)) == ("approver",)


def test_encoded_value_is_the_models() -> None:
    assert labels("bWFsbG9yeUBldmlsLmV4YW1wbGU", TICKET) == ("model",)


def test_long_text_is_traced_by_whole_parts() -> None:
    body = " ".join(f"word{i}" for i in range(5000)) + " mallory@evil.example"
    assert labels(body, TICKET) == ("model", "untrusted")


def test_strangers_address_in_a_named_domain_is_untrusted() -> None:
    told = Output(Source.of("send it to eve@customer.example"), ("untrusted",))
    assert labels("eve@customer.example", told) == ("untrusted",)
