//! The authorities that this machine trusts, looked for when a server's certificate has to be checked: a process that calls no
//! server over https needs no certificates, and one that gets them later need not be started again.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme};
use rustls_platform_verifier::Verifier;
use tracing::warn;

/// How soon certificates are looked for again after there were none.
const PAUSE: Duration = Duration::from_secs(10);

/// This machine has no certificates of authorities, so that no server's certificate can be checked.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "this machine has no CA certificates to check a server's certificate with: install ca-certificates, \
     or name a file of them with SSL_CERT_FILE"
)]
pub struct NoCertificates;

/// All clients share the authorities, and the sessions that can be resumed.
static TLS: LazyLock<ClientConfig> = LazyLock::new(make);

/// TLS as every client of ours speaks it.
pub fn tls() -> ClientConfig {
    TLS.clone()
}

fn make() -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    // The first provider stays: this is harmless when it was done before. Clients built elsewhere use it.
    drop(provider.as_ref().clone().install_default());
    let verifier = Arc::new(MachinesVerifier { provider: provider.clone(), found: Mutex::default() });
    let builder = ClientConfig::builder_with_provider(provider);
    let versions = builder.with_safe_default_protocol_versions().expect("ring has the ciphers of both versions");
    let mut config = versions.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

#[derive(Debug)]
struct MachinesVerifier {
    provider: Arc<CryptoProvider>,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    verifier: Option<Arc<Verifier>>,
    looked_at: Option<Instant>,
}

impl MachinesVerifier {
    fn verifier(&self) -> Result<Arc<Verifier>, rustls::Error> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(verifier) = &found.verifier {
            return Ok(verifier.clone());
        }
        if found.looked_at.is_none_or(|moment| moment.elapsed() >= PAUSE) {
            found.looked_at = Some(Instant::now());
            match Verifier::new(self.provider.clone()) {
                Ok(verifier) => return Ok(found.verifier.insert(Arc::new(verifier)).clone()),
                Err(error) => warn!(%error, "{NoCertificates}"),
            }
        }
        Err(rustls::Error::Other(OtherError(Arc::new(NoCertificates))))
    }
}

impl ServerCertVerifier for MachinesVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verifier()?.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
