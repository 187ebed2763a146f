from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from core.errors import DomainError
from integrations import chat_targets
from integrations.tests.http_double import Answer, Double, double
from notifications import chat

__all__ = ["double"]

SLACK = "https://hooks.slack.com/services/T0AAAAAAA/B0AAAAAAA/aaaaaaaaaaaaaaaaaaaaaaaa"
TEAMS = (
    "https://prod-1.westeurope.logic.azure.com:443/workflows/abc/triggers/manual/paths/invoke"
    "?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=secret"
)
POWER_AUTOMATE = (
    "https://default1.ab.environment.api.powerplatform.com:443/powerautomate/automations/direct/workflows/abc"
    "/triggers/manual/paths/invoke?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=s"
)


@pytest.fixture
def slack(double: Double, settings: Any) -> Double:
    settings.SLACK_API_BASE_URL = double.url
    double.answer = Answer(200, b"ok")
    return double


def test_slack_gets_the_text(slack: Double) -> None:
    assert chat_targets.send(SLACK, title="Urgent: System alerts", body="Somebody has to take care of it.")
    (request,) = slack.requests
    assert request.path == "/services/T0AAAAAAA/B0AAAAAAA/aaaaaaaaaaaaaaaaaaaaaaaa"
    said = json.dumps(json.loads(request.body), ensure_ascii=False)
    assert "Urgent: System alerts" in said
    assert "Somebody has to take care of it." in said


@pytest.mark.parametrize("answer", [Answer(500, b"no"), Answer(404, b"no_service"), Answer(200, b"invalid_token")])
def test_a_no_is_a_no(slack: Double, answer: Answer) -> None:
    slack.answer = answer
    assert not chat_targets.send(SLACK, title="a", body="b")


def test_a_redirect_is_not_followed(slack: Double) -> None:
    slack.answer = Answer(307, b"", headers={"Location": f"{slack.url}/elsewhere"})
    assert not chat_targets.send(SLACK, title="a", body="b")
    assert len(slack.requests) == 1


def test_teams_gets_it_at_its_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[tuple[str, dict[str, Any]]] = []

    def post(url: str, **options: Any) -> requests.Response:
        called.append((url, options))
        answer = requests.Response()
        answer.status_code = 202
        return answer

    monkeypatch.setattr("apprise.plugins.workflows.requests.post", post)
    assert chat_targets.send(TEAMS, title="System alerts", body="1 new notification")
    ((url, options),) = called
    assert url == ("https://prod-1.westeurope.logic.azure.com:443/workflows/abc/triggers/manual/paths/invoke")
    assert options["params"]["sig"] == "secret"
    assert options["allow_redirects"] is False
    assert "1 new notification" in options["data"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hello",
        "http://hooks.slack.com/services/T0/B0/a",
        "https://hooks.slack.com/workflows/T0/A0/1/a",
        "https://hooks.slack.com.evil.example/services/T0/B0/a",
        "https://hooks.slack.com@evil.example/services/T0/B0/a",
        f"{SLACK}?verify=no",
        f"{SLACK}#x",
        f"{SLACK}/../../admin",
        "slack://T0/B0/a",
        "json://127.0.0.1/",
        "https://10.0.0.1/workflows/abc/triggers/manual/paths/invoke?sig=a",
        "https://evil.example/workflows/abc/triggers/manual/paths/invoke?sig=a",
        "https://logic.azure.com.evil.example/workflows/abc/triggers/manual/paths/invoke?sig=a",
        TEAMS.replace("sig=secret", ""),
        f"{TEAMS}&verify=no",
        f"{TEAMS}&template=file:///etc/passwd",
        TEAMS.replace("https", "http"),
        TEAMS.replace(":443", ":8443"),
    ],
)
def test_every_other_address_is_refused(url: str) -> None:
    with pytest.raises(DomainError) as refused:
        chat.kind_of(url)
    assert refused.value.code == "chat_address"


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        (SLACK, "slack"),
        (TEAMS, "teams"),
        (POWER_AUTOMATE, "teams"),
    ],
)
def test_the_services_own_addresses_are_taken(url: str, kind: str) -> None:
    assert chat.kind_of(f" {url} ") == kind
