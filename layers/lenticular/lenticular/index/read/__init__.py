"""Read the index by identifier: for retrieval, for Orthanc's REST and for the change feed."""
