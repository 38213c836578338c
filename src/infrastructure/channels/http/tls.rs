//! Which cryptography TLS uses: reqwest is built without a choice of its own.

/// Makes ring the process's provider. Whoever was first stays: to call it again, or after somebody else chose, is harmless.
pub fn install() {
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
}
