import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.x509.oid import NameOID

print(AESGCM(bytes(32)).encrypt(bytes(12), b"text", b"more").hex())
try:
    AESGCM(bytes(32)).decrypt(bytes(12), bytes(20), None)
except InvalidTag as error:
    print(type(error).__name__)
print(PBKDF2HMAC(hashes.SHA256(), 32, b"salt", 1000).derive(b"password").hex())
signed = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
print(signed.sign(b"text").hex())
try:
    signed.public_key().verify(bytes(64), b"text")
except InvalidSignature as error:
    print(type(error).__name__)
key = rsa.generate_private_key(65537, 2048)
signature = key.sign(b"text", padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
key.public_key().verify(signature, b"text", padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
own = ec.derive_private_key(12345, ec.SECP256R1())
print(own.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode())
name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example")])
start = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
certificate = (
    x509.CertificateBuilder(name, name, own.public_key(), 7, start, start + datetime.timedelta(days=365))
    .add_extension(x509.SubjectAlternativeName([x509.DNSName("example.org")]), False)
    .sign(own, hashes.SHA256())
)
again = x509.load_pem_x509_certificate(certificate.public_bytes(serialization.Encoding.PEM))
print(again.subject.rfc4514_string(), again.serial_number, again.not_valid_after_utc, again == certificate)
print(again.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName))
token = Fernet(Fernet.generate_key())
print(token.decrypt(token.encrypt(b"text")))
try:
    token.decrypt(b"no token")
except InvalidToken as error:
    print(type(error).__name__)
