//! A server that speaks TLS with a certificate of its own making (a test's, for `localhost`): who trusts nobody, or only
//! authorities, does not get to talk with it.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{WantsServerCert, WebPkiClientVerifier};
use rustls::{ConfigBuilder, RootCertStore, ServerConfig, WantsVerifier};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const CERTIFICATE: &[u8] = include_bytes!("certificate.pem");
const KEY: &[u8] = include_bytes!("key.pem");

/// Certificates for `localhost` with the same key that are of no authority, as servers have them.
pub const NO_AUTHORITY: &[u8] = include_bytes!("no-authority.pem");
pub const EXPIRED: &[u8] = include_bytes!("expired.pem");
/// An authority that has signed none of them.
pub const OTHER_AUTHORITY: &[u8] = include_bytes!("other-authority.pem");

/// Shakes hands with whoever comes, and says nothing.
pub async fn start() -> SocketAddr {
    serve(builder().with_no_client_auth(), CERTIFICATE).await
}

/// The same with another certificate.
pub async fn start_with(certificate: &[u8]) -> SocketAddr {
    serve(builder().with_no_client_auth(), certificate).await
}

/// The same, for clients that show a certificate of their own.
pub async fn start_for_the_certified() -> SocketAddr {
    let mut authorities = RootCertStore::empty();
    authorities.add(CertificateDer::from_pem_slice(OTHER_AUTHORITY).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider).build().unwrap();
    serve(builder().with_client_cert_verifier(verifier), NO_AUTHORITY).await
}

fn builder() -> ConfigBuilder<ServerConfig, WantsVerifier> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap()
}

async fn serve(config: ConfigBuilder<ServerConfig, WantsServerCert>, certificate: &[u8]) -> SocketAddr {
    let certificates = vec![CertificateDer::from_pem_slice(certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let config = config.with_single_cert(certificates, key).unwrap();
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _refused = acceptor.accept(stream).await;
        }
    });
    address
}
