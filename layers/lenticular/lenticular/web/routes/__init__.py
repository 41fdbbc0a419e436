"""The routes of the standard's services and, in a folder of their own, of Orthanc's REST.

The viewer's are in `web/viewer/pages.py`, those of the API reference in `web/api_reference.py`.
"""
