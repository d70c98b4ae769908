"""Thoughts that are whole frontiers of a search: the problems, the training, and what it is worth.

words, families   problems in plain words, with all that may be the case after each move
phrases           many ways to tell them, put together anew for each
people.jsonl      questions by someone who saw none of it, to measure by
vocabulary        their tokens, without an engine
rows              a problem as tokens: read, thought, learned
model             the base model for training, on a CPU or a card
stage             rows through the model: read, think, what is lost
rehearsal         what the adapter beneath can do, kept
train             one adapter, resumable, on a CPU or on two, or on a card
adapters          adapters as GGUF: read, put together, written
measure           right answers by ways of thinking, on unseen problems
controls          every rival trained and measured, as tables
pack              all that a machine needs which has torch and nothing else
"""
