"""A model's tokens: text into them and back, and which of them are special."""

from __future__ import annotations

import ctypes
from typing import Literal

from softchat.engine.grammar import Grammar
from softchat.engine.library import llama_cpp
from softchat.errors import ModelRefusedError

_SPECIAL = (
    llama_cpp.LLAMA_TOKEN_ATTR_UNKNOWN
    | llama_cpp.LLAMA_TOKEN_ATTR_CONTROL
    | llama_cpp.LLAMA_TOKEN_ATTR_USER_DEFINED
)


class Vocabulary:
    """The tokenizer of a native model, which must outlive it; `shown` names its file."""

    def __init__(self, model: int, shown: str) -> None:
        self._model = model
        self._file = shown
        self._vocab = llama_cpp.llama_model_get_vocab(model)
        self.n_vocab = int(llama_cpp.llama_vocab_n_tokens(self._vocab))
        """How many tokens there are."""
        self._pieces: dict[tuple[int, bool], bytes] = {}

    @property
    def chat_template(self) -> str | None:
        """The chat template that the file carries (jinja), or None."""
        text = llama_cpp.llama_model_chat_template(self._model, None)
        return text.decode("utf-8", errors="replace") if text else None

    def special_text(self, which: Literal["bos", "eos"]) -> str:
        """The text of the `bos` or `eos` token, or an empty string."""
        token = {"bos": llama_cpp.llama_vocab_bos, "eos": llama_cpp.llama_vocab_eos}[which](
            self._vocab
        )
        if token < 0:
            return ""
        text: bytes = llama_cpp.llama_vocab_get_text(self._vocab, token)
        return text.decode("utf-8", errors="replace")

    @property
    def adds_bos(self) -> int | None:
        """The token that the model wants at the start of any text, or None."""
        if not llama_cpp.llama_vocab_get_add_bos(self._vocab):
            return None
        token = int(llama_cpp.llama_vocab_bos(self._vocab))
        return token if token >= 0 else None

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """The text as tokens. `special`: markers such as `</s>` become the token they name.

        Raises:
            ModelRefusedError: the vocabulary does not fit its tokenizer, which gives other numbers.

        """
        data = text.encode("utf-8", errors="replace")
        room = len(data) + 2
        while True:
            buffer = (llama_cpp.llama_token * room)()
            count = llama_cpp.llama_tokenize(
                self._vocab, data, len(data), buffer, room, False, special
            )
            if count >= 0:
                return self._checked(buffer[:count])
            room = -count

    def _checked(self, tokens: list[int]) -> list[int]:
        for token in tokens:
            if not 0 <= token < self.n_vocab:
                raise ModelRefusedError(
                    f"the tokenizer of {self._file} gives tokens that are none ({token})",
                    hint="its vocabulary is broken, or for another tokenizer; fetch it anew",
                )
        return tokens

    def piece(self, token: int, *, special: bool = True) -> bytes:
        """The bytes that a token spells; they may be a part of a UTF-8 character.

        Markers such as `</s>` spell their name, or nothing if not `special`.
        """
        found = self._pieces.get((token, special))
        if found is None:
            room, count = 64, -1
            while count < 0:
                buffer = ctypes.create_string_buffer(room)
                count = llama_cpp.llama_token_to_piece(self._vocab, token, buffer, room, 0, special)
                room = -count
            found = self._pieces[token, special] = buffer.raw[:count]
        return found

    def is_special(self, token: int) -> bool:
        """Whether a token is a marker, such as `</s>`, or was added to the vocabulary by hand."""
        return bool(int(llama_cpp.llama_vocab_get_attr(self._vocab, token)) & _SPECIAL)

    def is_end(self, token: int) -> bool:
        """Whether a token ends the text."""
        return bool(llama_cpp.llama_vocab_is_eog(self._vocab, token))

    def grammar(self, text: str) -> Grammar:
        """The grammar (GBNF), at the beginning of a text. Raises UsageError if it is none."""
        return Grammar(self._vocab, text, check=lambda: self._vocab)
