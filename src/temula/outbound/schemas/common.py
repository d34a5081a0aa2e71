"""What views of all nouns share."""

from typing import Annotated

from litestar.params import QueryParameter
from msgspec import Meta

Id = Annotated[str, Meta(max_length=64)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(max_length=10_000)]
Email = Annotated[str, Meta(min_length=3, max_length=254)]
Minor = Annotated[int, Meta(ge=0, le=2**53 - 1, description="Integer minor units of the currency")]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217 code")]
Limit = Annotated[int, QueryParameter(ge=1, le=100, description="How many to give at most")]
