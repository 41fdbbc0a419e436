"""Our server and Debian's Orthanc side by side: same machine, same files, same driver, one run.

`python -m bench` prints a table of ratios, ours / Orthanc's, with what is to be reached.
"""
