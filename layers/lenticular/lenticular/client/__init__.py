"""`lenticular upload`: files, folders and zips to any server, by the way that the server offers.

Small files travel in batches of STOW-RS (PS3.18 10.5), large ones straight to the storage of the
server (`POST /uploads`), or by STOW-RS too where the server has no ceiling and so no such way.
It is a client: it knows the server by HTTP alone, and speaks to other DICOMweb servers as well.
"""
