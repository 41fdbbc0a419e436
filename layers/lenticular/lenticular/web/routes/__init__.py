"""The routes: a file for each service of the standard, and a folder for Orthanc's REST."""
