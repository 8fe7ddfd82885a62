"""A backend that answers what it is told to, and keeps what it took."""

from obskit.shipping.verdict import AGAIN, ALL_TAKEN, REFUSED, TAKEN, Verdict

DOWN = Verdict(AGAIN, "no connection")
SLOW = Verdict(AGAIN, "timeout")
BUSY = Verdict(AGAIN, "status 429", wait=0.0)
BROKEN = Verdict(AGAIN, "status 500", part=True)
BAD = Verdict(REFUSED, "status 400", part=True, answer="not this one")
NEVER = Verdict(REFUSED, "status 400", answer="none of these")


class Scripted:
    """Answers what *answers* say in their order, then takes all but what is poison."""

    url = "scripted://server"
    most_entries, most_bytes = 8, 10_000
    promise = "acknowledged"

    def __init__(self, *answers, kind="line", poison=(), poisoned=BAD):
        self.answers, self.kind = list(answers), kind
        self.poison, self.poisoned = set(poison), poisoned
        self.taken, self.sizes, self.forgotten, self.closed = [], [], 0, 0

    def send(self, batch, seconds):
        """Answer, and keep what is taken."""
        self.sizes.append(len(batch))
        answer = self.answers.pop(0) if self.answers else ALL_TAKEN
        if answer is ALL_TAKEN and any(one.body in self.poison for one in batch):
            return self.poisoned
        if answer.kind == TAKEN:
            refused = {index for index, _ in answer.items}
            self.taken += [one.body for index, one in enumerate(batch) if index not in refused]
        return answer

    def forget(self):
        """Count how often that was called."""
        self.forgotten += 1

    def close(self):
        """Count how often that was called."""
        self.closed += 1
