//! Certificates made for one service, in files of its folder: who vouches for it, who does not, and what a client shows.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Where services listen.
const HOST: &str = "127.0.0.1";

/// The files, in PEM.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The authority that vouches for the service and for the client.
    pub authority: PathBuf,
    /// An authority that vouches for nobody.
    pub stranger: PathBuf,
    /// What a client shows.
    pub client: PathBuf,
    /// The client's key.
    pub client_key: PathBuf,
    /// What the service shows.
    pub(crate) service: PathBuf,
    /// The service's key.
    pub(crate) service_key: PathBuf,
}

impl Certificates {
    /// Makes them.
    pub(crate) fn make(folder: &Path) -> Result<Certificates> {
        let file = |name: &str| folder.join(name);
        let certificates = Certificates {
            authority: file("authority.pem"),
            stranger: file("stranger.pem"),
            client: file("client.pem"),
            client_key: file("client-key.pem"),
            service: file("service.pem"),
            service_key: file("service-key.pem"),
        };
        let (authority, stranger) = (authority("purefold test authority")?, authority("purefold test stranger")?);
        write(&certificates.authority, &authority.pem())?;
        write(&certificates.stranger, &stranger.pem())?;
        for (name, certificate, file) in
            [(HOST, &certificates.service, &certificates.service_key), ("client", &certificates.client, &certificates.client_key)]
        {
            let key = KeyPair::generate()?;
            let mut params = CertificateParams::new([name.to_owned()])?;
            params.distinguished_name.push(DnType::CommonName, name);
            write(certificate, &params.signed_by(&key, &authority)?.pem())?;
            write(file, &key.serialize_pem())?;
        }
        Ok(certificates)
    }
}

fn authority(name: &str) -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
