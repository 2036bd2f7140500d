//! Certificates and the crypto provider.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::client::ClientError;

/// Makes aws-lc-rs the process's crypto provider, for libraries that ask for the default one.
/// Doing so again changes nothing.
pub fn install_crypto_provider() {
    // Fails only where a provider is installed already, which is what is wanted.
    let _ = CryptoProvider::install_default(aws_lc_rs::default_provider());
}

/// TLS 1.2 and 1.3, verified against Mozilla's roots (built in, so that a static binary in an
/// empty image works) and the operator's own.
pub(crate) fn configuration(extra_roots: Option<&Path>) -> Result<ClientConfig, ClientError> {
    install_crypto_provider();
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = extra_roots {
        add_file(&mut roots, path)
            .map_err(|reason| ClientError::Roots { path: path.to_owned(), reason })?;
    }
    let mut configuration =
        ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
    configuration.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(configuration)
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?;
    let mut added = 0;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
        added += 1;
    }
    if added == 0 {
        return Err("it holds no PEM certificate".into());
    }
    Ok(())
}
