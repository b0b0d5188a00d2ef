//! TLS towards the submission server.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::submission::{SubmitError, Tls};

/// Where Debian and its kin keep the authorities.
const CA_FILE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Makes TLS connections; what it needs is built with the first one.
#[derive(Debug)]
pub(super) struct Connector {
    tls: Tls,
    config: Mutex<Option<Arc<ClientConfig>>>,
}

impl Connector {
    pub(super) fn new(tls: Tls) -> Connector {
        Connector {
            tls,
            config: Mutex::new(None),
        }
    }

    /// The setting.
    pub(super) fn tls(&self) -> &Tls {
        &self.tls
    }

    /// The state of a new connection to `host`, a name or an IP address.
    pub(super) fn connect(&self, address: &str, host: &str) -> Result<ClientConnection, SubmitError> {
        let failed = |source| SubmitError::Tls {
            address: address.to_owned(),
            source,
        };
        let name = match (ServerName::try_from(host.to_owned()), &self.tls) {
            (Ok(name), _) => name,
            // A name like `mail_relay` is none of DNS; unverified, it is only a hint.
            (Err(_), Tls::Opportunistic) => ServerName::from(std::net::IpAddr::from([127, 0, 0, 1])),
            (Err(error), _) => return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, error))),
        };
        ClientConnection::new(self.config()?, name).map_err(|error| failed(io::Error::other(error)))
    }

    /// Built once. A failure is not kept: a certificate file put right is read the next time.
    fn config(&self) -> Result<Arc<ClientConfig>, SubmitError> {
        // The option is whole whoever panicked.
        let mut config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = config.as_ref() {
            return Ok(Arc::clone(config));
        }
        let built = Arc::new(match &self.tls {
            Tls::Verify { ca_file } => verifying(ca_file.as_deref().unwrap_or(Path::new(CA_FILE)))?,
            Tls::Opportunistic | Tls::None => accepting(),
        });
        *config = Some(Arc::clone(&built));
        Ok(built)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring's provider has the cipher suites of TLS 1.2 and 1.3")
}

fn verifying(path: &Path) -> Result<ClientConfig, SubmitError> {
    let mut roots = RootCertStore::empty();
    let certificates = read_certificates(path).map_err(|source| SubmitError::Certificates {
        path: PathBuf::from(path),
        source,
    })?;
    // One odd certificate among a system's hundred must not stop the mail.
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(SubmitError::Certificates {
            path: PathBuf::from(path),
            source: io::Error::new(io::ErrorKind::InvalidData, "there is no usable certificate in it"),
        });
    }
    Ok(builder().with_root_certificates(roots).with_no_client_auth())
}

fn read_certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let pem = std::fs::read(path)?;
    CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn accepting() -> ClientConfig {
    builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider())))
        .with_no_client_auth()
}

/// Takes every certificate.
///
/// Opportunistic security (RFC 7435) protects from those who only listen. The alternative to a
/// certificate that nobody vouches for is sending in clear (RFC 3207 leaves the choice to the
/// client), which is worse; mail servers commonly have such certificates. Who can change what is
/// on the wire can also take the offer of STARTTLS away, so that refusing here would stop him
/// no more. Where that matters, the setting is [`Tls::Verify`].
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    // The signatures are checked all the same: they bind the keys to this handshake.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
