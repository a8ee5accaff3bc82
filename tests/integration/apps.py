"""Small applications that never stop: each writes and reads its own rows under one version's name, in threads."""

import itertools
import threading

import psycopg2


class App:
    """An application version. work(cursor, name, worker, turn) does one transaction's worth; what it raises is kept, and
    ends the worker. reconnect: a lost connection is opened again, as applications do, and is no error. pause_s: what a
    user thinks between two of them."""

    def __init__(self, connect, name, work, workers=2, reconnect=False, pause_s=0.0):
        self.connect, self.name, self.work, self.reconnect = connect, name, work, reconnect
        self.pause_s = pause_s
        self.errors, self.done = [], [0] * workers
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(i,)) for i in range(workers)]

    def _run(self, worker):
        cursor = None
        for turn in itertools.count():
            if self.stopping.is_set():
                return
            try:
                if cursor is None:
                    cursor = self.connect().cursor()
                self.work(cursor, self.name, worker, turn)
                self.done[worker] += 1
                self.stopping.wait(self.pause_s)
            except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
                cursor = None
                # No code: the connection broke. 57P: the server or the proxy is going or coming.
                lost = error.pgcode is None or error.pgcode.startswith(("08", "57P"))
                if not (self.reconnect and lost):
                    self.errors.append((turn, error))
                    return
                self.stopping.wait(0.05)
            except Exception as error:  # pylint: disable=broad-except  # the test shows it
                self.errors.append((turn, error))
                return

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def progress(self):
        """Waits until every worker has done something more, or one has failed."""
        before = list(self.done)
        while not self.errors and any(now < was + 3 for now, was in zip(self.done, before)):
            self.stopping.wait(0.01)
        self.check()

    def check(self):
        assert not self.errors, f"{self.name}: {self.errors[:3]}"
