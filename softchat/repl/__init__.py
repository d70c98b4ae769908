"""The session that people stay in: a prompt, slash commands, and turns of one conversation.

session    a conversation with its model and settings; runs turns
loop       the loop on a terminal: a line read, a command or a turn run and shown
commands   what begins with a slash
prompt     the line that is typed: history, completion, toolbar
show       what commands print
"""
