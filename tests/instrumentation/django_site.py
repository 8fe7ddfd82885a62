"""A site of Django's in this process, and how servers call it."""

import asyncio
from pathlib import Path
from typing import Any

import django
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import FileResponse, Http404, HttpResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import include, path, re_path
from django.utils.decorators import async_only_middleware, sync_only_middleware
from django.views import View

from obskit import context
from tests.instrumentation.calling import Call, Message, scope

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        LOGGING_CONFIG=None,
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        ROOT_URLCONF="tests.instrumentation.django_site",
        SECRET_KEY="of tests alone",
        STATICFILES_DIRS=[Path(__file__).parent],
        STATIC_URL="/static/",
        USE_TZ=True,
    )
    django.setup()

STEPS = 3
FAILURES: list[BaseException] = []
seen: list[tuple[str, str | None]] = []
"""Who has seen which ID, in this order."""


class Refused(Exception):
    """An error that a middleware has an answer for."""


def see(who: str) -> str:
    """Note and return the ID that is in force."""
    seen.append((who, context.correlation_id()))
    context.bind(**{who.replace(" ", "_"): True})
    return str(context.correlation_id())


def order(request: Any, number: int) -> HttpResponse:
    """Show an order."""
    context.bind(order=number)
    return HttpResponse(see("view"))


async def async_order(request: Any, number: int) -> HttpResponse:
    """Show an order, after some waiting and a look from a thread."""
    context.bind(order=number)
    await asyncio.sleep(0)
    await sync_to_async(see)("thread")
    await sync_to_async(see, thread_sensitive=False)("free thread")
    return HttpResponse(see("view"))


ERRORS = {
    "missing": Http404,
    "forbidden": PermissionDenied,
    "bad": BadRequest,
    "suspicious": SuspiciousOperation,
    "boom": LookupError,
    "refused": Refused,
}


def fail(request: Any, kind: str) -> HttpResponse:
    """Raise."""
    if kind == "mine":
        raise FAILURES[0]
    raise ERRORS[kind]("boom")


async def async_fail(request: Any, kind: str) -> HttpResponse:
    """Raise after some waiting."""
    await asyncio.sleep(0)
    return fail(request, kind)


def status(request: Any, code: int) -> HttpResponse:
    """Answer with that status."""
    return HttpResponse("said", status=code)


class Shown(View):
    """A class based view that only knows GET."""

    def get(self, request: Any, **names: str) -> HttpResponse:
        """Show an item."""
        return HttpResponse(see("view"))


def chunks(broken: bool = False) -> Any:
    """Yield the ID some times."""
    for _ in range(STEPS):
        yield f"{context.correlation_id()} "
    if broken:
        raise LookupError("in the body")


async def async_chunks() -> Any:
    """Yield the ID some times, with some waiting."""
    for one in chunks():
        await asyncio.sleep(0)
        yield one


def stream(request: Any, kind: str) -> StreamingHttpResponse:
    """Stream."""
    body = async_chunks() if kind == "async" else chunks(kind == "broken")
    return StreamingHttpResponse(body)


def file(request: Any) -> FileResponse:
    """Send this file."""
    return FileResponse(open(__file__, "rb"))


async def slow(request: Any) -> HttpResponse:
    """Take longer than any client waits."""
    await asyncio.sleep(30)
    return HttpResponse("late")


def ok(request: Any) -> HttpResponse:
    """Say the ID alone."""
    return HttpResponse(str(context.correlation_id()))


def archive(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
    """Say the ID, whatever has matched."""
    return ok(request)


shops = [path("items/<item>/", Shown.as_view()), re_path(r"^(?P<year>[0-9]{4})\.html$", archive)]
urlpatterns = [
    path("ok", ok),
    path("orders/<int:number>/", order),
    path("async/orders/<int:number>/", async_order),
    path("fail/<kind>", fail),
    path("async/fail/<kind>", async_fail),
    path("status/<int:code>", status),
    path("shops/<shop>/", include(shops)),
    re_path(r"^archive/(?P<year>[0-9]{4})/(?:page-(\d+)/)?$", archive),
    path("stream/<kind>", stream),
    path("file", file),
    path("slow", slow),
]


@sync_only_middleware
def sync_middleware(get_response: Any) -> Any:
    """See the ID before and after, as code that knows nothing of asyncio."""

    def middleware(request: Any) -> Any:
        see("sync before")
        response = get_response(request)
        see("sync after")
        return response

    return middleware


@async_only_middleware
def async_middleware(get_response: Any) -> Any:
    """See the ID before and after, in a coroutine."""

    async def middleware(request: Any) -> Any:
        see("async before")
        response = await get_response(request)
        see("async after")
        return response

    return middleware


class Answering:
    """A middleware that has an answer for errors."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        """Go on."""
        if request.path == "/early":
            return HttpResponse("early")
        if request.path == "/broken":
            raise LookupError("of the middleware")
        return self.get_response(request)

    def process_exception(self, request: Any, error: Exception) -> Any:
        """Answer for one kind of errors."""
        return HttpResponse("refused", status=503) if isinstance(error, Refused) else None


def wsgi(*middlewares: str, kind: type = WSGIHandler) -> WSGIHandler:
    """Return the site for a WSGI server."""
    with override_settings(MIDDLEWARE=_paths(middlewares)):
        return kind()


def asgi(*middlewares: str, kind: type = ASGIHandler) -> ASGIHandler:
    """Return the site for an ASGI server."""
    with override_settings(MIDDLEWARE=_paths(middlewares)):
        return kind()


def _paths(middlewares: tuple[str, ...]) -> list[str]:
    return [f"{__name__}.{name}" for name in middlewares] or settings.MIDDLEWARE


class Patient(Call):
    """An ASGI call whose client stays until it is told to leave."""

    def __init__(self, scope: Message) -> None:
        super().__init__(scope, [{"type": "http.request", "body": b""}])
        self.left = asyncio.Event()

    async def receive(self) -> Message:
        """Hand over the request, and then nothing but the end of the connection."""
        if self._messages:
            return self._messages.pop(0)
        await self.left.wait()
        return {"type": "http.disconnect"}

    @property
    def body(self) -> str:
        """The body as text."""
        return b"".join(one.get("body", b"") for one in self.sent).decode()


async def ask(app: Any, path: str, method: str = "GET", **options: Any) -> Patient:
    """Send a request to an ASGI site and return what came of it."""
    one = Patient(scope(path, method, **options))
    await app(one.scope, one.receive, one.send)
    return one
