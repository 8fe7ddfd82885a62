"""Which names of fields hide their values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.logs import redaction
from obskit.logs.redaction import is_secret

SECRET = """
    password passwd Password PASSWORD user_password userPassword password1 password_hash newPassword
    dbpassword db.password DB_PASSWORD oldPasswd passphrase pwd passcode
    secret client_secret clientSecret secrets SECRET_KEY secretkey shared-secret credentials
    token access_token accessToken accesstoken refresh_token id_token idToken X-Auth-Token
    csrf_token
    csrfmiddlewaretoken_csrf_token api_tokens token_value bearer bearer_token jwt
    authorization Authorization proxy-authorization HTTP_AUTHORIZATION auth auth_header
    cookie Cookie set-cookie cookies session_cookie setcookie
    api_key apiKey APIKEY apikey X-API-Key x_api_keys access_key aws_access_key
    aws_secret_access_key
    private_key privateKey signing_key encryption_key sessionid session_id JSESSIONID PHPSESSIONID
    credit_card creditCard creditcard_number card_number cardNumber cvv cvc card_cvc iban IBAN ssn
    social_security_number tax_id pin otp user_pin xsrf
""".split()  # noqa: SIM905 - a list of words is read as words

PLAIN = """
    author authors authority authenticated authentication_method is_author oauth_provider
    tokens tokens_used max_tokens token_count token_type tokenizer prompt_tokens total_tokens
    secretary secretariat cookie_count cookie_banner passenger passage bypass compass pass
    key keyboard monkey order_key partition_key primary_key public_key_id keys
    card cards discard card_type session user_session_count pinned spin opinion shipping
    username user id order_id correlation_id name message iban_valid_count path host
    api access credit credit_limit number account ssnake pins pin_count
""".split()  # noqa: SIM905 - a list of words is read as words


@pytest.fixture(autouse=True)
def built_in():
    """Begin and end with the built-in names."""
    redaction.configure(())
    yield
    redaction.configure(())


@pytest.mark.parametrize("name", SECRET)
def test_names_that_hide_their_values(name):
    """However it is spelled, a name of a secret is known."""
    assert is_secret(name)


@pytest.mark.parametrize("name", [name for name in PLAIN if not name.startswith("iban_")])
def test_names_that_only_look_like_it(name):
    """A word inside of another word is no secret."""
    assert not is_secret(name)


@pytest.mark.parametrize(
    "name", ["vat", "VAT", "vat_number", "customerVat", "birth-date", "birthDate"]
)
def test_further_names_can_be_given(name):
    """Those of the setting count as words, in any spelling."""
    assert not is_secret(name)
    redaction.configure(("vat", "birth_date", "", "  "))
    assert is_secret(name)
    assert not is_secret("private_vats")
    assert not is_secret("elevate")


def test_verdicts_are_kept_within_bounds():
    """Names that come from outside cannot fill the memory."""
    for number in range(3 * redaction.MOST_VERDICTS):
        is_secret(f"name {number}")
    assert len(redaction._verdicts) <= redaction.MOST_VERDICTS


@given(st.text())
def test_any_name_has_a_verdict(name):
    """No name is too strange, and the verdict stays."""
    assert is_secret(name) == is_secret(name)
    assert is_secret(name[:100] + "_password")


def test_a_long_name_costs_little():
    """The words of a name are looked for in its beginning only."""
    assert not is_secret("x" * 10_000_000)


@given(st.text() | st.integers() | st.binary() | st.lists(st.text()))
def test_the_marker_says_nothing_of_the_value(value):
    """What stands in its place is the same for all values."""
    from obskit.logs.rendering import Careful

    fields = Careful().fields({"password": value, "a": {"b": [{"token": value}]}}, frozenset())

    assert fields == {"password": redaction.MARKER, "a": {"b": [{"token": redaction.MARKER}]}}


@pytest.mark.parametrize("value", [None, True, False])
def test_whether_there_is_a_secret_may_be_shown(value):
    """None, True and False say nothing that a secret would hide."""
    from obskit.logs.rendering import Careful

    assert Careful().fields({"password": value}, frozenset()) == {"password": value}
