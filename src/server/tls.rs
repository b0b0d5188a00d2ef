//! TLS on connections that came in, and the certificate they are shown.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

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

/// The certificate of this server, which can be replaced while it serves.
#[derive(Debug)]
pub struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// Loads a certificate with the chain behind it, and its key, both as PEM.
    ///
    /// # Errors
    /// [`TlsError`] names the file that is at fault.
    pub fn load(certificate: &Path, key: &Path) -> Result<Certificate, TlsError> {
        Ok(Certificate {
            current: RwLock::new(Arc::new(read(certificate, key)?)),
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        })
    }

    /// Loads the files again; connections that are open keep what they were shown.
    ///
    /// # Errors
    /// As [`Certificate::load`]; the one before then stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        let read = Arc::new(read(&self.certificate, &self.key)?);
        // What is in it is whole whoever panicked.
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(())
    }

    /// The certificate's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.certificate
    }

    /// What makes TLS of connections.
    pub(super) fn acceptor(self: &Arc<Certificate>) -> TlsAcceptor {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring's provider has the cipher suites of TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        TlsAcceptor::from(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let pem = load(certificate)?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| not_pem(certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(not_pem(certificate, "there is no certificate in it".to_owned()));
    }
    let private = PrivateKeyDer::from_pem_slice(&load(key)?)
        .map_err(|error| not_pem(key, format!("there is no private key in it: {error}")))?;
    CertifiedKey::from_der(chain, private, &ring::default_provider()).map_err(|source| TlsError::Pair {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        source,
    })
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
