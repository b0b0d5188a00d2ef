//! TLS on connections that came in, and the certificate they are shown.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ring::digest;
use rustls::crypto::ring as provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ProtocolVersion, RootCertStore, ServerConfig, ServerConnection};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::mail::Tls;

use super::doors::Stream;

/// Why there is no certificate to show.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("[tls] {}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("[tls] {}: {what}", path.display())]
    NotPem {
        /// Which.
        path: PathBuf,
        /// What is wrong, and what would be right.
        what: String,
    },
    /// The two do not belong together, or are of a kind that is not supported.
    #[error("[tls] {} and {}: {source}", certificate.display(), key.display())]
    Pair {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// What there is to TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// The certificate with the chain behind it, as PEM.
    pub certificate: PathBuf,
    /// Its key, as PEM.
    pub key: PathBuf,
    /// Whether MTAs are asked for a certificate.
    pub clients: Clients,
    /// How long TLS may take to come about.
    pub handshake: Duration,
}

/// Whether clients are asked for a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clients {
    /// No.
    NotAsked,
    /// Yes; it must be of one of the authorities in this file, as PEM.
    Asked {
        /// The authorities.
        authorities: PathBuf,
        /// Whether nobody comes without.
        required: bool,
    },
}

/// The certificate of this server, which can be replaced while it serves.
#[derive(Debug)]
pub struct Certificate {
    options: TlsOptions,
    current: RwLock<Current>,
}

#[derive(Clone, Debug)]
struct Current {
    for_users: Arc<ServerConfig>,
    for_mail: Arc<ServerConfig>,
}

/// Who comes to a door with TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comer {
    /// A user: has a password.
    User,
    /// An MTA: may have a certificate.
    Mta,
}

impl Certificate {
    /// Loads a certificate with the chain behind it, its key, and the authorities of clients.
    ///
    /// # Errors
    /// [`TlsError`] names the file that is at fault.
    pub fn load(options: TlsOptions) -> Result<Certificate, TlsError> {
        Ok(Certificate {
            current: RwLock::new(read_all(&options)?),
            options,
        })
    }

    /// Loads the files again; connections that are open keep what they were shown.
    ///
    /// # Errors
    /// As [`Certificate::load`]; the one before then stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        let read = read_all(&self.options)?;
        // What is in it is whole whoever panicked.
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(())
    }

    /// Where it comes from.
    #[must_use]
    pub fn options(&self) -> &TlsOptions {
        &self.options
    }

    /// Makes TLS of a connection.
    ///
    /// # Errors
    /// Where the client breaks off, shows a certificate that does not count, or takes too long.
    pub(super) async fn accept(&self, stream: Box<dyn Stream>, comer: Comer) -> io::Result<(Box<dyn Stream>, Tls)> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        let config = match comer {
            Comer::User => current.for_users,
            Comer::Mta => current.for_mail,
        };
        let accepted = timeout(self.options.handshake, TlsAcceptor::from(config).accept(stream)).await;
        let stream = accepted.map_err(|_| io::ErrorKind::TimedOut)??;
        let tls = secured(stream.get_ref().1);
        Ok((Box::new(stream), tls))
    }
}

fn secured(connection: &ServerConnection) -> Tls {
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2".to_owned(),
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3".to_owned(),
        other => other.map_or_else(String::new, |other| format!("{other:?}")),
    };
    let suite = connection.negotiated_cipher_suite();
    // RFC 8446 §B.4: its suites begin with TLS13 in rustls alone.
    let suite = suite.and_then(|suite| suite.suite().as_str());
    Tls {
        version,
        cipher: suite.map_or_else(String::new, |suite| suite.replacen("TLS13_", "TLS_", 1)),
        peer: connection.peer_certificates().and_then(<[_]>::first).map(name_in),
    }
}

/// The first name in a certificate; where it has none, its SHA-256.
fn name_in(certificate: &CertificateDer<'_>) -> String {
    let parsed = webpki::EndEntityCert::try_from(certificate).ok();
    let name = parsed.and_then(|parsed| parsed.valid_dns_names().next().map(str::to_owned));
    name.unwrap_or_else(|| {
        let digest = digest::digest(&digest::SHA256, certificate);
        let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{hex}")
    })
}

fn read_all(options: &TlsOptions) -> Result<Current, TlsError> {
    let shown = Arc::new(SingleCertAndKey::from(read(&options.certificate, &options.key)?));
    let builder = || {
        ServerConfig::builder_with_provider(Arc::new(provider::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring's provider has the cipher suites of TLS 1.2 and 1.3")
    };
    let for_users = Arc::new(builder().with_no_client_auth().with_cert_resolver(shown.clone()));
    let for_mail = match &options.clients {
        Clients::NotAsked => for_users.clone(),
        Clients::Asked { authorities, required } => {
            let verifier = verifier(authorities, *required)?;
            Arc::new(builder().with_client_cert_verifier(verifier).with_cert_resolver(shown))
        }
    };
    Ok(Current { for_users, for_mail })
}

fn verifier(authorities: &Path, required: bool) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authorities)? {
        let added = roots.add(certificate);
        added.map_err(|error| not_pem(authorities, error.to_string()))?;
    }
    let roots = Arc::new(roots);
    let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::new(provider::default_provider()));
    let builder = if required {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    builder.build().map_err(|error| not_pem(authorities, error.to_string()))
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(certificate)?;
    let private = PrivateKeyDer::from_pem_slice(&load(key)?)
        .map_err(|error| not_pem(key, format!("there is no private key in it: {error}")))?;
    CertifiedKey::from_der(chain, private, &provider::default_provider()).map_err(|source| TlsError::Pair {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        source,
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = load(path)?;
    let read: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| not_pem(path, error.to_string()))?;
    match read.is_empty() {
        true => Err(not_pem(path, "there is no certificate in it".to_owned())),
        false => Ok(read),
    }
}

fn load(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

fn not_pem(path: &Path, what: String) -> TlsError {
    TlsError::NotPem {
        path: path.to_owned(),
        what,
    }
}
