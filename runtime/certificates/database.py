"""Creates the database from which Chromium reads further certificate authorities.

The server runs this script when it starts with HEARTH_CA_FILE, in the sandbox of session code. It
takes a file with certificates in PEM format and the name of a new directory, and prints the files
of the database as JSON. It uses NSS, the library that Chromium reads the database with.
"""

import base64
import ctypes
import json
import os
import re
import sys

# Values of certdb.h and certt.h in NSS.
TERMINAL_RECORD, TRUSTED, VALID_CA, TRUSTED_CA = 1 << 0, 1 << 1, 1 << 3, 1 << 4


class Item(ctypes.Structure):
    """Bytes of NSS (SECItem)."""

    _fields_ = [("type", ctypes.c_int), ("data", ctypes.c_char_p), ("len", ctypes.c_uint)]


class Trust(ctypes.Structure):
    """The purposes that a certificate is trusted for (CERTCertTrust)."""

    _fields_ = [("tls", ctypes.c_uint), ("email", ctypes.c_uint), ("code", ctypes.c_uint)]


def load():
    """Loads NSS. Functions that return pointers need their type."""
    nss = ctypes.CDLL("libnss3.so")
    for name in ("PK11_GetInternalKeySlot", "CERT_GetDefaultCertDB", "CERT_NewTempCertificate"):
        getattr(nss, name).restype = ctypes.c_void_p
    return nss


def check(status, action):
    if status != 0:
        sys.exit(f"cannot {action}")


def add(nss, slot, der, number):
    """Adds a certificate. Trusts one that is not an authority as the certificate of a server."""
    database = ctypes.c_void_p(nss.CERT_GetDefaultCertDB())
    item = Item(0, der, len(der))
    # The last two arguments: not permanent yet, and copy the bytes.
    certificate = nss.CERT_NewTempCertificate(database, ctypes.byref(item), None, 0, 1)
    if not certificate:
        sys.exit(f"certificate {number} is damaged")
    certificate = ctypes.c_void_p(certificate)
    is_authority = nss.CERT_IsCACert(certificate, None)
    trust = Trust(VALID_CA | TRUSTED_CA if is_authority else TERMINAL_RECORD | TRUSTED, 0, 0)
    name = f"HEARTH_CA_FILE {number}".encode()
    check(nss.PK11_ImportCert(slot, certificate, 0, name, 0), f"add certificate {number}")
    trusted = nss.CERT_ChangeCertTrust(database, certificate, ctypes.byref(trust))
    check(trusted, f"trust certificate {number}")
    nss.CERT_DestroyCertificate(certificate)


def main():
    pem_path, directory = sys.argv[1:]
    with open(pem_path, encoding="ascii") as file:
        pem = file.read()
    blocks = re.findall("-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", pem, re.DOTALL)
    try:
        nss = load()
    except OSError as error:
        sys.exit(f"cannot load the library of Chromium's database: {error}")
    os.mkdir(directory)
    check(nss.NSS_InitReadWrite(f"sql:{directory}".encode()), "create the database")
    slot = ctypes.c_void_p(nss.PK11_GetInternalKeySlot())
    # Without a password, Chromium would set an empty one at each start.
    check(nss.PK11_InitPin(slot, None, None), "set an empty password")
    for number, block in enumerate(blocks, start=1):
        add(nss, slot, base64.b64decode(block), number)
    nss.PK11_FreeSlot(slot)
    check(nss.NSS_Shutdown(), "close the database")
    files = []
    # NSS creates the third file, which contains the path of this directory, again.
    for name in ("cert9.db", "key4.db"):
        with open(os.path.join(directory, name), "rb") as file:
            files.append({"name": name, "content": base64.b64encode(file.read()).decode()})
    json.dump(files, sys.stdout)


if __name__ == "__main__":
    main()
