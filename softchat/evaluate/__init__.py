"""What a way of thinking achieves on a set of questions with known answers.

Knows no flags, prints nothing.
"""
