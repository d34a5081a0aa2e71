"""The ways Stripe says no, as the JSON that it answers; see https://docs.stripe.com/api/errors."""

from typing import Any

Json = dict[str, Any]


class Refusal(Exception):
    """An error answer; `kept` ones began to execute, so that an idempotency key answers them again."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: str = "invalid_request_error",  # noqa: A002 - Stripe's own word
        code: str | None = None,
        param: str | None = None,
        kept: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kept = kept
        self.error: Json = {"message": message, "type": type}
        if code is not None:
            self.error |= {"code": code, "doc_url": f"https://docs.stripe.com/error-codes/{code.replace('_', '-')}"}
        if param is not None:
            self.error["param"] = param

    def body(self) -> Json:
        return {"error": self.error}


def unauthorized(message: str) -> Refusal:
    return Refusal(message, status=401)


def missing(param: str) -> Refusal:
    return Refusal(f"Missing required param: {param}.", code="parameter_missing", param=param)


def unknown(param: str) -> Refusal:
    return Refusal(f"Received unknown parameter: {param}", code="parameter_unknown", param=param)


def not_found(noun: str, id_: str, param: str = "id", status: int = 404) -> Refusal:
    return Refusal(f"No such {noun}: '{id_}'", status=status, code="resource_missing", param=param)


def unexpected_state(message: str, code: str, param: str | None = None) -> Refusal:
    return Refusal(message, code=code, param=param, kept=True)


def unsupported(param: str, detail: str) -> Refusal:
    """Stripe can do this and the stand-in cannot; said aloud rather than ignored."""
    return Refusal(f"This Stripe stand-in does not support {detail}.", code="emulator_unsupported", param=param)
