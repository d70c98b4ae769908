"""Several runs at once on one model: a sequence for each, and one native batch for all of them.

A run is ordinary code that is given an `Engine`. It has a thread of its own, and when it decodes,
it waits until every other run wants to decode too, or has ended. The only thread that calls
llama.cpp's decoder is the caller's: OpenMP workers of a second one would halve the speed of the
first one's. Knows nothing of thinking.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from queue import SimpleQueue
from typing import Generic, TypeVar

import llama_cpp
import numpy as np
import numpy.typing as npt

from softchat.engine.delegate import Delegate
from softchat.engine.llama import LlamaEngine, decode_failure
from softchat.engine.protocol import Engine
from softchat.errors import DecodeAbortedError, SoftchatError

Floats = npt.NDArray[np.float32]
Result = TypeVar("Result")
Job = Callable[[Engine], Result]


def run_together(engine: LlamaEngine, jobs: Iterable[Job[Result]]) -> Iterator[tuple[int, Result]]:
    """Run jobs on all sequences of the engine; the number of each and its result, as they end.

    A job finds its sequence empty; it is taken from `jobs` when there is one free. What a job
    raises is raised here. If that happens, or the caller leaves, the others are stopped first.

    Args:
        engine: used by nobody else meanwhile. Its `sequences` is how many jobs run at once.

    """
    todo = enumerate(jobs)
    news: SimpleQueue[_Lane[Result]] = SimpleQueue()
    lock = threading.Lock()
    live: list[_Lane[Result]] = []

    def begin(lane: _Lane[Result]) -> None:
        job = next(todo, None)
        if job is not None:
            live.append(lane)
            lane.start(*job)

    # A batch takes long enough for someone to wait for it: Ctrl-C must stop it.
    engine.watch(True)
    try:
        for sequence in range(engine.sequences):
            begin(_Lane(engine, sequence, news, lock))
        while live:
            waiting: list[_Lane[Result]] = []
            while len(waiting) < len(live):
                lane = news.get()
                if len(lane.wanted):
                    waiting.append(lane)
                    continue
                live.remove(lane)
                yield lane.number, lane.result()
                begin(lane)
            _decode(engine, sorted(waiting, key=lambda lane: lane.sequence))
    finally:
        for lane in live:
            lane.stop()
        engine.watch(False)


def _decode(engine: LlamaEngine, lanes: list[_Lane[Result]]) -> None:
    """Decode what these lanes want, and let them go on."""
    for lane in lanes:
        # A prompt is a batch as it is. Cut otherwise, or beside others, it would meet other kernels
        # of llama.cpp, whose sums differ: so it goes in the pieces in which it would go alone.
        if len(lane.wanted) > 1:
            size = engine.context.n_batch
            for first in range(0, len(lane.wanted), size):
                _process(engine, [(lane, i) for i in range(len(lane.wanted))[first : first + size]])
    single = [lane for lane in lanes if len(lane.wanted) == 1]
    if any(lane.is_soft for lane in single):
        # A batch holds tokens or embeddings, and a decode costs little more for one row more: each
        # token joins the embeddings as its row, which is the same input (`LlamaEngine.prove`).
        for lane in single:
            if not lane.is_soft:
                lane.wanted = lane.embedding_rows([int(lane.wanted[0])])
    _process(engine, [(lane, 0) for lane in single])
    for lane in lanes:
        lane.go_on()


def _process(engine: LlamaEngine, rows: list[tuple[_Lane[Result], int]]) -> None:
    """Decode these rows of what lanes want in one native call; none of a lane that has failed."""
    rows = [(lane, index) for lane, index in rows if lane.failure is None]
    if not rows:
        return
    context = engine.context
    context.clear()
    asked: list[tuple[_Lane[Result], int]] = []
    for lane, index in rows:
        place = context.add(lane.wanted[index], lane.position + index, lane.sequence)
        if index == len(lane.wanted) - 1:
            context.want_logits(place)
            asked.append((lane, place))
    code = context.process()
    for lane, _ in rows if code else ():
        lane.failure = decode_failure(code)
    for lane, place in asked if not code else ():
        lane.logits = context.logits(place).copy()
        lane.logits.flags.writeable = False


class _Lane(Delegate, Generic[Result]):
    """One sequence, as the `Engine` of one job at a time."""

    def __init__(
        self,
        engine: LlamaEngine,
        sequence: int,
        news: SimpleQueue[_Lane[Result]],
        lock: threading.Lock,
    ) -> None:
        super().__init__(engine)
        self._native, self.sequence, self._news, self._lock = engine, sequence, news, lock
        self.position = 0
        self.wanted: Sequence[int] | Floats = ()
        """What the job waits for: tokens, or (n, D) embeddings; nothing when it has ended."""
        self.logits = np.empty(0, np.float32)
        self.failure: SoftchatError | None = None

    # -- for whoever runs the job ----------------------------------------------------------------

    def start(self, number: int, job: Job[Result]) -> None:
        """Begin a job on the empty sequence."""
        self.number = number
        self._cut(0)
        self._stopped = False
        self._decoded: SimpleQueue[None] = SimpleQueue()
        self._outcome: Result | None = None
        self._raised: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=[job], name=f"run {number}")
        self._thread.start()

    def _run(self, job: Job[Result]) -> None:
        try:
            self._outcome = job(self)
        except BaseException as error:  # noqa: BLE001  # raised where the result is asked for
            self._raised = error
        self.wanted = ()
        self._news.put(self)

    def result(self) -> Result:
        """What the job that has ended returned; raises what it raised."""
        self._thread.join()
        if self._raised is not None:
            raise self._raised
        return self._outcome  # type: ignore[return-value]  # set if nothing was raised

    @property
    def is_soft(self) -> bool:
        """Whether embeddings are to be decoded."""
        return isinstance(self.wanted, np.ndarray)

    def go_on(self) -> None:
        """What the job waits for is done, or has failed."""
        if self.failure is None:
            self.position += len(self.wanted)
        elif not self._cut(self.position):  # of what was wanted, a part may be in memory
            self._cut(0)
        self._decoded.put(None)

    def stop(self) -> None:
        """Have the job's decode, now or next, raise DecodeAbortedError; wait until it has ended."""
        self._stopped = True
        self._decoded.put(None)
        self._thread.join()

    # -- what an engine does ---------------------------------------------------------------------

    def embedding_rows(self, ids: Sequence[int] | npt.NDArray[np.intp]) -> Floats:
        """As the engine's."""
        with self._lock:  # rows are read from one file
            return super().embedding_rows(ids)

    def decode_tokens(self, tokens: Sequence[int]) -> Floats:
        """As the engine's, together with the other lanes."""
        if not tokens:
            raise ValueError("no tokens to decode")
        return self._decode(tokens)

    def decode_embedding(self, embedding: Floats) -> Floats:
        """As the engine's, together with the other lanes."""
        self._native.check_embedding(embedding)
        return self._decode(embedding[None])

    def rollback(self, position: int) -> None:
        """Forget all from `position` on; all there is where the memory can't be cut."""
        if position < self.position and not self._cut(position):
            self._cut(0)

    def _cut(self, position: int) -> bool:
        """Forget all from `position` on; False if the memory can't be cut there."""
        with self._lock:
            memory = llama_cpp.llama_get_memory(self._native.context.handle)
            done = bool(llama_cpp.llama_memory_seq_rm(memory, self.sequence, position, -1))
        if done:
            self.position = position
        return done

    def _decode(self, wanted: Sequence[int] | Floats) -> Floats:
        self._native.check_room(self.position + len(wanted))
        if not self._stopped:
            self.wanted, self.failure = wanted, None
            self._news.put(self)
            self._decoded.get()
        if self._stopped:
            raise DecodeAbortedError("stopped")
        if self.failure is not None:
            raise self.failure
        return self.logits
