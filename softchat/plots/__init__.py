"""Pictures of recorded runs.

    data    what is plotted, as arrays      figure  drawn by matplotlib: SVG, PNG
                                            page    drawn by the browser: one HTML file

Knows events. What the pictures say in words came from a model or a file: each kind of file escapes
it in its own way.
"""
