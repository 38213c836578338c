//! Which cryptography TLS uses: reqwest is built without a choice of its own.

/// Makes ring the process's provider. The first provider stays: calling it again, or after another was chosen, is harmless.
pub fn install() {
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
}
