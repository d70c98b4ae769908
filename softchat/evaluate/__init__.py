"""What a way of thinking achieves on a set of questions with known answers.

    questions   a file of questions → values         answers     what a text answers, and if rightly
    plan        which runs are compared              evaluate    the runs, one result after another
    results     results on disk, and going on        statistics  intervals
    summary     results → figures

Knows no flags, prints nothing.
"""
