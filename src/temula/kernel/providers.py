"""What may go wrong with a provider, by what comes next; every connector raises these and no others.

ProviderError
 x Refused            our request is wrong: a person looks     x BadCredentials   the organizer mends the connection
    x InvalidRequest  x NotThere  x KeyConflict  x Unsupported  x AmountNotAccepted
 x Declined           the payer tries again                    x Unreachable      it did not happen: again later
 x OutcomeUnknown     it may have happened: ask by key first      x RateLimited
    x Malformed                                                x CallbackRejected not from them: answer 4xx
"""

from temula.kernel.errors import InvalidInput, Misconfigured, TemulaError, Unavailable


class ProviderError(TemulaError):
    """Root of what a connector may raise; the detail is safe for users and holds no secret."""

    code = "provider_error"
    title = "The provider did not do it"


class Refused(ProviderError):
    """The provider understood and will not: repeating the same changes nothing."""

    code = "provider_refused"


class InvalidRequest(Refused):
    """A field of our request is not acceptable to the provider."""

    code = "provider_invalid_request"


class NotThere(Refused):
    """The provider does not know the object."""

    code = "provider_not_found"


class KeyConflict(Refused):
    """The idempotency key was used for something else: our bug."""

    code = "provider_key_conflict"


class Unsupported(Refused):
    """The provider cannot do this."""

    code = "provider_unsupported"


class AmountNotAccepted(Refused):
    """The provider does not take this amount or currency."""

    code = "provider_amount"


class BadCredentials(ProviderError, Misconfigured):
    """The provider does not accept the connection's credentials, or they do not allow this."""

    code = "provider_credentials"


class Declined(ProviderError):
    """The payer's means of payment was refused."""

    code = "provider_declined"


class Unreachable(ProviderError, Unavailable):
    """The provider was not reached, or is too busy: nothing happened there."""

    code = "provider_unreachable"


class RateLimited(Unreachable):
    """The provider asks us to wait."""

    code = "provider_rate_limited"


class OutcomeUnknown(ProviderError, Unavailable):
    """The request was sent and no answer came: it may have happened. Look it up by its key before anything else."""

    code = "provider_outcome_unknown"


class Malformed(OutcomeUnknown):
    """An answer came that cannot be read."""

    code = "provider_malformed"


class CallbackRejected(ProviderError, InvalidInput):
    """A callback is not genuine, or not for this address."""

    code = "callback_rejected"
    title = "The callback was not accepted"
