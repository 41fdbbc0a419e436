"""`lenticular upload`: send files, folders and zips to any DICOMweb server.

Small files are sent several in a STOW-RS request (PS3.18 10.5). Large ones go straight into the
bucket of the server (`POST /uploads`), or by STOW-RS if the server has no bucket. Nothing of the
server is imported here.
"""
