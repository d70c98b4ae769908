"""Several runs at once on one model: a sequence for each, and one native batch for all of them.

A run is ordinary code that is given an `Engine`. It has a thread of its own, and when it decodes,
it waits until every other run wants to decode too, or has ended. The only thread that calls
llama.cpp's decoder is the caller's: OpenMP workers of a second one would halve the speed of the
first one's. A prompt that another run has read already is copied from its sequence. Knows nothing
of thinking.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Generic, TypeVar

import numpy as np

from softchat.base.arrays import Floats, Ids
from softchat.engine.decoder import decode_failure
from softchat.engine.delegate import Delegate
from softchat.engine.hold import hold_of, was_closed
from softchat.engine.library import llama_cpp
from softchat.engine.llama import LlamaEngine
from softchat.engine.protocol import Engine
from softchat.errors import DecodeAbortedError, SoftchatError

Result = TypeVar("Result")
Job = Callable[[Engine], Result]


def run_together(
    engine: LlamaEngine, jobs: Iterable[Job[Result]], *, prefix: Sequence[int] = ()
) -> Iterator[tuple[int, Result]]:
    """Run jobs on all sequences of the engine; the number of each and its result, as they end.

    A job finds its sequence empty; it is taken from `jobs` when there is one free. What a job
    raises is raised here. If that happens, or the caller leaves, the others are stopped first; and
    so they are before the engine is freed.

    Args:
        engine: used by nobody else meanwhile. Its `sequences` is how many jobs run at once.
        jobs: taken from it as sequences get free.
        prefix: tokens with which many prompts begin; they are read once, and copied.

    """
    if hold_of(engine).closed:
        raise was_closed()
    todo = enumerate(jobs)
    news: SimpleQueue[_Lane[Result]] = SimpleQueue()
    lock = threading.Lock()
    lanes = [_Lane(engine, sequence, news, lock) for sequence in range(engine.sequences)]
    live: list[_Lane[Result]] = []

    def begin(lane: _Lane[Result]) -> None:
        job = next(todo, None)
        if job is not None:
            live.append(lane)
            lane.start(*job)
        elif live:
            # A native batch is split where it skips a sequence: the last one closes the gap.
            max(live, key=lambda other: other.sequence).change_places(lane)

    # A batch takes long enough for someone to wait for it: Ctrl-C must stop it.
    engine.watch(True)
    engine.before_close = partial(_stop, live)
    try:
        for lane in lanes:
            begin(lane)
        while live:
            waiting: list[_Lane[Result]] = []
            while len(waiting) < len(live):
                lane = news.get()
                if not len(lane.wanted):
                    live.remove(lane)
                    yield lane.number, lane.result()
                    begin(lane)
                elif len(lane.wanted) > 1:
                    _read(engine, lane, lanes, tuple(prefix))
                    lane.go_on()
                else:
                    waiting.append(lane)
            waiting.sort(key=lambda lane: lane.sequence)
            _step(engine, waiting)
            for lane in waiting:
                lane.go_on()
    finally:
        _stop(live)
        engine.before_close = lambda: None
        if not hold_of(engine).closed:
            engine.watch(False)


def _stop(lanes: Sequence[_Lane[Result]]) -> None:
    """Stop all of these; a signal that comes meanwhile is raised when they have ended."""
    left, came = list(lanes), None
    while left:
        try:
            left[-1].stop()
            left.pop()
        except BaseException as error:  # noqa: BLE001  # raised below
            came = error
    if came is not None:
        raise came


def _read(
    engine: LlamaEngine,
    lane: _Lane[Result],
    lanes: Sequence[_Lane[Result]],
    prefix: tuple[int, ...],
) -> None:
    """Decode the several tokens that a lane wants; of a prompt, what no lane has read.

    A prompt is a batch as it is. Cut otherwise, or beside others, it would meet other kernels of
    llama.cpp, whose sums differ: so it goes in the pieces in which it would go alone. `prefix` is
    the one exception, and is cut off wherever a prompt begins with it.
    """
    ready = 0
    if lane.position == 0:
        # A memory that can't be cut (recurrent states) has nothing to give once it has gone on.
        ready = _begin(engine, lane, *((lanes, prefix) if engine.can_cut else ((), ())))
    _process_span(engine, lane, ready, len(lane.wanted))
    if lane.position == 0:
        lane.remember()


def _begin(
    engine: LlamaEngine,
    lane: _Lane[Result],
    lanes: Sequence[_Lane[Result]],
    prefix: tuple[int, ...],
) -> int:
    """Leave of the sequence what its next prompt begins with; how many of its tokens are there."""
    prompt = tuple(lane.wanted)
    twin = next((other for other in lanes if other.prompt == prompt), None)
    if twin:
        lane.take(twin, len(prompt))
        lane.logits = twin.behind
        return len(prompt)
    if prompt[:-1][: len(prefix)] != prefix:
        prefix = ()
    length = len(prefix)
    holder = next((other for other in (lane, *lanes) if other.prompt[:length] == prefix), None)
    lane.take(holder or lane, length if holder else 0)
    if not holder:
        _process_span(engine, lane, 0, length)
    return length


def _step(engine: LlamaEngine, lanes: Sequence[_Lane[Result]]) -> None:
    """Decode the one row that each of these lanes wants, in one batch."""
    for lane in lanes:
        if lane.position == 0:
            lane.take(lane, 0)
    if any(lane.is_soft for lane in lanes):
        # A batch holds tokens or embeddings, and a decode costs little more for one row more: each
        # token joins the embeddings as its row, which is the same input (`LlamaEngine.prove`).
        for lane in lanes:
            if not lane.is_soft:
                lane.wanted = lane.embedding_rows([int(lane.wanted[0])])
    # Where llama.cpp has kernels for one row and others for several (LoRA), a run would notice that
    # it is the last one. So no row goes alone: it stands behind itself once more, and is cut off.
    lone = lanes[0] if len(lanes) == 1 and engine.sequences > 1 and engine.can_cut else None
    if lone and lone.position + 2 > engine.info.n_ctx:
        lone = None
    _process(engine, [(lane, 0) for lane in lanes], again=lone)
    if lone:
        lone.trim(lone.position + 1)


def _process_span(engine: LlamaEngine, lane: _Lane[Result], first: int, end: int) -> None:
    """Decode these rows of what a lane wants, in as many native calls as they take."""
    size = engine.context.n_batch
    for start in range(first, end, size):
        _process(engine, [(lane, index) for index in range(start, min(start + size, end))])


def _process(
    engine: LlamaEngine,
    rows: list[tuple[_Lane[Result], int]],
    *,
    again: _Lane[Result] | None = None,
) -> None:
    """Decode these rows of what lanes want in one native call; none of a lane that has failed.

    The one row of the lane `again`, if there is one, is decoded at the next position, too.
    """
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
    if again:
        context.add(again.wanted[0], again.position + 1, again.sequence)
    with rows[0][0].lock:  # a lane whose thread still runs may cut its sequence meanwhile
        code = context.process()
    engine.check_asked()
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
        self._native, self.sequence, self._news = engine, sequence, news
        self.lock = lock
        """Of all lanes: whoever calls llama.cpp, or reads the file of rows, holds it."""
        self._began = self._stopped = False
        self._decoded: SimpleQueue[None] = SimpleQueue()
        self.position = 0
        self.wanted: Sequence[int] | Floats = ()
        """What the job waits for: tokens, or (n, D) embeddings; nothing when it has ended."""
        self.logits = np.empty(0, np.float32)
        self.failure: SoftchatError | None = None
        self.prompt: tuple[int, ...] = ()
        """With what the sequence begins in memory; may be there for others when its job is over."""
        self.behind = self.logits
        """The logits behind it."""

    @property
    def _memory(self) -> int:
        memory: int = llama_cpp.llama_get_memory(self._native.context.handle)  # raises when closed
        return memory

    # -- for whoever runs the job ----------------------------------------------------------------

    def start(self, number: int, job: Job[Result]) -> None:
        """Begin a job. It finds no positions; what is in memory goes when it decodes the first."""
        self.number = number
        self.position = 0
        self._began = self._stopped = False
        self._decoded = SimpleQueue()
        self._outcome: Result | None = None
        self._raised: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=[job], name=f"run {number}")
        self._thread.start()

    def _run(self, job: Job[Result]) -> None:
        try:
            with self.lock:  # whoever stops it waits for its end, or it does not begin
                self._refuse_stopped()
                self._began = True
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

    def take(self, other: _Lane[Result], length: int) -> None:
        """Have the first `length` positions of another lane, or of its own, in memory."""
        if other is not self:
            with self.lock:
                llama_cpp.llama_memory_seq_rm(self._memory, self.sequence, -1, -1)
                # From stream to stream, sequences can be copied as a whole only.
                llama_cpp.llama_memory_seq_cp(self._memory, other.sequence, self.sequence, -1, -1)
        self.trim(length)
        self.prompt = ()

    def trim(self, position: int) -> bool:
        """Have nothing from `position` on in memory; False if it can't be cut there."""
        with self.lock:
            return bool(llama_cpp.llama_memory_seq_rm(self._memory, self.sequence, position, -1))

    def change_places(self, other: _Lane[Result]) -> None:
        """Go on in the sequence of another lane, which has nothing to do, if it comes before."""
        if self.sequence < other.sequence:
            return
        with self.lock:
            llama_cpp.llama_memory_seq_rm(self._memory, other.sequence, -1, -1)
            llama_cpp.llama_memory_seq_cp(self._memory, self.sequence, other.sequence, -1, -1)
            llama_cpp.llama_memory_seq_rm(self._memory, self.sequence, -1, -1)
            self.sequence, other.sequence = other.sequence, self.sequence
        other.prompt = ()

    def remember(self) -> None:
        """Keep the prompt that has been decoded for lanes that want the same."""
        if self.failure is None:
            self.prompt, self.behind = tuple(self.wanted), self.logits

    def go_on(self) -> None:
        """What the job waits for is done, or has failed."""
        if self.failure is None:
            self.position += len(self.wanted)
        elif not self._cut(self.position):  # of what was wanted, a part may be in memory
            self._cut(0)
        self._decoded.put(None)

    def stop(self) -> None:
        """Have the job's decode, now or next, raise DecodeAbortedError; wait until it has ended.

        A signal may have come while it was being started: then its thread may not run yet, or
        never.
        """
        with self.lock:
            self._stopped = True
        self._decoded.put(None)
        if self._began:
            self._thread.join()

    # -- what an engine does ---------------------------------------------------------------------

    def embedding_rows(self, ids: Sequence[int] | Ids) -> Floats:
        """As the engine's."""
        with self.lock:  # rows are read from one file
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
        done = self.trim(position)
        if done:
            self.position = position
            if position < len(self.prompt):
                self.prompt = ()
        return done

    def _decode(self, wanted: Sequence[int] | Floats) -> Floats:
        self._native.check_room(self.position + len(wanted))
        if not self._stopped:
            self.wanted, self.failure = wanted, None
            self._news.put(self)
            self._decoded.get()
        self._refuse_stopped()
        if self.failure is not None:
            raise self.failure
        return self.logits

    def _refuse_stopped(self) -> None:
        if self._stopped:
            raise was_closed() if hold_of(self._native).closed else DecodeAbortedError("stopped")
