"""Numbers as pages write them."""

from __future__ import annotations

import pytest

from kvmdash.templatetags.ui import unlocalised


@pytest.mark.parametrize(
    ("value", "text"),
    [(12345, "12345"), (2**20, "1048576"), (12.5, "12.5"), (1 / 3, "0.3333"), (0, "0"), (None, ""), ("x", "")],
)
def test_a_number_in_an_attribute_is_whole_to_its_last_digit(value: object, text: str) -> None:
    assert unlocalised(value) == text
