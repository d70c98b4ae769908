"""Bytes from an https address. A download that breaks off goes on where it was.

Never over plain http, whatever the address redirects to, and never with a password. Knows nothing
of entries, stores or final names.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx2

from softchat.base.files import shown_size
from softchat.base.text import one_line
from softchat.errors import ModelNotFoundError
from softchat.models.progress import OnProgress, Progress, Stage

_CHUNK = 1 << 20  # bytes
_SILENCE_S = 30.0  # that a server may keep
_TRIES = 5  # in a row that bring nothing
_PAUSE_S = 1.0  # between two


def read(url: str, progress: OnProgress, *, room: int | None = None) -> Iterator[bytes]:
    """What is behind the address, in chunks.

    Raises:
        ModelNotFoundError: it cannot be had, or says that it has more than `room` bytes; the
            message is the reason alone.

    """
    done, left = 0, _TRIES
    with httpx2.Client(
        follow_redirects=True,
        timeout=_SILENCE_S,
        headers={"Accept-Encoding": "identity"},
        event_hooks={"request": [refuse_plain]},
    ) as client:
        while True:
            try:
                for chunk in _read_from(client, url, done, progress, room):
                    done, left = done + len(chunk), _TRIES
                    yield chunk
                return
            except (httpx2.NetworkError, httpx2.TimeoutException, httpx2.RemoteProtocolError) as e:
                left -= 1
                if not left:
                    raise ModelNotFoundError(_reason(e)) from e
                time.sleep(_PAUSE_S)
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                raise ModelNotFoundError(_reason(error)) from error


def refuse_plain(request: httpx2.Request) -> None:
    """Stop a request, or one that it is redirected to, that anybody on the way could answer.

    Raises:
        ModelNotFoundError: the request is not https.

    """
    if request.url.scheme != "https":
        message = one_line(f"the address leads to plain http: {request.url}")
        raise ModelNotFoundError(message, hint="only https is followed")


def _read_from(
    client: httpx2.Client, url: str, start: int, progress: OnProgress, room: int | None
) -> Iterator[bytes]:
    headers = {"Range": f"bytes={start}-"} if start else {}
    with client.stream("GET", url, headers=headers) as response:
        response.raise_for_status()
        # A server that cannot go on in the middle begins again: what is known already is dropped.
        resumed = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        known = 0 if resumed else start
        length = response.headers.get("Content-Length", "")
        total = int(length) + (start if resumed else 0) if length.isdecimal() else None
        if room is not None and (total or 0) > room:
            reason = f"it takes {shown_size(total)} of disk, {shown_size(room)} are free"
            raise ModelNotFoundError(reason, hint="make room, or let SOFTCHAT_HOME name a folder")
        done = start
        progress(Progress(stage=Stage.DOWNLOAD, done=done, total=total))
        for chunk in response.iter_raw(_CHUNK):
            new = chunk[known:]
            known -= len(chunk) - len(new)
            if new:
                yield new
                done += len(new)
                progress(Progress(stage=Stage.DOWNLOAD, done=done, total=total))


def _reason(error: Exception) -> str:
    if isinstance(error, httpx2.HTTPStatusError):
        answer = error.response
        return one_line(f"{answer.url.host} answers {answer.status_code}")
    lines = str(error).splitlines()
    return one_line(lines[0] if lines else type(error).__name__)
