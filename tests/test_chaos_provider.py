"""The misbehaving provider itself: a judge that lies is worse than none."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import socket
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import pytest
from twilio.request_validator import RequestValidator

from tests.chaos.book import Book
from tests.chaos.plan import ACCEPTED_IN_SILENCE, NOT_ACCEPTED, Fate, Fault, Plan
from tests.chaos.provider import Provider
from tests.processes import free_port, wait_for

ACCOUNT, TOKEN = "AC" + "5" * 32, "a-token-of-the-double"
BASE = f"/2010-04-01/Accounts/{ACCOUNT}/Messages"
LOGIN = {"Authorization": "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()}


class Double:
    """The provider in a thread of this process, and a plain client for it."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.book = Book(folder / "book.sqlite3")
        self.provider = Provider(self.book, account=ACCOUNT, token=TOKEN)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        wait_for(self._listens, seconds=5, what="the double listens")

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.start_server(self.provider.serve, "127.0.0.1", self.port))
        self._loop.run_forever()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    async def _end(self) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def ask(
        self, method: str, path: str, fields: dict[str, str] | None = None, *, raw: str | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            line.request(method, path, raw if raw is not None else urlencode(fields or {}), LOGIN)
            answer = line.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            line.close()

    def plan(self, **fields: object) -> None:
        self.provider.plan = Plan(**fields)

    def create(self, **changed: str) -> tuple[int, dict[str, str], bytes]:
        fields = {"To": "+966500000001", "From": "CLINIC", "Body": "مرحبًا"}
        return self.ask("POST", f"{BASE}.json", {**fields, **changed})

    def list(self, **asked: str) -> dict[str, object]:
        status, _headers, body = self.ask("GET", f"{BASE}.json?{urlencode(asked)}")
        assert status == 200
        return json.loads(body)


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Double]:
    made = Double(tmp_path)
    yield made
    made.stop()


class House(ThreadingHTTPServer):
    """Somebody's web server: keeps the call-backs that it gets, and believes the signed ones only."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], bool]] = []
        super().__init__(("127.0.0.1", 0), _Door)

    def address(self, message_id: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/webhooks/twilio/status/{message_id}/?attempt=1"


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: House

    def do_POST(self) -> None:
        fields = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        url = f"http://127.0.0.1:{self.server.server_port}{self.path}"
        is_true = RequestValidator(TOKEN).validate(url, fields, self.headers["X-Twilio-Signature"])
        self.server.got.append((self.path, fields, is_true))
        self.send_response(204 if is_true else 403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Nothing to say."""


@pytest.fixture
def our_house() -> Iterator[House]:
    server = House()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_an_accepted_message_is_in_the_book_before_the_answer(double: Double) -> None:
    status, _headers, body = double.create()
    assert status == 201
    answer = json.loads(body)
    assert answer["status"] == "queued"
    assert answer["num_segments"] == "1"
    assert double.book.find(answer["sid"])["body"] == "مرحبًا"


def test_only_the_account_with_its_password_comes_in(double: Double) -> None:
    line = http.client.HTTPConnection("127.0.0.1", double.port, timeout=5)
    line.request("GET", f"{BASE}.json")
    assert line.getresponse().status == 401
    line.close()


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"To": ""}, 21604),
        ({"To": "0501234567"}, 21211),
        ({"From": ""}, 21603),
        ({"Body": ""}, 21602),
        ({"Body": "a" * 1601}, 21617),
        ({"To": "whatsapp:+966500000001"}, 21212),
        ({"StatusCallback": "ftp://somewhere/"}, 21609),
    ],
)
def test_what_twilio_refuses_is_refused(double: Double, changed: dict[str, str], code: int) -> None:
    status, _headers, body = double.create(**changed)
    assert (status, json.loads(body)["code"]) == (400, code)
    assert double.book.count("SELECT count(*) FROM accepted") == 0


@pytest.mark.parametrize("fault", sorted(set(Fault) - {Fault.NONE}))
def test_each_fault_accepts_or_not_and_hides_it_as_it_says(double: Double, fault: Fault) -> None:
    double.plan(faults={fault: 1.0}, hang=0.2, slow=0.1)
    try:
        status, headers, body = double.create()
        clean = status == 201 and bool(json.loads(body)["sid"])
    except (OSError, http.client.HTTPException, ValueError):
        status, headers, clean = 0, {}, False
    assert clean == (fault is Fault.SLOW)
    assert double.book.count("SELECT count(*) FROM accepted") == (fault not in NOT_ACCEPTED)
    assert (fault in ACCEPTED_IN_SILENCE) == (fault not in NOT_ACCEPTED | {Fault.SLOW})
    assert ("Retry-After" in headers) == (fault is Fault.TOO_MANY_LATER)
    named = fault.split("_")[0]
    assert status == int(named) if named.isdecimal() else status in (0, 201)


def test_a_reset_is_a_reset_and_not_an_end(double: Double) -> None:
    double.plan(faults={Fault.RESET: 1.0})
    with pytest.raises(ConnectionResetError):
        double.create()


def test_the_same_seed_plays_the_same_faults_whoever_comes_first() -> None:
    shares = {"500": 0.3, "hang": 0.3}
    calls = [f"{number} 0" for number in range(200)]
    once = {call: Plan(seed=7, faults=shares).fault_of(call) for call in calls}
    again = {call: Plan(seed=7, faults=shares).fault_of(call) for call in reversed(calls)}
    assert once == again
    assert set(once.values()) == {Fault.NONE, Fault.ERROR, Fault.HANG}
    assert once != {call: Plan(seed=8, faults=shares).fault_of(call) for call in calls}


def test_the_faults_end_by_one_call_and_what_was_accepted_keeps_its_fate(double: Double) -> None:
    plan = Plan(seed=3, faults={"500": 1.0}, lookup_faults=1.0, fates={"dead": 1.0})
    double.ask("PUT", "/plan", raw=json.dumps(plan.as_json()))
    assert double.create()[0] == 500
    double.ask("DELETE", "/plan")
    assert double.create()[0] == 201
    assert double.provider.plan.fate_of("+966500000001") is Fate.DEAD


def test_the_list_is_filtered_newest_first_and_paged(double: Double) -> None:
    for number in range(5):
        double.create(Body=f"text {number}")
    double.create(To="+966500000002")
    first = double.list(To="+966500000001", PageSize="2")
    assert [message["body"] for message in first["messages"]] == ["text 4", "text 3"]
    second = double.ask("GET", str(first["next_page_uri"]))[2]
    assert [message["body"] for message in json.loads(second)["messages"]] == ["text 2", "text 1"]
    assert json.loads(second)["next_page_uri"]
    assert double.list(To="+966500000009")["next_page_uri"] is None


def test_a_message_that_waits_at_the_provider_is_found_by_no_date(double: Double) -> None:
    double.plan(queued=1.0)
    double.create()
    assert [message["status"] for message in double.list(To="+966500000001")["messages"]] == ["queued"]
    assert double.list(**{"To": "+966500000001", "DateSent>": "2020-01-01"})["messages"] == []


def test_call_backs_are_signed_and_told_in_order(double: Double, our_house: House) -> None:
    ref = str(uuid.uuid4())
    double.create(StatusCallback=our_house.address(ref))
    wait_for(lambda: len(our_house.got) == 2, seconds=5, what="both call-backs")
    assert [(fields["MessageStatus"], is_true) for _path, fields, is_true in our_house.got] == [
        ("sent", True),
        ("delivered", True),
    ]
    assert our_house.got[0][0] == f"/webhooks/twilio/status/{ref}/?attempt=1"
    wait_for(
        lambda: double.book.count("SELECT count(*) FROM callback WHERE answer = 204 AND message_ref = ?", ref) == 2,
        seconds=5,
        what="the book knows the answers",
    )


def test_forged_and_unknown_call_backs_are_what_they_say(double: Double, our_house: House) -> None:
    double.plan(callbacks={"forged": 1.0, "unknown": 1.0, "never": 1.0})
    ref = str(uuid.uuid4())
    double.create(StatusCallback=our_house.address(ref))
    wait_for(lambda: len(our_house.got) == 3, seconds=5, what="two forged, one about a stranger")
    forged = [path for path, _fields, is_true in our_house.got if not is_true]
    strangers = [path for path, _fields, is_true in our_house.got if is_true]
    assert [ref in path for path in forged] == [True, True]
    assert [ref in path for path in strangers] == [False]


def test_an_early_call_back_is_over_before_the_answer(double: Double, our_house: House) -> None:
    double.plan(callbacks={"early": 1.0}, callback_gap=30.0)
    double.create(StatusCallback=our_house.address(str(uuid.uuid4())))
    assert [fields["MessageStatus"] for _path, fields, _is_true in our_house.got] == ["sent"]


def test_shuffled_and_repeated_call_backs_are_the_same_words(double: Double, our_house: House) -> None:
    double.plan(callbacks={"shuffled": 1.0, "twice": 1.0}, callback_gap=0.01, fates={"late_bounce": 1.0})
    double.create(StatusCallback=our_house.address(str(uuid.uuid4())))
    wait_for(lambda: len(our_house.got) == 6, seconds=5, what="three words, twice")
    assert sorted(fields["MessageStatus"] for _path, fields, _is_true in our_house.got) == sorted(
        ["sent", "delivered", "undelivered"] * 2
    )
