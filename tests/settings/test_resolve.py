"""Where the value of a setting comes from."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.errors import SettingError
from obskit.settings import FIELDS, Settings, parsed, resolve


@pytest.fixture
def folder(tmp_path):
    """Give a folder with no settings above it."""
    return tmp_path


def test_defaults_are_in_force_without_a_word(folder):
    """Nothing is needed."""
    settings = resolve({}, {}, folder)

    assert settings.log_level == "INFO"
    assert settings.metrics_port == 9464
    assert settings.problems == ()
    assert settings.sources["log_level"] == "default"


def test_environment_beats_argument_beats_file_beats_default(folder):
    """Whoever is on call can change what the code and the file say."""
    folder.joinpath("obskit.toml").write_text(
        'log_level = "ERROR"\nservice = "file"\nmetrics_port = 1\n'
    )
    settings = resolve({"log_level": "DEBUG", "service": "code"}, {"OBSKIT_SERVICE": "env"}, folder)

    assert (settings.service, settings.log_level, settings.metrics_port) == ("env", "DEBUG", 1)
    assert settings.sources["service"] == "OBSKIT_SERVICE"
    assert settings.sources["log_level"] == "argument"
    assert settings.sources["metrics_port"] == str(folder / "obskit.toml")
    assert settings.sources["zipkin"] == "default"


def test_the_nearest_file_counts(folder):
    """A service's own file hides the one of the whole repository."""
    folder.joinpath("pyproject.toml").write_text('[tool.obskit]\nservice = "all"\n')
    inner = folder / "services" / "shop"
    inner.mkdir(parents=True)

    assert resolve({}, {}, inner).service == "all"
    inner.joinpath("pyproject.toml").write_text("[project]\nname = 'shop'\n")
    assert resolve({}, {}, inner).service == "all"
    inner.joinpath("pyproject.toml").write_text("[tool.obskit]\nservice = 'shop'\n")
    assert resolve({}, {}, inner).service == "shop"


def test_an_empty_variable_counts_as_not_set(folder):
    """A deployment template leaves empty what it does not know."""
    empty = {"OBSKIT_METRICS_PORT": "", "OBSKIT_ENABLED": " "}
    settings = resolve({"metrics_port": 1}, empty, folder)

    assert settings.metrics_port == 1
    assert settings.enabled


def test_a_wrong_value_is_named_and_the_next_one_is_used(folder):
    """A slip in the environment never keeps a service from starting."""
    settings = resolve({"log_level": "DEBUG"}, {"OBSKIT_LOG_LEVEL": "LOUD"}, folder)

    assert settings.log_level == "DEBUG"
    [problem] = settings.problems
    assert problem.startswith("OBSKIT_LOG_LEVEL='LOUD' must be a level")
    assert "\n" not in problem


@pytest.mark.parametrize(
    ("arguments", "environ", "words"),
    [
        ({"servic": "x"}, {}, "unknown argument servic; did you mean service?"),
        ({}, {"OBSKIT_LOG_LEVL": "x"}, "OBSKIT_LOG_LEVL; did you mean OBSKIT_LOG_LEVEL?"),
        ({}, {"OBSKIT_COFFEE": "x"}, "unknown environment variable OBSKIT_COFFEE"),
    ],
)
def test_unknown_names_are_reported_with_the_nearest_known(folder, arguments, environ, words):
    """Who mistypes a name is told which one was meant."""
    [problem] = resolve(arguments, environ, folder).problems

    assert problem.endswith(words)


def test_a_broken_file_is_reported(folder):
    """A file that is no TOML stops nothing."""
    folder.joinpath("obskit.toml").write_text("log_level = DEBUG")
    settings = resolve({}, {}, folder)

    assert settings.log_level == "INFO"
    assert settings.problems[0].startswith(f"{folder / 'obskit.toml'} is not valid TOML")


@pytest.mark.parametrize(
    ("name", "text", "problems"),
    [
        ("pyproject.toml", "[[tool]]\nx = 1  # [tool.obskit]\n", 0),
        ("pyproject.toml", "tool = 1  # [tool.obskit]\n", 0),
        ("pyproject.toml", "[tool]\nobskit = 1  # [tool.obskit]\n", 0),
        ("obskit.toml", "a = " + 100_000 * "[", 1),
    ],
)
def test_a_file_of_another_shape_stops_nothing(folder, name, text, problems):
    """Whatever stands where a table should, and however deep."""
    folder.joinpath(name).write_text(text)
    settings = resolve({}, {}, folder)

    assert settings.log_level == "INFO"
    assert len(settings.problems) == problems


def test_a_network_that_is_none_is_reported(folder):
    """It would be a host that nobody has."""
    [problem] = resolve({"internal_hosts": ["10.0.0.0/99"]}, {}, folder).problems

    assert problem.startswith("OBSKIT_INTERNAL_HOSTS='10.0.0.0/99' must be host suffixes")


def test_unknown_settings_in_a_file_are_reported(folder):
    """A file is checked like the rest."""
    folder.joinpath("obskit.toml").write_text('log-level = "DEBUG"\nredact = ["iban", "vat"]\n')
    settings = resolve({}, {}, folder)

    assert settings.redact == ("iban", "vat")
    assert "did you mean log_level?" in settings.problems[0]


def test_the_words_of_opentelemetry_are_understood(folder):
    """What a platform already says need not be said again."""
    settings = resolve(
        {},
        {
            "OTEL_SERVICE_NAME": "shop",
            "OTEL_RESOURCE_ATTRIBUTES": "service.version=1.2,deployment.environment.name=a%20b",
        },
        folder,
    )

    assert (settings.service, settings.version, settings.env) == ("shop", "1.2", "a b")
    assert settings.sources["env"] == "OpenTelemetry"


def test_python_values_are_taken_like_text(folder):
    """Arguments may be what Python has for them."""
    settings = resolve(
        {"metrics_port": False, "capture": False, "redact": ["a", "b"], "trace_ratio": 0.5},
        {},
        folder,
    )

    assert settings.metrics_port is None
    assert settings.capture is False
    assert settings.redact == ("a", "b")
    assert settings.trace_ratio == 0.5


def test_a_removed_folder_is_no_obstacle(folder, monkeypatch):
    """A process whose current folder is gone starts all the same."""
    gone = folder / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert resolve({}, {}).problems == ()


def test_strict_reading_raises():
    """Commands refuse what a service would tolerate."""
    with pytest.raises(SettingError, match="OBSKIT_TRUST='all' must be auto or internal or edge"):
        parsed("trust", "all")


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), st.text(max_size=20)))
def test_no_environment_raises(values):
    """Any environment gives settings, and each refused value a problem."""
    environ = {f"OBSKIT_{name.upper()}": value for name, value in values.items()}

    settings = resolve({}, environ, os.sep)

    assert isinstance(settings, Settings)
    for name, value in values.items():
        refused = any(f"OBSKIT_{name.upper()}=" in problem for problem in settings.problems)
        assert refused == (settings.sources[name][:7] != "OBSKIT_" and bool(value.strip()))


def test_who_speaks_can_be_written_though_the_environment_is_no_text(folder):
    """A byte that is no UTF-8 is shown, and stops nothing that is written or sent."""
    environ = {"OBSKIT_SERVICE": "b\udcffd", "OTEL_RESOURCE_ATTRIBUTES": "service.version=\udcfe"}
    settings = resolve({}, environ, folder)

    assert (settings.service, settings.version) == ("b\\udcffd", "\\udcfe")
