"""Views without a live terminal: the answer alone, or a plain line for each step before it."""

from __future__ import annotations

from types import TracebackType
from typing import Self, TextIO

from softchat.base.text import encodable, one_line, printable
from softchat.events import Answer, Event, Finished, Halted, Lens, Prefill, Started, Step
from softchat.views import BesideAnswer, View
from softchat.views.wording import (
    REASONS,
    changed,
    duration,
    glyphs_for,
    looked,
    nats,
    number,
    plural,
    rate,
    would_answer,
)

_ANSWER = 80  # cells of an answer that is looked at ahead


class AnswerView:
    """The answer, as it comes, and nothing else: for pipes, and inside the other views."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._held = ""  # line breaks that may turn out to be the last ones
        self._open = False  # whether the line written last still wants its end

    def show(self, event: Event) -> None:
        """Write a piece of the answer; end its last line when the run has finished."""
        match event:
            case Answer(text=text):
                self._write(printable(text))
            case Finished():
                self._end()

    def _write(self, text: str) -> None:
        text = self._held + text
        if not self._open:
            text = text.lstrip()  # models open with a space or an empty line
        body = text.rstrip("\n")
        self._held = text[len(body) :]
        if body:
            self._open = True
            self._stream.write(encodable(body, self._stream.encoding))
            self._stream.flush()

    def _end(self) -> None:
        if self._open:
            self._open = False
            self._stream.write("\n")
            self._stream.flush()
        self._held = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the line of an answer that broke off, unless the stream itself is what broke."""
        if not isinstance(error, OSError):
            self._end()


class StepView(BesideAnswer):
    """A line for each event on a stream, then the answer as another view shows it."""

    def __init__(self, lines: TextIO, answer: View) -> None:
        super().__init__(answer)
        self._lines = lines
        self._glyphs = glyphs_for(lines.encoding)
        self._patience = 0
        self._think_s = 0.0

    def show(self, event: Event) -> None:
        """Write what the event says."""
        self._answer.show(event)
        match event:
            case Started(model=model, settings=settings):
                self._patience = int(number(settings.get("patience")))
                self._think_s = 0.0
                knobs = " ".join(f"{key}={value}" for key, value in settings.items())
                self._line(f"started  {model.name}  {knobs}")
            case Prefill():
                read = f"prefill  {plural(event.tokens, 'token')}, {event.cached} cached"
                self._line(f"{read}  {_pace(event.tokens, event.elapsed_s)}")
            case Step():
                self._think_s = event.elapsed_s
                self._line(self._step(event))
            case Lens():
                seen = would_answer(event, self._glyphs, cells=_ANSWER)
                self._line(f"lens {event.index:4d}  H {nats(event.entropy)}  would answer: {seen}")
            case Halted():
                pace = _pace(event.steps, self._think_s)
                steps = plural(event.steps, "step")
                said = f"halted   {REASONS[event.reason]}  {steps}  {pace}  {looked(event)}"
                self._line(said.rstrip())
            case Finished():
                answer = plural(event.answer_tokens, "answer token")
                pace = _pace(event.answer_tokens, event.answer_s)
                total = f"total {duration(event.total_s)}"
                self._line(f"finished {event.finish_reason}  {answer}  {pace}  {total}")

    def _step(self, step: Step) -> str:
        mixture = "  ".join(
            f"{self._glyphs.piece(entry.piece)} {entry.weight:.2f}" for entry in step.concept
        )
        cold = f"cold {step.below}/{self._patience}"
        why = ", ".join(filter(None, (step.why, changed(step, self._glyphs))))
        mode = f"{step.mode} ({why})" if why else str(step.mode)
        return f"step {step.index:4d}  H {nats(step.entropy)}  {cold}  {mode}  {mixture}"

    def _line(self, text: str) -> None:
        text = one_line(text)
        self._lines.write(self._glyphs.text(text) + "\n")
        self._lines.flush()


def _pace(count: int, seconds: float) -> str:
    per_s = rate(count, seconds)
    return f"in {duration(seconds)} ({per_s})" if per_s else f"in {duration(seconds)}"
