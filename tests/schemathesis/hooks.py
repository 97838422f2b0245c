"""What the interface promises of good form, held to account."""

import schemathesis
from schemathesis.generation import GenerationMode


@schemathesis.check
def good_form_is_never_called_bad(ctx, response, case):
    """What fits its description is refused for other reasons than its form."""
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    if response.status_code in (400, 422):
        assert response.json().get("code") not in ("bad-request", "bad-field"), response.text


@schemathesis.hook
def filter_case(context, case):
    """A header with a control byte is no HTTP: the server closes before any route is asked."""
    values = [*(case.headers or {}).values(), *(case.cookies or {}).values()]
    return not any(ord(c) < 32 and c != "\t" or ord(c) == 127 for value in values for c in str(value))
