"""The faults of a fake server, switched on and off while it runs.

``faults.use(name, times=None)`` puts one of `NAMES` in force, for so many requests or until
``faults.clear()``. ``faults.poison`` is a text: an event with it is refused as the product does it.
"""

import threading

STATUSES = ("401", "403", "413", "429", "429 with Retry-After", "500", "503")
BROKEN = ("refused", "cut before", "cut after acceptance", "half answer", "hang", "drip", "babble")
# What else a product may do: items of a batch, an answer of its own.
OTHERS = ("partial", "260", "nonsense")
NAMES = (*STATUSES, *BROKEN, *OTHERS)
RETRY_AFTER = 7


class Faults:
    """What is wrong with one fake."""

    def __init__(self):
        self.poison = ""
        self.listen = lambda: None
        self._name, self._times = "", None
        self._lock = threading.Lock()
        self.met = []

    def use(self, name, times=None):
        """Put a fault in force."""
        assert name in NAMES, name
        with self._lock:
            self._name, self._times = name, times
        self.listen()

    def clear(self):
        """Be well again, poison included."""
        with self._lock:
            self._name, self._times = "", None
        self.poison = ""
        self.listen()

    @property
    def is_refusing(self):
        """Tell whether connections are to be refused."""
        return self._name == "refused"

    @property
    def is_deaf(self):
        """Tell whether nothing is to be read."""
        return self._name == "hang"

    def next(self):
        """Return the fault of a request, or nothing."""
        with self._lock:
            name = self._name
            if name and self._times is not None:
                self._times -= 1
                if self._times <= 0:
                    self._name = ""
        if name:
            self.met.append(name)
        return name

    def is_poison(self, text):
        """Tell whether an event is to be refused."""
        return bool(self.poison) and self.poison in text
