"""The session that people stay in: a prompt, slash commands, and turns of one conversation.

chat       a conversation with its model, settings and files; runs turns
commands   what begins with a slash
prompt     the line that is typed: history, completion, toolbar
show       what commands print
"""
