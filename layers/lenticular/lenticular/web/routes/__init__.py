"""The routes, one file for each service of the standard and one for Orthanc's REST."""
