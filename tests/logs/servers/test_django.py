"""What Django writes to the descriptors 1 and 2 under ``obskit run``, whatever serves it."""

import json
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.logs.servers.applications import SPEAKING
from tests.logs.servers.conftest import ENV, request
from tests.logs.servers.reading import assert_all_there, bare_messages, lines
from tests.services.ports import reserve_port
from tests.services.servers import Server, wait_until_listening

SETTINGS = """
import os
DEBUG = os.environ.get("DEBUG") == "1"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["django.contrib.staticfiles"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "shop"
SECRET_KEY = "of tests alone"
STATIC_URL = "/static/"
WSGI_APPLICATION = "app.app"
"""
SHOP = (
    SPEAKING
    + """
import django.utils.log
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path


def say(request):
    speak()
    Broken()
    return HttpResponse("said")


async def ok(request, number):
    log.error("handling %d", number)
    await asyncio.sleep(0)
    print("printing", number)
    return HttpResponse(str(number))


def boom(request):
    raise LookupError("of the view")


def forbidden(request):
    raise PermissionDenied("of the view")


def broken(request):
    def chunks():
        yield "x"
        raise LookupError("of the body")

    return StreamingHttpResponse(chunks())


urlpatterns = [
    path("speak", say),
    path("ok/<int:number>", ok),
    path("boom", boom),
    path("forbidden", forbidden),
    path("broken", broken),
]
"""
)
APP = """
import os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
from django.core.{over} import get_{over}_application
app = get_{over}_application()
"""
MANAGE = """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""
FILES = {
    "settings.py": SETTINGS,
    "shop.py": SHOP,
    "app.py": APP.format(over="wsgi"),
    "manage.py": MANAGE,
}
INIT = "import obskit\nobskit.init()\n"
READY = rb"Quit the server"
DEBUG = {"DEBUG": "1"}
PATHS = ("/speak", "/boom", "/forbidden", "/nowhere", "/ok/7?secret=1", "/static/none.css")


def traffic(url):
    """Ask for everything that the site has to say."""
    for path in PATHS:
        request(url + path)


@pytest.fixture
def project(tmp_path_factory, start_process):
    """Give the starter of ``manage.py runserver`` in a folder with *files*."""

    def run(files, *args, launcher=(), env=None, **options):
        folder = tmp_path_factory.mktemp("app")
        for name, source in {**FILES, **files}.items():
            folder.joinpath(name).write_text(dedent(source), encoding="utf-8")
        port = reserve_port()
        command = (sys.executable, "manage.py", "runserver", f"127.0.0.1:{port}", *args)
        env = {**ENV, "HOME": str(folder), **(env or {})}
        process = start_process(*launcher, *command, cwd=folder, env=env, **options)
        wait_until_listening(process, port)
        return Server(process, port, folder)

    return run


def summaries(found):
    """Return the summary lines."""
    return [line for line in found if line["logger"] == "obskit.summary"]


def test_runserver_with_its_reloader(both, project):
    """It runs itself once more: all but the access lines, and no request's query."""
    found, bare = both(project, {}, traffic=traffic, ready=READY, env=DEBUG)

    assert_all_there(found, bare_messages(bare.stdout, bare.stderr))
    assert [line["http_route"] for line in summaries(found)] == [
        "/speak", "/boom", "/forbidden", "__unmatched__", "/ok/<int:number>", "/static/<path:path>",
    ]  # fmt: skip
    assert not [line for line in found if line["logger"] == "django.server"]
    assert "secret" not in json.dumps(found)


def test_an_error_has_one_traceback_with_its_id(both, project):
    """On Django's own line; the summary names the error and no more."""
    found, _ = both(project, {}, "--noreload", traffic=traffic, ready=READY, env=DEBUG)
    [line] = [line for line in found if line["message"] == "Internal Server Error: /boom"]
    [summary] = [line for line in summaries(found) if line.get("http_route") == "/boom"]

    assert line["correlation_id"] == summary["correlation_id"]
    assert "in boom" in line["error_stack"]
    assert "error_stack" not in summary
    assert (line["status_code"], line["logger"]) == (500, "django.request")
    assert "request" not in line
    assert (summary["outcome"], summary["error_message"]) == ("server_error", "of the view")


def test_without_debug_errors_are_still_there(both, project):
    """Django's default would tell of them by mail alone, and to nobody where nobody is named."""
    found, bare = both(project, {}, "--noreload", traffic=traffic, ready=READY)
    said = bare_messages(bare.stdout, bare.stderr)
    errors = [line for line in found if line["logger"] == "django.request"]

    assert said["Internal Server Error: /boom"] == 0
    assert [line["message"] for line in errors] == ["Internal Server Error: /boom"]
    assert "in boom" in errors[0]["error_stack"]
    others = [line for line in found if line not in errors]
    assert_all_there(others, said)


def test_access_lines_may_stay(project, spoken):
    """With OBSKIT_ACCESS_LOG=keep both are there, with the same ID."""
    served = spoken(project, {}, "--noreload", env={"OBSKIT_ACCESS_LOG": "keep", **DEBUG})
    response = served.get("/ok/7")
    [line] = served.wait_lines(logger="django.server")
    served.summary(response)

    assert line["correlation_id"] == response.headers["x-correlation-id"]
    assert line["message"] == '"GET /ok/7 HTTP/1.1" 200 1'
    assert "request" not in line
    assert "server_time" not in line


@pytest.mark.parametrize("file", ["settings.py", "manage.py", "app.py"])
def test_init_in_a_file_of_the_project(project, file):
    """Instead of ``obskit run``; what was said before that file was read is not ours."""
    server = project({file: INIT + FILES[file]}, env=DEBUG)
    for path in ("/ok/7", "/boom", "/nowhere"):
        assert request(server.url + path).headers["x-correlation-id"]
    output = server.stop()
    said = output.stdout + output.stderr
    found = lines(said[said.index(b'{"timestamp"') :] if file != "app.py" else _json(said))

    assert [line["http_route"] for line in summaries(found)] == [
        "/ok/<int:number>", "/boom", "__unmatched__",
    ]  # fmt: skip
    wanted = ["Internal Server Error: /boom", "Not Found: /nowhere"]
    theirs = [line for line in found if line["logger"] == "django.request"]
    assert [line["message"] for line in theirs] == wanted
    assert all(line["correlation_id"] for line in theirs)
    assert not [line for line in found if line["logger"] == "django.server"]
    assert b'"GET /' not in said


def _json(said):
    """Return the lines that look like ours: the others came before the application was there."""
    return b"".join(line for line in said.splitlines(True) if line.startswith(b"{"))


LOGGINGS = {
    "nothing": "LOGGING = {}",
    "disabling": """
        LOGGING = {
            "version": 1,
            "disable_existing_loggers": True,
            "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(message)s"}},
            "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
            "root": {"handlers": ["console"], "level": "INFO"},
        }
    """,
    "twice": """
        LOGGING = {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"console": {"class": "logging.StreamHandler"}},
            "root": {"handlers": ["console"], "level": "WARNING"},
            "loggers": {
                "django": {"handlers": ["console"], "level": "INFO", "propagate": False},
                "shop": {"handlers": ["console"], "level": "INFO", "propagate": False},
            },
        }
    """,
    "none": "LOGGING_CONFIG = None",
    "file": """
        LOGGING = {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {
                "file": {"class": "logging.FileHandler", "filename": "shop.log"},
                "mail": {"class": "django.utils.log.AdminEmailHandler", "level": "ERROR"},
                "console": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"},
            },
            "loggers": {"django": {"handlers": ["file", "mail", "console"], "level": "INFO"}},
        }
    """,
}


@pytest.mark.parametrize("logging", LOGGINGS)
def test_any_logging_setting(both, project, logging):
    """Each line is one of ours, what was said is said once, and an error has one traceback."""
    files = {"settings.py": SETTINGS + dedent(LOGGINGS[logging])}
    found, bare = both(project, files, "--noreload", traffic=traffic, ready=READY, env=DEBUG)
    said = bare.stdout + bare.stderr
    theirs = [line for line in found if line["message"] == "Internal Server Error: /boom"]
    told = [line for line in found if "in boom" in line.get("error_stack", "")]

    # Who disables the loggers that are there disables Django's: then the summary tells.
    assert (b"Internal Server Error: /boom" in said) is (logging != "disabling")
    assert len(theirs) == (logging != "disabling")
    assert told == theirs or [line["logger"] for line in told] == ["obskit.summary"]
    assert len(summaries(found)) == len(PATHS)


def test_a_file_of_the_users_stays_as_it_is(project, spoken):
    """It has the text that its formatter makes, besides the line."""
    files = {"settings.py": SETTINGS + dedent(LOGGINGS["file"])}
    served = spoken(project, files, "--noreload", env=DEBUG)
    served.get("/nowhere")
    served.wait_lines(message="Not Found: /nowhere")
    served.stop()

    assert "Not Found: /nowhere\n" in Path(served.server.folder, "shop.log").read_text()


SERVED = (
    "import sys, types\n"
    + "".join(
        f"module = sys.modules[{name!r}] = types.ModuleType({name!r})\n"
        f"exec(compile({source!r}, {name + '.py'!r}, 'exec'), vars(module))\n"
        for name, source in (("settings", SETTINGS), ("shop", SHOP))
    )
    + APP
)


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn", "hypercorn"])
def test_real_servers(request, spoken, server):
    """Every line is ours, every request has one summary line, and its errors their tracebacks."""
    over = "wsgi" if server == "gunicorn" else "asgi"
    start = request.getfixturevalue(f"run_{server}")
    served = spoken(start, SERVED.format(over=over))
    answers = [served.get(path) for path in PATHS]
    found = [served.summary(answer) for answer in answers]

    assert [line["http_route"] for line in found] == [
        "/speak", "/boom", "/forbidden", "__unmatched__", "/ok/<int:number>", "__unmatched__",
    ]  # fmt: skip
    [line] = served.wait_lines(logger="django.request")
    assert line["correlation_id"] == found[1]["correlation_id"]
    assert "in boom" in line["error_stack"]
    [one] = served.wait_lines(message="handling 7")
    assert one["correlation_id"] == found[4]["correlation_id"]
    served.stop()


def test_lines_are_read_as_they_are():
    """The checks above would see a line that is none."""
    with pytest.raises(AssertionError):
        lines(b"Quit the server with CONTROL-C.\n")
