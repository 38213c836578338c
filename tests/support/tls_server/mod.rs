//! A server that speaks TLS with a certificate (for `localhost`) that an authority of the tests has signed. Only a client that
//! trusts this one gets to talk with it.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{WantsServerCert, WebPkiClientVerifier};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, ServerConfig, WantsVerifier};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub const AUTHORITY: &[u8] = include_bytes!("authority.pem");
const CERTIFICATE: &[u8] = include_bytes!("certificate.pem");
const KEY: &[u8] = include_bytes!("key.pem");

/// Of the certificates that are of no authority.
const OTHER_KEY: &[u8] = include_bytes!("other-key.pem");

/// Certificates for `localhost` that are of no authority, as servers have them.
pub const NO_AUTHORITY: &[u8] = include_bytes!("no-authority.pem");
pub const EXPIRED: &[u8] = include_bytes!("expired.pem");
/// One of an authority, which its server shows as its own.
pub const AUTHORITY_ITSELF: &[u8] = include_bytes!("authority-itself.pem");
/// An authority that has signed none of them.
pub const OTHER_AUTHORITY: &[u8] = include_bytes!("other-authority.pem");

/// Shakes hands with whoever comes, and says nothing.
pub async fn start() -> SocketAddr {
    start_with(|_, _| async {}).await
}

/// Talks with each that got through its handshake: the connection, and how many there were before it.
pub async fn start_with<F>(converse: impl Fn(TlsStream<TcpStream>, usize) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    serve(builder().with_no_client_auth(), (CERTIFICATE, KEY), converse).await
}

/// Another certificate.
pub async fn start_showing(certificate: &[u8]) -> SocketAddr {
    serve(builder().with_no_client_auth(), (certificate, OTHER_KEY), |_, _| async {}).await
}

/// For clients that show a certificate of their own.
pub async fn start_for_the_certified() -> SocketAddr {
    let mut authorities = RootCertStore::empty();
    authorities.add(certificate(OTHER_AUTHORITY)).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider()).build().unwrap();
    serve(builder().with_client_cert_verifier(verifier), (NO_AUTHORITY, OTHER_KEY), |_, _| async {}).await
}

fn builder() -> ConfigBuilder<ServerConfig, WantsVerifier> {
    ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap()
}

async fn serve<F>(
    config: ConfigBuilder<ServerConfig, WantsServerCert>,
    (shown, key): (&[u8], &[u8]),
    converse: impl Fn(TlsStream<TcpStream>, usize) -> F + Send + 'static,
) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let key = PrivateKeyDer::from_pem_slice(key).unwrap();
    let config = config.with_single_cert(vec![certificate(shown)], key).unwrap();
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut connections = 0;
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(converse(stream, connections));
                connections += 1;
            }
        }
    });
    address
}

/// Of a client that trusts it, and speaks HTTP/1.
pub fn trusting() -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(AUTHORITY)).unwrap();
    let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    config.with_root_certificates(roots).with_no_client_auth()
}

fn certificate(pem: &[u8]) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem).unwrap()
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
