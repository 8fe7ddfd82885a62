"""Accounts: knows who the customers are and where they live.

An ordinary Django service in one file. It prints what such services print, and no tool is in it.
"""

import logging

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import Http404, JsonResponse
from django.urls import path

logging.addLevelName(logging.WARNING, "WARN")
logging.basicConfig(level=logging.INFO, format="[Accounts] %(levelname)s %(message)s")
log = logging.getLogger("accounts")

COUNTRIES = {
    "ada": "DE",
    "ben": "FR",
    "cleo": "CH",
    "dora": "GB",
    "emil": "XX",
    "fay": "SE",
    "gus": "IT",
    "hana": "DE",
    "nina": "FR",
    "olga": "DE",
    "raul": "GB",
    "theo": "SE",
}


def health(request):
    """Say that the service is up."""
    return JsonResponse({"status": "up"})


def customer(request, name):
    """Tell where a customer lives."""
    if name not in COUNTRIES:
        raise Http404(name)
    log.info("Customer found")
    country = COUNTRIES[name]
    return JsonResponse({"name": name, "country": country, "address": f"1 High Street, {country}"})


urlpatterns = [path("health", health), path("customers/<str:name>", customer)]
settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    LOGGING_CONFIG=None,
    ROOT_URLCONF=__name__,
    SECRET_KEY="the demo has no secrets",
)
application = get_wsgi_application()
