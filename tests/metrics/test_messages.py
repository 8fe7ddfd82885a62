"""What messages and tasks are counted by, beside rate, errors and duration."""

import dis
import time

import pytest

from obskit import clock, conventions, observation
from obskit.metrics import values
from obskit.metrics.messages import Messages
from obskit.metrics.red import Red
from tests.metrics.test_rows import Shelf

OK = 'outcome="ok"'
QUEUE = 'messaging_destination_name="orders",messaging_system="rabbitmq"'


@pytest.fixture
def work(configured, samples):
    """Give what works on a message; it returns what an exposition says then."""
    configured()
    observation.configure([("metrics", Red())])

    def done(make=conventions.consumer, error=None, carrier=None, **facts):
        names = ("shop.bill", "rabbitmq", "orders")[make is not conventions.task :]
        message = make(*names, carrier=carrier or {})
        for name, value in facts.items():
            setattr(message, name, value)
        observation.start(message)
        observation.end(message, error)
        return samples()

    return done


@pytest.mark.parametrize(
    ("make", "duration"),
    [
        (conventions.consumer, f"messaging_process_duration_seconds_count{{{QUEUE},{OK}}}"),
        (conventions.task, f'task_duration_seconds_count{{{OK},task_name="shop.bill"}}'),
    ],
)
def test_a_message_has_its_duration_and_the_time_of_success(work, make, duration):
    """Staleness is seen where nothing succeeds any more."""
    before = time.time()
    found = work(make)

    assert found[duration] == 1.0
    assert before <= found[f"messaging_last_success_timestamp_seconds{{{QUEUE}}}"] <= time.time()
    assert found['obskit_ingress_correlation_total{caller="",source="message"}'] == 1.0


def test_a_failure_is_no_success(work):
    """The time of the last success stays where it was, or absent."""
    found = work(error=ValueError())

    assert f'messaging_process_duration_seconds_count{{{QUEUE},outcome="server_error"}}' in found
    assert f"messaging_last_success_timestamp_seconds{{{QUEUE}}}" not in found


def test_what_will_be_done_again_is_no_success(work):
    """A message that was put back has not been worked on yet."""
    assert f"messaging_last_success_timestamp_seconds{{{QUEUE}}}" not in work(retried=True)


def test_ages_are_counted_where_they_are_known(work):
    """A message without any time has none."""
    assert f"messaging_message_age_seconds_count{{{QUEUE}}}" not in work()
    found = work(sent_at=time.time() - 20)

    assert found[f"messaging_message_age_seconds_count{{{QUEUE}}}"] == 1.0
    assert 19 < found[f"messaging_message_age_seconds_sum{{{QUEUE}}}"] < 30
    assert f"messaging_end_to_end_age_seconds_count{{{QUEUE}}}" not in found


def test_the_age_of_the_operation_is_counted(work):
    """From its birth in another service, which the message tells."""
    born = clock.base36(int((time.time() - 100) * 1000))
    found = work(carrier={"baggage": f"obskit.correlation=c-1,obskit.born={born}"})

    assert 99 < found[f"messaging_end_to_end_age_seconds_sum{{{QUEUE}}}"] < 110


def test_redeliveries_and_dead_letters_are_counted(work):
    """Only where they happened."""
    found = work(redelivered=False)
    assert not [name for name in found if "redeliver" in name or "dead" in name]
    found = work(redelivered=True, dead_lettered=True)

    assert found[f"messaging_redeliveries_total{{{QUEUE}}}"] == 1.0
    assert found[f"messaging_dead_lettered_total{{{QUEUE}}}"] == 1.0


def test_publishing_has_its_duration(configured, samples):
    """A broker that cannot be reached is seen there."""
    configured()
    observation.configure([("metrics", Red())])
    for error in (None, ConnectionRefusedError()):
        message = conventions.producer("rabbitmq", "orders", carrier={})
        observation.start(message)
        observation.end(message, error)
    found = samples()

    for outcome in ("ok", "dependency"):
        name = f'messaging_publish_duration_seconds_count{{{QUEUE},outcome="{outcome}"}}'
        assert found[name] == 1.0


def test_the_last_success_of_all_workers_is_the_latest(script):
    """A worker that was idle for long does not add to it, nor hide it."""
    output = script("""
for step in range(3):
    pid = os.fork()
    if pid == 0:
        message = conventions.consumer("rabbitmq", "orders", carrier={})
        observation.start(message)
        observation.end(message)
        os._exit(0)
    os.waitpid(pid, 0)
found = [line for line in page().splitlines() if line.startswith("messaging_last_success")]
print(json.dumps([len(found), abs(float(found[0].split()[-1]) - time.time()) < 20]))
""")

    assert output.stdout.split(b"\n")[-2] == b"[1, true]"


def test_what_goes_well_is_counted_the_short_way_too(work):
    """The second message finds where the first was counted, and so does one after a fork's move."""
    carrier = {"baggage": f"obskit.correlation=c,obskit.born={clock.base36(1000)}"}
    for _ in range(3):
        found = work(carrier=carrier, sent_at=time.time() - 20)
    values.use(values.Memory(values.home().era))
    for _ in range(2):
        found = work(carrier=carrier, sent_at=time.time() - 20)

    assert found[f"messaging_message_age_seconds_count{{{QUEUE}}}"] == 5.0
    assert 99 < found[f"messaging_message_age_seconds_sum{{{QUEUE}}}"] < 110
    assert found[f'messaging_message_age_seconds_bucket{{le="30.0",{QUEUE}}}'] == 5.0
    assert found[f"messaging_end_to_end_age_seconds_count{{{QUEUE}}}"] == 5.0
    assert time.time() - found[f"messaging_last_success_timestamp_seconds{{{QUEUE}}}"] < 20
    assert found[f"messaging_process_duration_seconds_count{{{QUEUE},{OK}}}"] == 5.0


def test_an_age_that_is_known_now_and_then_is_counted_then(work):
    """What is remembered of one message does not decide on the next."""
    for sent_at in (None, time.time() - 20, None, time.time() - 20):
        found = work(sent_at=sent_at)

    assert found[f"messaging_message_age_seconds_count{{{QUEUE}}}"] == 2.0
    assert found[f"messaging_process_duration_seconds_count{{{QUEUE},{OK}}}"] == 4.0


def test_numbers_that_siblings_share_are_counted_there(work):
    """All of them, also the one that is set."""
    shelf = Shelf()
    work(sent_at=time.time() - 20)
    values.use(shelf)
    for _ in range(3):
        found = work(sent_at=time.time() - 20)

    assert found[f"messaging_message_age_seconds_count{{{QUEUE}}}"] == 4.0
    assert 79 < found[f"messaging_message_age_seconds_sum{{{QUEUE}}}"] < 90
    assert time.time() - found[f"messaging_last_success_timestamp_seconds{{{QUEUE}}}"] < 20
    assert sum(shelf.cells) > 0


def test_the_short_way_has_no_place_to_come_in_between():
    """From the last look at where the numbers are to the last of them there is no call or loop."""
    code = list(dis.get_instructions(Messages.count))
    taken = max(place for place, step in enumerate(code) if step.argval == "shared")
    stored = [place for place, step in enumerate(code) if step.opname == "STORE_ATTR"]
    back = max(place for place, step in enumerate(code[: stored[0]]) if step.argval == "add")
    start = next(at for at in range(back, stored[0]) if code[at].opname.startswith("RETURN"))
    names = [step.opname for step in code[start : stored[-1]]]

    assert taken < back < start < stored[0]
    assert {code[place].argval for place in stored} == {"_number"}
    assert not [name for name in names if name.startswith("CALL") or "BACKWARD" in name]
