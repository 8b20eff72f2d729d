"""The local engine's TLS certificate, and the bundle of roots that trusts it.

Called by engine.py at every start. The certificate is its own issuer and no CA:
whoever trusts it trusts this server alone.
"""

import datetime
import ipaddress
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

# Where distributions keep their root certificates, the first one found counts.
SYSTEM_ROOTS = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL, Amazon Linux
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",
)


def make(cert_file, key_file, bundle):
    """Write the three files (paths), unless a certificate with a month left is there; the bundle always."""
    now = datetime.datetime.now(datetime.timezone.utc)
    if not (cert_file.exists() and key_file.exists() and expiry(cert_file) > now + datetime.timedelta(days=30)):
        key = ec.generate_private_key(ec.SECP256R1())
        serial = x509.random_serial_number()
        # A name of its own: OpenSSL looks for an issuer by name, and takes another engine's
        # certificate for this one's where a bundle has both.
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"nylas-webhooks local engine {serial:x}"[:64])])  # 64 characters: X.520's limit
        cert = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(serial)
            .not_valid_before(now - datetime.timedelta(days=1))  # clocks that are a little behind
            .not_valid_after(now + datetime.timedelta(days=397))  # the longest that all TLS clients accept
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
                critical=False,
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        key_file.touch(mode=0o600)
        key_file.write_bytes(private)
        cert_file.write_bytes(cert.public_bytes(serialization.Encoding.PEM))

    ours = cert_file.read_text(encoding="ascii")
    roots = system_roots()
    bundle.write_text(roots if ours in roots else roots + ours, encoding="utf-8")


def expiry(cert_file):
    return x509.load_pem_x509_certificate(cert_file.read_bytes()).not_valid_after_utc


def system_roots():
    """The root certificates programs trust here, as PEM text; a company's own by SSL_CERT_FILE included."""
    for path in (os.environ.get("SSL_CERT_FILE"), *SYSTEM_ROOTS):
        if path and os.path.exists(path):
            return Path(path).read_text(encoding="utf-8", errors="replace").rstrip() + "\n"
    return ""
