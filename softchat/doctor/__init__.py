"""What a bug report needs to know of this machine and this softchat, and what is wrong with them.

Fetches nothing and changes nothing. Whatever is told goes through `Private` first: no name of the
user, no home folder, no value of a variable. Knows no terminal. Where llama.cpp can't run, the rest
goes on.
"""

from softchat.doctor.examine import examine
from softchat.doctor.report import Problem, Report

__all__ = ["Problem", "Report", "examine"]
