//! Signed requests, for networks that encrypt and authenticate connections themselves, such as a
//! service mesh or a VPN. A signature covers the method, the path with the query, the time and
//! a nonce. It says that a node sent the request, and is valid once.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use hmac::Mac;
use hyper::Request;
use hyper::header::{HeaderName, HeaderValue};
use tokio_rustls::rustls::crypto::CryptoProvider;

use crate::claim::authenticate;
use crate::fingerprint::{from_hex, hex};
use crate::nonces::{NONCE_BYTES, Nonces};
use crate::provider::provider;

/// The header that contains the signature.
pub const SIGNATURE: HeaderName = HeaderName::from_static("x-hearth-node-signature");

/// Separates these authentication codes from others with the same secret.
const DOMAIN: &[u8] = b"hearth request v1";

/// The maximum difference between the clocks of two nodes, in seconds.
const MAX_SKEW: u64 = 60;

/// The maximum number of requests that are accepted within twice [`MAX_SKEW`].
const MAX_NONCES: usize = 1 << 18;

/// A function that returns the seconds since 1970.
type Clock = fn() -> u64;

/// Signs requests.
#[derive(Clone)]
pub struct Signer {
    secret: Arc<[u8]>,
    clock: Clock,
    provider: Arc<CryptoProvider>,
}

impl Signer {
    /// Creates a signer. `clock` returns the seconds since 1970.
    pub fn new(secret: &[u8], clock: Clock) -> Signer {
        Signer {
            secret: Arc::from(secret),
            clock,
            provider: provider(),
        }
    }

    /// Signs a request. Replaces the signature that it has. Without random numbers there is no
    /// signature, and the other node rejects the request.
    pub(crate) fn sign<B>(&self, request: &mut Request<B>) {
        request.headers_mut().remove(SIGNATURE);
        let mut nonce = [0; NONCE_BYTES];
        if self.provider.secure_random.fill(&mut nonce).is_err() {
            return;
        }
        let time = (self.clock)();
        let code = code(&self.secret, request, time, &nonce);
        let code = hex(&code.finalize().into_bytes());
        let value = format!("{time} {} {code}", hex(&nonce));
        if let Ok(value) = HeaderValue::try_from(value) {
            request.headers_mut().insert(SIGNATURE, value);
        }
    }
}

/// Checks signatures of requests. Cheap to clone.
#[derive(Clone)]
pub struct Verifier {
    secrets: Arc<[Box<[u8]>]>,
    clock: Clock,
    nonces: Arc<Mutex<Nonces>>,
}

impl Verifier {
    /// Creates a verifier that accepts signatures with any of the secrets. `clock` returns the
    /// seconds since 1970.
    pub fn new(secrets: &[impl AsRef<[u8]>], clock: Clock) -> Verifier {
        let secrets = secrets.iter().map(|secret| Box::from(secret.as_ref()));
        Verifier {
            secrets: secrets.collect(),
            clock,
            // A signature is valid from `MAX_SKEW` before its time until `MAX_SKEW` after it.
            nonces: Arc::new(Mutex::new(Nonces::new(2 * MAX_SKEW, MAX_NONCES))),
        }
    }

    /// Returns true if a node signed this request, and the signature was not used before. Removes
    /// the signature.
    pub fn verify<B>(&self, request: &mut Request<B>) -> bool {
        let Some(value) = request.headers_mut().remove(SIGNATURE) else {
            return false;
        };
        let Some((time, nonce, signed)) = value.to_str().ok().and_then(parse) else {
            return false;
        };
        let now = (self.clock)();
        now.abs_diff(time) <= MAX_SKEW
            && self.secrets.iter().any(|secret| {
                let code = code(secret, request, time, &nonce);
                code.verify_slice(&signed).is_ok()
            })
            && self
                .nonces
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .use_once(nonce, now)
    }
}

/// Parses the time, the nonce and the authentication code of a signature.
fn parse(value: &str) -> Option<(u64, [u8; NONCE_BYTES], [u8; 32])> {
    let mut parts = value.split(' ');
    let time = parts.next()?.parse().ok()?;
    let nonce = from_hex(parts.next()?)?;
    let code = from_hex(parts.next()?)?;
    parts.next().is_none().then_some((time, nonce, code))
}

fn code<B>(
    secret: &[u8],
    request: &Request<B>,
    time: u64,
    nonce: &[u8],
) -> hmac::Hmac<sha2::Sha256> {
    let path = request.uri().path_and_query();
    let fields: [&[u8]; 4] = [
        request.method().as_str().as_bytes(),
        path.map_or("/", |path| path.as_str()).as_bytes(),
        &time.to_be_bytes(),
        nonce,
    ];
    authenticate(secret, DOMAIN, &fields)
}

/// Shows no secret.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

/// Shows no secret.
impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use hyper::Method;

    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn at_1000() -> u64 {
        1000
    }

    fn at_1060() -> u64 {
        1060
    }

    fn at_1061() -> u64 {
        1061
    }

    fn request(path: &str) -> Request<()> {
        Request::builder().uri(path).body(()).expect("a request")
    }

    fn signed(path: &str) -> Request<()> {
        let mut request = request(path);
        Signer::new(SECRET, at_1000).sign(&mut request);
        request
    }

    #[test]
    fn a_signature_is_valid_once() {
        let verifier = Verifier::new(&[b"another secret".as_slice(), SECRET], at_1060);
        let mut first = signed("/a?b=c");
        let mut second = first.clone();
        assert!(verifier.verify(&mut first));
        assert!(!first.headers().contains_key(SIGNATURE));
        assert!(!verifier.verify(&mut second), "replayed");
        assert!(verifier.verify(&mut signed("/a?b=c")));
    }

    #[test]
    fn a_signature_is_valid_for_its_request_secret_and_time_only() {
        let accepts = |verifier: &Verifier, change: &dyn Fn(&mut Request<()>)| {
            let mut request = signed("/a?b=c");
            change(&mut request);
            verifier.verify(&mut request)
        };
        let verifier = Verifier::new(&[SECRET], at_1060);
        assert!(accepts(&verifier, &|_| {}));
        assert!(!accepts(&verifier, &|request| *request.method_mut() = Method::DELETE));
        assert!(!accepts(&verifier, &|request| {
            *request.uri_mut() = "/a?b=d".parse().expect("a path");
        }));
        assert!(!accepts(&verifier, &|request| {
            request.headers_mut().remove(SIGNATURE);
        }));
        assert!(!accepts(&verifier, &|request| {
            let value = HeaderValue::from_static("1000 00 00");
            request.headers_mut().insert(SIGNATURE, value);
        }));
        let stranger = Verifier::new(&[b"another secret"], at_1060);
        assert!(!accepts(&stranger, &|_| {}));
        let late = Verifier::new(&[SECRET], at_1061);
        assert!(!accepts(&late, &|_| {}), "expired");
    }

    #[test]
    fn a_signature_of_a_client_is_replaced() {
        let mut request = request("/");
        let value = HeaderValue::from_static("forged");
        request.headers_mut().insert(SIGNATURE, value);
        Signer::new(SECRET, at_1000).sign(&mut request);
        assert!(Verifier::new(&[SECRET], at_1000).verify(&mut request));
    }
}
